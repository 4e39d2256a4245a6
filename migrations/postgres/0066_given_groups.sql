-- The groups that devices are put into as they come in, by ids with blanks between them; empty for none. A group that is deleted stays named here.
ALTER TABLE enrolment_tokens ADD COLUMN group_ids TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE claims ADD COLUMN group_ids TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE enrolment_batches ADD COLUMN group_ids TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE registered_authorities ADD COLUMN group_ids TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What the deleted ones that are named there were called last.
CREATE TABLE deleted_groups (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id     TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    name       TEXT COLLATE "C" NOT NULL,
    deleted_at BIGINT NOT NULL
);

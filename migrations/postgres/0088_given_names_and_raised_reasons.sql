-- Names of authorities that the revocation journal knows and this database does not: given after a backup that was put back, or by the database before this one.
-- The newest number of each kind, by the slug that stands in the names, so that no name is given twice (P-7).
CREATE TABLE authority_names (
    organization TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    generation   BIGINT NOT NULL,
    PRIMARY KEY (organization, kind)
);

-- When and by whom it was said of a revoked certificate that its key is compromised, where that followed another reason (R-5). Not known of those before.
ALTER TABLE certificates ADD COLUMN raised_at BIGINT;
ALTER TABLE certificates ADD COLUMN raised_by TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What was known when a certificate was revoked: since when it is wrong (RFC 5280 section 5.3.2), and in whoever did it's words.
ALTER TABLE certificates ADD COLUMN invalidity_date BIGINT;
ALTER TABLE certificates ADD COLUMN revocation_note TEXT NOT NULL DEFAULT '';

-- What certificates an enrolment token gives: kinds of device certificates that an organization has named. An empty name stands for none of them.
CREATE TABLE certificate_profiles (
    org_id     TEXT   NOT NULL REFERENCES organizations (id),
    name       TEXT   NOT NULL,
    hours      BIGINT NOT NULL,
    -- Separated by blanks; empty means every type there is.
    key_types  TEXT   NOT NULL,
    -- Empty means what holds in the organization.
    rekey      TEXT   NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT   NOT NULL,
    PRIMARY KEY (org_id, name)
);
ALTER TABLE enrolment_tokens ADD COLUMN profile TEXT NOT NULL DEFAULT '';
ALTER TABLE certificates ADD COLUMN validity_profile TEXT NOT NULL DEFAULT '';

-- The newest list of revoked certificates of a registered authority, as its owner has brought it; number is forty hex digits, empty where it has none.
CREATE TABLE registered_lists (
    authority_id TEXT   PRIMARY KEY REFERENCES registered_authorities (id),
    org_id       TEXT   NOT NULL REFERENCES organizations (id),
    number       TEXT   NOT NULL,
    this_update  BIGINT NOT NULL,
    next_update  BIGINT NOT NULL,
    entries      BIGINT NOT NULL,
    sha256       BYTEA NOT NULL,
    der          BYTEA NOT NULL,
    received_at  BIGINT NOT NULL,
    received_by  TEXT   NOT NULL
);
-- What becomes of its devices when that list has ended, and whether they may have one of our certificates for theirs.
ALTER TABLE registered_authorities ADD COLUMN ended_list TEXT NOT NULL DEFAULT 'closed';
ALTER TABLE registered_authorities ADD COLUMN exchange BOOLEAN NOT NULL DEFAULT FALSE;

-- Names of authorities that the revocation journal knows and this database does not: given after a backup that was put back, or by the database before this one.
-- The newest number of each kind, by the slug that stands in the names, so that no name is given twice (P-7).
CREATE TABLE authority_names (
    organization TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    generation   INTEGER NOT NULL,
    PRIMARY KEY (organization, kind)
) STRICT;

-- When and by whom it was said of a revoked certificate that its key is compromised, where that followed another reason (R-5). Not known of those before.
ALTER TABLE certificates ADD COLUMN raised_at INTEGER;
ALTER TABLE certificates ADD COLUMN raised_by TEXT NOT NULL DEFAULT '';

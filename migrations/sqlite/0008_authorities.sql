-- Trust bundles that devices fetch, and roots that vouch for one another while one takes over from the other.

-- The first version of the bundle that the authority is in.
ALTER TABLE authorities ADD COLUMN bundle INTEGER NOT NULL DEFAULT 0;

-- What the device said it holds when it connected last.
ALTER TABLE devices ADD COLUMN trust_bundle INTEGER NOT NULL DEFAULT 0;

CREATE TABLE trust_bundles (
    org_id    TEXT NOT NULL REFERENCES organizations (id),
    version   INTEGER NOT NULL,
    -- JSON without the version: the same content has the same text.
    content   TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    PRIMARY KEY (org_id, version)
) STRICT;

CREATE TABLE cross_certificates (
    id          TEXT NOT NULL PRIMARY KEY,
    org_id      TEXT NOT NULL REFERENCES organizations (id),
    -- Whose key.
    subject_id  TEXT NOT NULL REFERENCES authorities (id),
    issuer_id   TEXT NOT NULL REFERENCES authorities (id),
    serial      BLOB NOT NULL,
    fingerprint BLOB NOT NULL UNIQUE,
    der         BLOB NOT NULL,
    not_after   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (issuer_id, serial)
) STRICT;

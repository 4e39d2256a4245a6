-- Trust bundles that devices fetch, and roots that vouch for one another while one takes over from the other.

-- The first version of the bundle that the authority is in.
ALTER TABLE authorities ADD COLUMN bundle BIGINT NOT NULL DEFAULT 0;

-- What the device said it holds when it connected last.
ALTER TABLE devices ADD COLUMN trust_bundle BIGINT NOT NULL DEFAULT 0;

CREATE TABLE trust_bundles (
    org_id    TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    version   BIGINT NOT NULL,
    -- JSON without the version: the same content has the same text.
    content   TEXT COLLATE "C" NOT NULL,
    raised_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, version)
);

CREATE TABLE cross_certificates (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id      TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    -- Whose key.
    subject_id  TEXT COLLATE "C" NOT NULL REFERENCES authorities (id),
    issuer_id   TEXT COLLATE "C" NOT NULL REFERENCES authorities (id),
    serial      BYTEA NOT NULL,
    fingerprint BYTEA NOT NULL UNIQUE,
    der         BYTEA NOT NULL,
    not_after   BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (issuer_id, serial)
);

-- How many trusted keys must have signed a release before it counts, by device type; '' is every other type. No row is one.
CREATE TABLE signing_thresholds (
    org_id      TEXT   NOT NULL REFERENCES organizations (id),
    device_type TEXT   NOT NULL,
    threshold   BIGINT NOT NULL,
    PRIMARY KEY (org_id, device_type)
);

-- Signatures that were added after the upload. The envelope itself stays byte for byte what was uploaded.
CREATE TABLE release_signatures (
    org_id     TEXT   NOT NULL,
    release_id TEXT   NOT NULL REFERENCES releases (id),
    keyid      TEXT   NOT NULL,
    sig        TEXT   NOT NULL,
    added_at   BIGINT NOT NULL,
    added_by   TEXT   NOT NULL,
    PRIMARY KEY (release_id, keyid)
);

-- Which keys devices are to trust: documents that the quorum before has signed, one after another, none ever left out.
CREATE TABLE key_sets (
    org_id       TEXT   NOT NULL REFERENCES organizations (id),
    version      BIGINT NOT NULL,
    envelope     BYTEA  NOT NULL,
    published_at BIGINT NOT NULL,
    published_by TEXT   NOT NULL,
    PRIMARY KEY (org_id, version)
);

-- Keys of the server's own that say which device an offer is for. The private half is under the key-encryption key.
CREATE TABLE assignment_keys (
    id         TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL REFERENCES organizations (id),
    public_key BYTEA  NOT NULL,
    sealed_key BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    retired_at BIGINT
);
CREATE INDEX assignment_keys_by_org ON assignment_keys (org_id, id);

-- The newest assignment of each device; its counter never goes back.
CREATE TABLE assignments (
    device          BIGINT NOT NULL PRIMARY KEY REFERENCES devices (number),
    counter         BIGINT NOT NULL,
    update_id       TEXT   NOT NULL,
    manifest_sha256 TEXT   NOT NULL,
    signers         TEXT   NOT NULL,
    issued_at       BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    envelope        TEXT   NOT NULL
);

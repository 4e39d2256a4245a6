-- Roots whose keys are taken away, and authorities whose certificates are made elsewhere.

-- When the key was last written into a file, and SHA-256 of that file.
ALTER TABLE authorities ADD COLUMN exported_at BIGINT;
ALTER TABLE authorities ADD COLUMN export_sha256 BYTEA;
-- When the key was removed from here after that.
ALTER TABLE authorities ADD COLUMN offline_at BIGINT;
-- 1 if the certificate was signed elsewhere and brought here.
ALTER TABLE authorities ADD COLUMN imported BIGINT NOT NULL DEFAULT 0;

-- Keys that were made here and wait for their certificate.
CREATE TABLE authority_requests (
    -- The id that the authority will have.
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id      TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    kind        TEXT COLLATE "C" NOT NULL,
    generation  BIGINT NOT NULL,
    subject     TEXT COLLATE "C" NOT NULL,
    spki_sha256 BYTEA NOT NULL UNIQUE,
    -- The private key under the key-encryption key; NULL when it is on a token, and once the request is over.
    sealed_key  BYTEA,
    csr         BYTEA NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL
);

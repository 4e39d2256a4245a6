-- Roots whose keys are taken away, and authorities whose certificates are made elsewhere.

-- When the key was last written into a file, and SHA-256 of that file.
ALTER TABLE authorities ADD COLUMN exported_at INTEGER;
ALTER TABLE authorities ADD COLUMN export_sha256 BLOB;
-- When the key was removed from here after that.
ALTER TABLE authorities ADD COLUMN offline_at INTEGER;
-- 1 if the certificate was signed elsewhere and brought here.
ALTER TABLE authorities ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;

-- Keys that were made here and wait for their certificate.
CREATE TABLE authority_requests (
    -- The id that the authority will have.
    id          TEXT    NOT NULL PRIMARY KEY,
    org_id      TEXT    NOT NULL REFERENCES organizations (id),
    kind        TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    subject     TEXT    NOT NULL,
    spki_sha256 BLOB    NOT NULL UNIQUE,
    -- The private key under the key-encryption key; NULL when it is on a token, and once the request is over.
    sealed_key  BLOB,
    csr         BLOB    NOT NULL,
    state       TEXT    NOT NULL,
    created_by  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

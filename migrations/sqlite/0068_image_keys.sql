-- Certificates and public keys that signatures inside images are held against (U-5). der: the certificate, or the SubjectPublicKeyInfo.
CREATE TABLE image_keys (
    id          TEXT    NOT NULL PRIMARY KEY,
    org_id      TEXT    NOT NULL REFERENCES organizations (id),
    name        TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    about       TEXT    NOT NULL,
    der         BLOB    NOT NULL,
    fingerprint TEXT    NOT NULL,
    not_after   INTEGER,
    created_at  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    UNIQUE (org_id, fingerprint)
) STRICT;

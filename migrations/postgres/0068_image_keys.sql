-- Certificates and public keys that signatures inside images are held against (U-5). der: the certificate, or the SubjectPublicKeyInfo.
CREATE TABLE image_keys (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id      TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    name        TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    about       TEXT COLLATE "C" NOT NULL,
    der         BYTEA NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    not_after   BIGINT,
    created_at  BIGINT NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    UNIQUE (org_id, fingerprint)
);

-- Authorities, certificates, and the number that orders changes of trust.

CREATE TABLE authorities (
    id              TEXT COLLATE "C"    PRIMARY KEY,
    org_id          TEXT COLLATE "C"    NOT NULL REFERENCES organizations (id),
    kind            TEXT COLLATE "C"    NOT NULL,
    generation      BIGINT  NOT NULL,
    issuer_id       TEXT COLLATE "C"    NOT NULL,
    serial          BYTEA   NOT NULL,
    subject         TEXT COLLATE "C"    NOT NULL,
    key_alg         TEXT COLLATE "C"    NOT NULL,
    sig_alg         TEXT COLLATE "C"    NOT NULL,
    profile_version BIGINT  NOT NULL,
    ski             BYTEA   NOT NULL,
    spki_sha256     BYTEA   NOT NULL UNIQUE,
    fingerprint     BYTEA   NOT NULL UNIQUE,
    der             BYTEA   NOT NULL,
    -- The private key under the key-encryption key; NULL once the key lives elsewhere.
    sealed_key      BYTEA,
    base_url        TEXT COLLATE "C"    NOT NULL,
    not_before      BIGINT  NOT NULL,
    not_after       BIGINT  NOT NULL,
    state           TEXT COLLATE "C"    NOT NULL,
    created_at      BIGINT  NOT NULL,
    UNIQUE (issuer_id, serial),
    UNIQUE (org_id, kind, generation)
);

CREATE TABLE certificates (
    id              TEXT COLLATE "C"    PRIMARY KEY,
    org_id          TEXT COLLATE "C"    NOT NULL REFERENCES organizations (id),
    issuer_id       TEXT COLLATE "C"    NOT NULL REFERENCES authorities (id),
    serial          BYTEA   NOT NULL,
    profile         TEXT COLLATE "C"    NOT NULL,
    profile_version BIGINT  NOT NULL,
    -- The device's number; NULL for the listeners' own certificates.
    device          BIGINT,
    subject         TEXT COLLATE "C"    NOT NULL,
    key_alg         TEXT COLLATE "C"    NOT NULL,
    sig_alg         TEXT COLLATE "C"    NOT NULL,
    spki_sha256     BYTEA   NOT NULL,
    csr_sha256      BYTEA   NOT NULL,
    -- Both NULL while the certificate is being issued.
    fingerprint     BYTEA   UNIQUE,
    der             BYTEA,
    not_before      BIGINT  NOT NULL,
    not_after       BIGINT  NOT NULL,
    -- not_after, or earlier once a successor was used.
    usable_until    BIGINT  NOT NULL,
    state           TEXT COLLATE "C"    NOT NULL,
    issued_at       BIGINT  NOT NULL,
    enrolled_by     TEXT COLLATE "C"    NOT NULL,
    replaces_id     TEXT COLLATE "C",
    first_used_at   BIGINT,
    revoked_at      BIGINT,
    revoked_by      TEXT COLLATE "C"    NOT NULL DEFAULT '',
    reason          TEXT COLLATE "C"    NOT NULL DEFAULT '',
    -- trust_clock.seq of the last change that matters to a handshake.
    trust_seq       BIGINT  NOT NULL,
    UNIQUE (issuer_id, serial)
);
CREATE INDEX certificates_by_end ON certificates (org_id, not_after, id);
CREATE INDEX certificates_by_device ON certificates (device, issued_at);
CREATE INDEX certificates_by_key ON certificates (spki_sha256);
CREATE INDEX certificates_by_trust ON certificates (trust_seq);

-- Keys that never get a certificate again.
CREATE TABLE blocked_keys (
    spki_sha256 BYTEA   PRIMARY KEY,
    org_id      TEXT COLLATE "C"    NOT NULL REFERENCES organizations (id),
    reason      TEXT COLLATE "C"    NOT NULL,
    blocked_at  BIGINT  NOT NULL
);

-- One row. Its lock orders the transactions that change trust, so a reader that saw seq n has seen everything up to n.
CREATE TABLE trust_clock (
    id  BIGINT  PRIMARY KEY,
    seq BIGINT  NOT NULL
);
INSERT INTO trust_clock (id, seq) VALUES (1, 0);

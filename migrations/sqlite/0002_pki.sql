-- Authorities, certificates, and the number that orders changes of trust.

CREATE TABLE authorities (
    id              TEXT    PRIMARY KEY,
    org_id          TEXT    NOT NULL REFERENCES organizations (id),
    kind            TEXT    NOT NULL,
    generation      INTEGER NOT NULL,
    issuer_id       TEXT    NOT NULL,
    serial          BLOB    NOT NULL,
    subject         TEXT    NOT NULL,
    key_alg         TEXT    NOT NULL,
    sig_alg         TEXT    NOT NULL,
    profile_version INTEGER NOT NULL,
    ski             BLOB    NOT NULL,
    spki_sha256     BLOB    NOT NULL UNIQUE,
    fingerprint     BLOB    NOT NULL UNIQUE,
    der             BLOB    NOT NULL,
    -- The private key under the key-encryption key; NULL once the key lives elsewhere.
    sealed_key      BLOB,
    base_url        TEXT    NOT NULL,
    not_before      INTEGER NOT NULL,
    not_after       INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    UNIQUE (issuer_id, serial),
    UNIQUE (org_id, kind, generation)
) STRICT;

CREATE TABLE certificates (
    id              TEXT    PRIMARY KEY,
    org_id          TEXT    NOT NULL REFERENCES organizations (id),
    issuer_id       TEXT    NOT NULL REFERENCES authorities (id),
    serial          BLOB    NOT NULL,
    profile         TEXT    NOT NULL,
    profile_version INTEGER NOT NULL,
    -- The device's number; NULL for the listeners' own certificates.
    device          INTEGER,
    subject         TEXT    NOT NULL,
    key_alg         TEXT    NOT NULL,
    sig_alg         TEXT    NOT NULL,
    spki_sha256     BLOB    NOT NULL,
    csr_sha256      BLOB    NOT NULL,
    -- Both NULL while the certificate is being issued.
    fingerprint     BLOB    UNIQUE,
    der             BLOB,
    not_before      INTEGER NOT NULL,
    not_after       INTEGER NOT NULL,
    -- not_after, or earlier once a successor was used.
    usable_until    INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    issued_at       INTEGER NOT NULL,
    enrolled_by     TEXT    NOT NULL,
    replaces_id     TEXT,
    first_used_at   INTEGER,
    revoked_at      INTEGER,
    revoked_by      TEXT    NOT NULL DEFAULT '',
    reason          TEXT    NOT NULL DEFAULT '',
    -- trust_clock.seq of the last change that matters to a handshake.
    trust_seq       INTEGER NOT NULL,
    UNIQUE (issuer_id, serial)
) STRICT;
CREATE INDEX certificates_by_end ON certificates (org_id, not_after, id);
CREATE INDEX certificates_by_device ON certificates (device, issued_at);
CREATE INDEX certificates_by_key ON certificates (spki_sha256);
CREATE INDEX certificates_by_trust ON certificates (trust_seq);

-- Keys that never get a certificate again.
CREATE TABLE blocked_keys (
    spki_sha256 BLOB    PRIMARY KEY,
    org_id      TEXT    NOT NULL REFERENCES organizations (id),
    reason      TEXT    NOT NULL,
    blocked_at  INTEGER NOT NULL
) STRICT;

-- One row. Its lock orders the transactions that change trust, so a reader that saw seq n has seen everything up to n.
CREATE TABLE trust_clock (
    id  INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO trust_clock (id, seq) VALUES (1, 0);

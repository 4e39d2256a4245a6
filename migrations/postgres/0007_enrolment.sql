-- What a token is bound to (E-1), and requests to join that wait for a person (E-6).

ALTER TABLE enrolment_tokens ADD COLUMN source TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE enrolment_tokens ADD COLUMN mode TEXT COLLATE "C" NOT NULL DEFAULT 'auto';
ALTER TABLE enrolment_tokens ADD COLUMN spki_sha256 TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE enrolment_tokens ADD COLUMN csr_sha256 TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Whether devices without a token may ask to join.
ALTER TABLE organizations ADD COLUMN open_enrolment BOOLEAN NOT NULL DEFAULT FALSE;

-- One key that asks with one token, or with none: then token_id is empty. Kept until it expires, so that an answer can be given again.
CREATE TABLE enrolment_requests (
    id             TEXT COLLATE "C" PRIMARY KEY,
    org_id         TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    token_id       TEXT COLLATE "C" NOT NULL,
    spki_sha256    BYTEA NOT NULL,
    csr_sha256     BYTEA NOT NULL,
    device_id      TEXT COLLATE "C" NOT NULL,
    device_type    TEXT COLLATE "C" NOT NULL,
    hardware       TEXT COLLATE "C" NOT NULL,
    attributes     TEXT COLLATE "C" NOT NULL,
    key_alg        TEXT COLLATE "C" NOT NULL,
    address        TEXT COLLATE "C" NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,
    asked_at       BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    decided_at     BIGINT,
    decided_by     TEXT COLLATE "C" NOT NULL DEFAULT '',
    certificate_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    issued_at      BIGINT NOT NULL DEFAULT 0,
    UNIQUE (org_id, token_id, spki_sha256)
);
CREATE INDEX enrolment_requests_by_state ON enrolment_requests (org_id, state, asked_at);

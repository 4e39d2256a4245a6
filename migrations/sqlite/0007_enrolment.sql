-- What a token is bound to (E-1), and requests to join that wait for a person (E-6).

ALTER TABLE enrolment_tokens ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE enrolment_tokens ADD COLUMN mode TEXT NOT NULL DEFAULT 'auto';
ALTER TABLE enrolment_tokens ADD COLUMN spki_sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE enrolment_tokens ADD COLUMN csr_sha256 TEXT NOT NULL DEFAULT '';

-- Whether devices without a token may ask to join.
ALTER TABLE organizations ADD COLUMN open_enrolment INTEGER NOT NULL DEFAULT FALSE;

-- One key that asks with one token, or with none: then token_id is empty. Kept until it expires, so that an answer can be given again.
CREATE TABLE enrolment_requests (
    id             TEXT PRIMARY KEY,
    org_id         TEXT NOT NULL REFERENCES organizations (id),
    token_id       TEXT NOT NULL,
    spki_sha256    BLOB NOT NULL,
    csr_sha256     BLOB NOT NULL,
    device_id      TEXT NOT NULL,
    device_type    TEXT NOT NULL,
    hardware       TEXT NOT NULL,
    attributes     TEXT NOT NULL,
    key_alg        TEXT NOT NULL,
    address        TEXT NOT NULL,
    state          TEXT NOT NULL,
    asked_at       INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    decided_at     INTEGER,
    decided_by     TEXT NOT NULL DEFAULT '',
    certificate_id TEXT NOT NULL DEFAULT '',
    issued_at      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (org_id, token_id, spki_sha256)
) STRICT;
CREATE INDEX enrolment_requests_by_state ON enrolment_requests (org_id, state, asked_at);

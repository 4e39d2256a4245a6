-- Batches of CSRs from a factory (E-7): what was sent, line by line, and what became of it.

CREATE TABLE enrolment_batches (
    id          TEXT PRIMARY KEY,
    org_id      TEXT NOT NULL REFERENCES organizations (id),
    label       TEXT NOT NULL,
    device_type TEXT NOT NULL,
    tags        TEXT NOT NULL,
    state       TEXT NOT NULL,
    lines       INTEGER NOT NULL DEFAULT 0,
    issued      INTEGER NOT NULL DEFAULT 0,
    registered  INTEGER NOT NULL DEFAULT 0,
    refused     INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    ended_at    INTEGER
) STRICT;
CREATE INDEX enrolment_batches_by_org ON enrolment_batches (org_id, created_at);
CREATE INDEX enrolment_batches_by_state ON enrolment_batches (state, created_at);

CREATE TABLE enrolment_batch_lines (
    batch_id       TEXT NOT NULL REFERENCES enrolment_batches (id),
    line           INTEGER NOT NULL,
    label          TEXT NOT NULL,
    device_id      TEXT NOT NULL,
    device_type    TEXT NOT NULL,
    tags           TEXT NOT NULL,
    -- PKCS#10 as it came; emptied once the line is done.
    csr            BLOB NOT NULL,
    state          TEXT NOT NULL,
    code           TEXT NOT NULL,
    message        TEXT NOT NULL,
    certificate_id TEXT NOT NULL,
    PRIMARY KEY (batch_id, line)
) STRICT;
CREATE INDEX enrolment_batch_lines_by_state ON enrolment_batch_lines (batch_id, state, line);

-- Shared certificates by which devices ask for their own (E-9).
CREATE TABLE claims (
    id             TEXT PRIMARY KEY,
    org_id         TEXT NOT NULL REFERENCES organizations (id),
    label          TEXT NOT NULL,
    pattern        TEXT NOT NULL,
    device_type    TEXT NOT NULL,
    tags           TEXT NOT NULL,
    certificate_id TEXT NOT NULL REFERENCES certificates (id),
    -- Made by a person who stands at the device: one use, five minutes.
    trusted_user   INTEGER NOT NULL,
    max_uses       INTEGER NOT NULL,
    uses           INTEGER NOT NULL DEFAULT 0,
    per_minute     INTEGER NOT NULL,
    window_at      INTEGER NOT NULL DEFAULT 0,
    window_uses    INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    created_by     TEXT NOT NULL,
    expires_at     INTEGER NOT NULL,
    disabled_at    INTEGER,
    last_used_at   INTEGER,
    -- trust_clock.seq of the last change that matters to a handshake.
    trust_seq      INTEGER NOT NULL
) STRICT;
CREATE INDEX claims_by_org ON claims (org_id, created_at);
CREATE INDEX claims_by_trust ON claims (trust_seq);

-- What each use of a claim gave out, so that a lost answer can be given again (E-3), and which devices it let in.
CREATE TABLE claim_enrolments (
    claim_id       TEXT NOT NULL REFERENCES claims (id),
    org_id         TEXT NOT NULL REFERENCES organizations (id),
    csr_sha256     BLOB NOT NULL,
    spki_sha256    BLOB NOT NULL,
    device         INTEGER NOT NULL REFERENCES devices (number),
    certificate_id TEXT NOT NULL,
    at             INTEGER NOT NULL,
    PRIMARY KEY (claim_id, spki_sha256, csr_sha256)
) STRICT;
CREATE INDEX claim_enrolments_by_device ON claim_enrolments (claim_id, device);

-- Batches of CSRs from a factory (E-7): what was sent, line by line, and what became of it.

CREATE TABLE enrolment_batches (
    id          TEXT COLLATE "C" PRIMARY KEY,
    org_id      TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    label       TEXT COLLATE "C" NOT NULL,
    device_type TEXT COLLATE "C" NOT NULL,
    tags        TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    lines       BIGINT NOT NULL DEFAULT 0,
    issued      BIGINT NOT NULL DEFAULT 0,
    registered  BIGINT NOT NULL DEFAULT 0,
    refused     BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    ended_at    BIGINT
);
CREATE INDEX enrolment_batches_by_org ON enrolment_batches (org_id, created_at);
CREATE INDEX enrolment_batches_by_state ON enrolment_batches (state, created_at);

CREATE TABLE enrolment_batch_lines (
    batch_id       TEXT COLLATE "C" NOT NULL REFERENCES enrolment_batches (id),
    line           BIGINT NOT NULL,
    label          TEXT COLLATE "C" NOT NULL,
    device_id      TEXT COLLATE "C" NOT NULL,
    device_type    TEXT COLLATE "C" NOT NULL,
    tags           TEXT COLLATE "C" NOT NULL,
    -- PKCS#10 as it came; emptied once the line is done.
    csr            BYTEA NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,
    code           TEXT COLLATE "C" NOT NULL,
    message        TEXT COLLATE "C" NOT NULL,
    certificate_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (batch_id, line)
);
CREATE INDEX enrolment_batch_lines_by_state ON enrolment_batch_lines (batch_id, state, line);

-- Shared certificates by which devices ask for their own (E-9).
CREATE TABLE claims (
    id             TEXT COLLATE "C" PRIMARY KEY,
    org_id         TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    label          TEXT COLLATE "C" NOT NULL,
    pattern        TEXT COLLATE "C" NOT NULL,
    device_type    TEXT COLLATE "C" NOT NULL,
    tags           TEXT COLLATE "C" NOT NULL,
    certificate_id TEXT COLLATE "C" NOT NULL REFERENCES certificates (id),
    -- Made by a person who stands at the device: one use, five minutes.
    trusted_user   BOOLEAN NOT NULL,
    max_uses       BIGINT NOT NULL,
    uses           BIGINT NOT NULL DEFAULT 0,
    per_minute     BIGINT NOT NULL,
    window_at      BIGINT NOT NULL DEFAULT 0,
    window_uses    BIGINT NOT NULL DEFAULT 0,
    created_at     BIGINT NOT NULL,
    created_by     TEXT COLLATE "C" NOT NULL,
    expires_at     BIGINT NOT NULL,
    disabled_at    BIGINT,
    last_used_at   BIGINT,
    -- trust_clock.seq of the last change that matters to a handshake.
    trust_seq      BIGINT NOT NULL
);
CREATE INDEX claims_by_org ON claims (org_id, created_at);
CREATE INDEX claims_by_trust ON claims (trust_seq);

-- What each use of a claim gave out, so that a lost answer can be given again (E-3), and which devices it let in.
CREATE TABLE claim_enrolments (
    claim_id       TEXT COLLATE "C" NOT NULL REFERENCES claims (id),
    org_id         TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    csr_sha256     BYTEA NOT NULL,
    spki_sha256    BYTEA NOT NULL,
    device         BIGINT NOT NULL REFERENCES devices (number),
    certificate_id TEXT COLLATE "C" NOT NULL,
    at             BIGINT NOT NULL,
    PRIMARY KEY (claim_id, spki_sha256, csr_sha256)
);
CREATE INDEX claim_enrolments_by_device ON claim_enrolments (claim_id, device);

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

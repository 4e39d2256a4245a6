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

-- Rollouts, their stages, each device's part in them, decisions and history.

-- `cut`, `doors_until` and `last_device` are what a device's poll looks at: its place is computed, so a stage advances by one row.
CREATE TABLE rollouts (
    id           TEXT    NOT NULL PRIMARY KEY,
    org_id       TEXT    NOT NULL REFERENCES organizations (id),
    name         TEXT    NOT NULL,
    release_id   TEXT    NOT NULL REFERENCES releases (id),
    device_type  TEXT    NOT NULL,
    hardware     TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    sequence     INTEGER NOT NULL,
    min_sequence INTEGER NOT NULL,
    selector     TEXT    NOT NULL,
    spec         TEXT    NOT NULL,
    digest       TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    summary      TEXT    NOT NULL,
    generation   INTEGER NOT NULL,
    author       TEXT    NOT NULL,
    author_name  TEXT    NOT NULL,
    begin_at     INTEGER,
    timeout_ms   INTEGER NOT NULL,
    stage        INTEGER NOT NULL,
    cut          INTEGER NOT NULL,
    doors_until  INTEGER NOT NULL,
    last_device  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX rollouts_by_state ON rollouts (org_id, state, id);
CREATE INDEX rollouts_by_type ON rollouts (org_id, device_type, state);
CREATE INDEX rollouts_by_release ON rollouts (org_id, release_id, id);

-- The counts are kept by whoever moves an update, in the same transaction; `tally` rises with each of these changes.
CREATE TABLE rollout_stages (
    rollout_id     TEXT    NOT NULL REFERENCES rollouts (id),
    org_id         TEXT    NOT NULL REFERENCES organizations (id),
    number         INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    cut            INTEGER NOT NULL,
    total          INTEGER NOT NULL DEFAULT 0,
    waiting        INTEGER NOT NULL DEFAULT 0,
    updating       INTEGER NOT NULL DEFAULT 0,
    succeeded      INTEGER NOT NULL DEFAULT 0,
    failed         INTEGER NOT NULL DEFAULT 0,
    reverted       INTEGER NOT NULL DEFAULT 0,
    timed_out      INTEGER NOT NULL DEFAULT 0,
    rejected       INTEGER NOT NULL DEFAULT 0,
    left_out       INTEGER NOT NULL DEFAULT 0,
    tally          INTEGER NOT NULL DEFAULT 0,
    counted        INTEGER NOT NULL DEFAULT -1,
    counted_at     INTEGER NOT NULL DEFAULT 0,
    seen_finished  INTEGER NOT NULL DEFAULT 0,
    seen_succeeded INTEGER NOT NULL DEFAULT 0,
    seen_errors    INTEGER NOT NULL DEFAULT 0,
    started_at     INTEGER,
    soak_until     INTEGER,
    ended_at       INTEGER,
    verdict        TEXT,
    PRIMARY KEY (rollout_id, number)
) STRICT;

-- One row an attempt. `open`: the device was told and has not finished; `latest`: the device's newest attempt in this rollout; `again`: it is
-- to be offered once more and counts as waiting.
CREATE TABLE updates (
    id           TEXT    NOT NULL PRIMARY KEY,
    org_id       TEXT    NOT NULL REFERENCES organizations (id),
    rollout_id   TEXT    NOT NULL REFERENCES rollouts (id),
    device       INTEGER NOT NULL REFERENCES devices (number),
    stage        INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    open         INTEGER NOT NULL,
    latest       INTEGER NOT NULL,
    again        INTEGER NOT NULL,
    progress     INTEGER,
    code         TEXT    NOT NULL DEFAULT '',
    detail       TEXT    NOT NULL DEFAULT '',
    from_version TEXT    NOT NULL,
    attempts     INTEGER NOT NULL,
    deadline     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    ended_at     INTEGER
) STRICT;
-- A device does one update at a time, whatever the number of rollouts and instances.
CREATE UNIQUE INDEX updates_one_open ON updates (device) WHERE open = TRUE;
CREATE UNIQUE INDEX updates_one_latest ON updates (rollout_id, device) WHERE latest = TRUE;
CREATE INDEX updates_by_device ON updates (device, id);
CREATE INDEX updates_overdue ON updates (rollout_id, deadline) WHERE open = TRUE;
CREATE INDEX updates_open_by_org ON updates (org_id, rollout_id) WHERE open = TRUE;

CREATE TABLE approvals (
    id         TEXT    NOT NULL PRIMARY KEY,
    org_id     TEXT    NOT NULL REFERENCES organizations (id),
    rollout_id TEXT    NOT NULL REFERENCES rollouts (id),
    by_user    TEXT    NOT NULL,
    by_name    TEXT    NOT NULL,
    approved   INTEGER NOT NULL,
    remark     TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    void       INTEGER NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX approvals_by_rollout ON approvals (rollout_id, id);
CREATE INDEX approvals_by_time ON approvals (org_id, at);

CREATE TABLE rollout_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id     TEXT    NOT NULL REFERENCES organizations (id),
    rollout_id TEXT    NOT NULL REFERENCES rollouts (id),
    at         INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    tone       TEXT    NOT NULL
) STRICT;
CREATE INDEX rollout_events_by_rollout ON rollout_events (rollout_id, id);

-- Devices, what is known of them, and how they get in.

CREATE TABLE devices (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id          TEXT NOT NULL REFERENCES organizations (id),
    device_id       TEXT NOT NULL,
    device_id_lower TEXT NOT NULL,
    device_type     TEXT NOT NULL,
    hardware        TEXT NOT NULL,
    state           TEXT NOT NULL,
    enrolled_at     INTEGER  NOT NULL,
    enrolled_by     TEXT NOT NULL,
    version         TEXT NOT NULL DEFAULT '',
    sequence        INTEGER  NOT NULL DEFAULT 0,
    online          INTEGER NOT NULL DEFAULT FALSE,
    connected_at    INTEGER,
    last_seen_at    INTEGER  NOT NULL DEFAULT 0,
    address         TEXT NOT NULL DEFAULT '',
    agent           TEXT NOT NULL DEFAULT '',
    boot_id         TEXT NOT NULL DEFAULT '',
    -- The state of its newest update, kept by the rollouts room in the update's own transaction.
    update_state    TEXT NOT NULL DEFAULT '',
    UNIQUE (org_id, device_id_lower)
) STRICT;
CREATE INDEX devices_by_last_seen ON devices (org_id, last_seen_at, number);
CREATE INDEX devices_by_version ON devices (org_id, version, number);
CREATE INDEX devices_by_type ON devices (org_id, device_type, version, number);
CREATE INDEX devices_by_state ON devices (org_id, state, online, update_state);

CREATE TABLE device_tags (
    device INTEGER  NOT NULL REFERENCES devices (number),
    org_id TEXT NOT NULL REFERENCES organizations (id),
    tag    TEXT NOT NULL,
    PRIMARY KEY (device, tag)
) STRICT;
CREATE INDEX device_tags_by_tag ON device_tags (org_id, tag, device);

CREATE TABLE device_attributes (
    device INTEGER  NOT NULL REFERENCES devices (number),
    org_id TEXT NOT NULL REFERENCES organizations (id),
    name   TEXT NOT NULL,
    value  TEXT NOT NULL,
    PRIMARY KEY (device, name)
) STRICT;
CREATE INDEX device_attributes_by_value ON device_attributes (org_id, name, value, device);

CREATE TABLE connections (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id     TEXT NOT NULL REFERENCES organizations (id),
    device     INTEGER  NOT NULL REFERENCES devices (number),
    started_at INTEGER  NOT NULL,
    ended_at   INTEGER,
    address    TEXT NOT NULL,
    reason     TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX connections_by_device ON connections (device, started_at);
CREATE INDEX connections_open ON connections (ended_at, device);

CREATE TABLE enrolment_tokens (
    id           TEXT  PRIMARY KEY,
    org_id       TEXT  NOT NULL REFERENCES organizations (id),
    label        TEXT  NOT NULL,
    pattern      TEXT  NOT NULL,
    device_type  TEXT  NOT NULL,
    tags         TEXT  NOT NULL,
    max_uses     INTEGER   NOT NULL,
    uses         INTEGER   NOT NULL DEFAULT 0,
    secret_hash  BLOB NOT NULL,
    created_at   INTEGER   NOT NULL,
    created_by   TEXT  NOT NULL,
    expires_at   INTEGER   NOT NULL,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT;
CREATE INDEX enrolment_tokens_by_org ON enrolment_tokens (org_id, created_at);

-- What each use of a token gave out, so that a lost answer can be given again (E-3).
CREATE TABLE enrolments (
    token_id       TEXT  NOT NULL REFERENCES enrolment_tokens (id),
    org_id         TEXT  NOT NULL REFERENCES organizations (id),
    csr_sha256     BLOB NOT NULL,
    spki_sha256    BLOB NOT NULL,
    device         INTEGER   NOT NULL REFERENCES devices (number),
    certificate_id TEXT  NOT NULL,
    at             INTEGER   NOT NULL,
    PRIMARY KEY (token_id, spki_sha256, csr_sha256)
) STRICT;

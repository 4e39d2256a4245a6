-- Signing keys, uploads, releases with their files, and answers kept for repeated requests.

CREATE TABLE signing_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    org_id     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    keyid      TEXT    NOT NULL,
    public_key BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL,
    revoked_at INTEGER,
    UNIQUE (org_id, keyid)
) STRICT;

-- `received` bytes are synced. `sha256` is set when all bytes are there, `stored_at` when they are in the artifact store.
CREATE TABLE uploads (
    id         TEXT    NOT NULL PRIMARY KEY,
    org_id     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    expected   TEXT,
    received   INTEGER NOT NULL,
    sha256     TEXT,
    stored_at  INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL,
    touched_at INTEGER NOT NULL
) STRICT;
CREATE INDEX uploads_by_touch ON uploads (touched_at);
CREATE INDEX uploads_by_org ON uploads (org_id);
CREATE INDEX uploads_by_content ON uploads (sha256);

CREATE TABLE releases (
    id              TEXT    NOT NULL PRIMARY KEY,
    org_id          TEXT    NOT NULL,
    device_type     TEXT    NOT NULL,
    version         TEXT    NOT NULL,
    sequence        INTEGER NOT NULL,
    min_sequence    INTEGER NOT NULL,
    hardware        TEXT    NOT NULL,
    notes           TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    quarantine      TEXT    NOT NULL,
    size            INTEGER NOT NULL,
    envelope        BLOB,
    envelope_sha256 TEXT    NOT NULL,
    signed_by       TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      TEXT    NOT NULL,
    changed_at      INTEGER NOT NULL
) STRICT;
-- A draft may claim any version; what was verified owns its version and its sequence.
CREATE UNIQUE INDEX releases_by_version ON releases (org_id, device_type, version) WHERE state <> 'draft';
CREATE UNIQUE INDEX releases_by_sequence ON releases (org_id, device_type, sequence) WHERE state <> 'draft';
CREATE INDEX releases_by_org ON releases (org_id, id);

CREATE TABLE release_files (
    org_id     TEXT    NOT NULL,
    release_id TEXT    NOT NULL REFERENCES releases (id),
    position   INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    sha256     TEXT    NOT NULL,
    PRIMARY KEY (release_id, position)
) STRICT;
CREATE INDEX release_files_by_content ON release_files (sha256);

-- `answered_at` is null while the first request is still being carried out.
CREATE TABLE repeats (
    org_id      TEXT    NOT NULL,
    caller      TEXT    NOT NULL,
    request_key TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    begun_at    INTEGER NOT NULL,
    answered_at INTEGER,
    status      INTEGER NOT NULL,
    body        TEXT    NOT NULL,
    PRIMARY KEY (org_id, caller, request_key)
) STRICT;
CREATE INDEX repeats_by_age ON repeats (begun_at);

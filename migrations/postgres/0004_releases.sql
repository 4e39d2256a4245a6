-- Signing keys, uploads, releases with their files, and answers kept for repeated requests.

CREATE TABLE signing_keys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id     TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    keyid      TEXT COLLATE "C" NOT NULL,
    public_key BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    revoked_at BIGINT,
    UNIQUE (org_id, keyid)
);

-- `received` bytes are synced. `sha256` is set when all bytes are there, `stored_at` when they are in the artifact store.
CREATE TABLE uploads (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id     TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    size       BIGINT NOT NULL,
    expected   TEXT COLLATE "C",
    received   BIGINT NOT NULL,
    sha256     TEXT COLLATE "C",
    stored_at  BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    touched_at BIGINT NOT NULL
);
CREATE INDEX uploads_by_touch ON uploads (touched_at);
CREATE INDEX uploads_by_org ON uploads (org_id);
CREATE INDEX uploads_by_content ON uploads (sha256);

CREATE TABLE releases (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id          TEXT COLLATE "C" NOT NULL,
    device_type     TEXT COLLATE "C" NOT NULL,
    version         TEXT COLLATE "C" NOT NULL,
    sequence        BIGINT NOT NULL,
    min_sequence    BIGINT NOT NULL,
    hardware        TEXT COLLATE "C" NOT NULL,
    notes           TEXT COLLATE "C" NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    quarantine      TEXT COLLATE "C" NOT NULL,
    size            BIGINT NOT NULL,
    envelope        BYTEA,
    envelope_sha256 TEXT COLLATE "C" NOT NULL,
    signed_by       TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    created_by      TEXT COLLATE "C" NOT NULL,
    changed_at      BIGINT NOT NULL
);
-- A draft may claim any version; what was verified owns its version and its sequence.
CREATE UNIQUE INDEX releases_by_version ON releases (org_id, device_type, version) WHERE state <> 'draft';
CREATE UNIQUE INDEX releases_by_sequence ON releases (org_id, device_type, sequence) WHERE state <> 'draft';
CREATE INDEX releases_by_org ON releases (org_id, id);

CREATE TABLE release_files (
    org_id     TEXT COLLATE "C" NOT NULL,
    release_id TEXT COLLATE "C" NOT NULL REFERENCES releases (id),
    position   BIGINT NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    size       BIGINT NOT NULL,
    sha256     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (release_id, position)
);
CREATE INDEX release_files_by_content ON release_files (sha256);

-- `answered_at` is null while the first request is still being carried out.
CREATE TABLE repeats (
    org_id      TEXT COLLATE "C" NOT NULL,
    caller      TEXT COLLATE "C" NOT NULL,
    request_key TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    begun_at    BIGINT NOT NULL,
    answered_at BIGINT,
    status      BIGINT NOT NULL,
    body        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, caller, request_key)
);
CREATE INDEX repeats_by_age ON repeats (begun_at);

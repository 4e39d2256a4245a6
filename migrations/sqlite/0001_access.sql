-- People, sessions, tokens, and the audit chain.

CREATE TABLE organizations (
    id         TEXT PRIMARY KEY,
    slug       TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    created_at INTEGER  NOT NULL
) STRICT;

-- Small secrets of the instance, sealed under the key-encryption key, which is not in the database.
CREATE TABLE sealed_secrets (
    name   TEXT  PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL REFERENCES organizations (id),
    email         TEXT NOT NULL,
    email_lower   TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    INTEGER  NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT FALSE
) STRICT;
CREATE INDEX users_by_org ON users (org_id, name, id);

-- Tries to sign in since the last success, by address: also of addresses that nobody here has, so that a lock tells nothing. Kept a day.
CREATE TABLE sign_in_attempts (
    email_lower  TEXT    PRIMARY KEY,
    failures     INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (at);

CREATE TABLE sessions (
    id            TEXT  PRIMARY KEY,
    org_id        TEXT  NOT NULL REFERENCES organizations (id),
    user_id       TEXT  NOT NULL REFERENCES users (id),
    refresh_hash  BLOB NOT NULL,
    previous_hash BLOB,
    rotated_at    INTEGER   NOT NULL,
    created_at    INTEGER   NOT NULL,
    last_seen_at  INTEGER   NOT NULL,
    expires_at    INTEGER   NOT NULL,
    ended_at      INTEGER,
    address       TEXT  NOT NULL,
    user_agent    TEXT  NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

CREATE TABLE api_tokens (
    id           TEXT  PRIMARY KEY,
    org_id       TEXT  NOT NULL REFERENCES organizations (id),
    user_id      TEXT  NOT NULL REFERENCES users (id),
    name         TEXT  NOT NULL,
    role         TEXT  NOT NULL,
    secret_hash  BLOB NOT NULL,
    created_at   INTEGER   NOT NULL,
    expires_at   INTEGER   NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE INDEX api_tokens_by_org ON api_tokens (org_id, created_at);

-- One chain an organization: the head's row is the lock that orders writers.
CREATE TABLE audit_heads (
    org_id TEXT  PRIMARY KEY REFERENCES organizations (id),
    seq    INTEGER   NOT NULL,
    hash   BLOB NOT NULL
) STRICT;

CREATE TABLE audit (
    org_id  TEXT  NOT NULL REFERENCES organizations (id),
    seq     INTEGER   NOT NULL,
    at      INTEGER   NOT NULL,
    actor   TEXT  NOT NULL,
    address TEXT  NOT NULL,
    action  TEXT  NOT NULL,
    object  TEXT  NOT NULL,
    detail  TEXT  NOT NULL,
    hash    BLOB NOT NULL,
    PRIMARY KEY (org_id, seq)
) STRICT;

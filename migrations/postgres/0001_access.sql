-- People, sessions, tokens, and the audit chain.

CREATE TABLE organizations (
    id         TEXT COLLATE "C" PRIMARY KEY,
    slug       TEXT COLLATE "C" NOT NULL UNIQUE,
    name       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT  NOT NULL
);

-- Small secrets of the instance, sealed under the key-encryption key, which is not in the database.
CREATE TABLE sealed_secrets (
    name   TEXT COLLATE "C"  PRIMARY KEY,
    sealed BYTEA NOT NULL
);

CREATE TABLE users (
    id            TEXT COLLATE "C" PRIMARY KEY,
    org_id        TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    email         TEXT COLLATE "C" NOT NULL,
    email_lower   TEXT COLLATE "C" NOT NULL UNIQUE,
    name          TEXT COLLATE "C" NOT NULL,
    role          TEXT COLLATE "C" NOT NULL,
    password_hash TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT  NOT NULL,
    disabled      BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX users_by_org ON users (org_id, name, id);

-- Tries to sign in since the last success, by address: also of addresses that nobody here has, so that a lock tells nothing. Kept a day.
CREATE TABLE sign_in_attempts (
    email_lower  TEXT COLLATE "C" PRIMARY KEY,
    failures     BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    at           BIGINT NOT NULL
);
CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (at);

CREATE TABLE sessions (
    id            TEXT COLLATE "C"  PRIMARY KEY,
    org_id        TEXT COLLATE "C"  NOT NULL REFERENCES organizations (id),
    user_id       TEXT COLLATE "C"  NOT NULL REFERENCES users (id),
    refresh_hash  BYTEA NOT NULL,
    previous_hash BYTEA,
    rotated_at    BIGINT   NOT NULL,
    created_at    BIGINT   NOT NULL,
    last_seen_at  BIGINT   NOT NULL,
    expires_at    BIGINT   NOT NULL,
    ended_at      BIGINT,
    address       TEXT COLLATE "C"  NOT NULL,
    user_agent    TEXT COLLATE "C"  NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);

CREATE TABLE api_tokens (
    id           TEXT COLLATE "C"  PRIMARY KEY,
    org_id       TEXT COLLATE "C"  NOT NULL REFERENCES organizations (id),
    user_id      TEXT COLLATE "C"  NOT NULL REFERENCES users (id),
    name         TEXT COLLATE "C"  NOT NULL,
    role         TEXT COLLATE "C"  NOT NULL,
    secret_hash  BYTEA NOT NULL,
    created_at   BIGINT   NOT NULL,
    expires_at   BIGINT   NOT NULL,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE INDEX api_tokens_by_org ON api_tokens (org_id, created_at);

-- One chain an organization: the head's row is the lock that orders writers.
CREATE TABLE audit_heads (
    org_id TEXT COLLATE "C"  PRIMARY KEY REFERENCES organizations (id),
    seq    BIGINT   NOT NULL,
    hash   BYTEA NOT NULL
);

CREATE TABLE audit (
    org_id  TEXT COLLATE "C"  NOT NULL REFERENCES organizations (id),
    seq     BIGINT   NOT NULL,
    at      BIGINT   NOT NULL,
    actor   TEXT COLLATE "C"  NOT NULL,
    address TEXT COLLATE "C"  NOT NULL,
    action  TEXT COLLATE "C"  NOT NULL,
    object  TEXT COLLATE "C"  NOT NULL,
    detail  TEXT COLLATE "C"  NOT NULL,
    hash    BYTEA NOT NULL,
    PRIMARY KEY (org_id, seq)
);

-- Whether two people decide on authorities (pki.md K-6): 'off' or 'on'.
ALTER TABLE organizations ADD COLUMN authority_approvals TEXT COLLATE "C" NOT NULL DEFAULT 'off';

-- Requests for a second person. Each is decided once; nothing is deleted.
CREATE TABLE consents (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id         TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    -- JSON of what should be done, and of what that does to which authority.
    deed           TEXT COLLATE "C" NOT NULL,
    effects        TEXT COLLATE "C" NOT NULL,
    -- Hex of SHA-256 over both.
    digest         TEXT COLLATE "C" NOT NULL,
    asked_by       TEXT COLLATE "C" NOT NULL,
    asked_name     TEXT COLLATE "C" NOT NULL,
    remark         TEXT COLLATE "C" NOT NULL,
    asked_at       BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,
    decided_name   TEXT COLLATE "C" NOT NULL DEFAULT '',
    decided_remark TEXT COLLATE "C" NOT NULL DEFAULT '',
    decided_at     BIGINT
);
CREATE INDEX consents_by_state ON consents (org_id, state, asked_at);

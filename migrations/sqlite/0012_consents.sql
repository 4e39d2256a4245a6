-- Whether two people decide on authorities (pki.md K-6): 'off' or 'on'.
ALTER TABLE organizations ADD COLUMN authority_approvals TEXT NOT NULL DEFAULT 'off';

-- Requests for a second person. Each is decided once; nothing is deleted.
CREATE TABLE consents (
    id             TEXT NOT NULL PRIMARY KEY,
    org_id         TEXT NOT NULL REFERENCES organizations (id),
    -- JSON of what should be done, and of what that does to which authority.
    deed           TEXT NOT NULL,
    effects        TEXT NOT NULL,
    -- Hex of SHA-256 over both.
    digest         TEXT NOT NULL,
    asked_by       TEXT NOT NULL,
    asked_name     TEXT NOT NULL,
    remark         TEXT NOT NULL,
    asked_at       INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    state          TEXT NOT NULL,
    decided_name   TEXT NOT NULL DEFAULT '',
    decided_remark TEXT NOT NULL DEFAULT '',
    decided_at     INTEGER
) STRICT;
CREATE INDEX consents_by_state ON consents (org_id, state, asked_at);

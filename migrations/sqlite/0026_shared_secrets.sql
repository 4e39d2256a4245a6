-- Shared secrets by which devices without a certificate speak hawkBit's protocol (DDI), and the switch that lets them.

-- Whether target and gateway tokens count at all, and whether a gateway may announce devices that nobody knows.
ALTER TABLE organizations ADD COLUMN shared_secrets INTEGER NOT NULL DEFAULT FALSE;
ALTER TABLE organizations ADD COLUMN shared_newcomers INTEGER NOT NULL DEFAULT FALSE;

-- One secret for one device; a new one takes the place of the old.
CREATE TABLE target_tokens (
    device       INTEGER NOT NULL PRIMARY KEY REFERENCES devices (number),
    id           TEXT    NOT NULL UNIQUE,
    org_id       TEXT    NOT NULL REFERENCES organizations (id),
    secret_hash  BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    created_by   TEXT    NOT NULL,
    last_used_at INTEGER
) STRICT;

-- One secret for every device of an organization that has no certificate.
CREATE TABLE gateway_tokens (
    id           TEXT    NOT NULL PRIMARY KEY,
    org_id       TEXT    NOT NULL REFERENCES organizations (id),
    label        TEXT    NOT NULL,
    -- Given to devices that it announces.
    device_type  TEXT    NOT NULL,
    secret_hash  BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    created_by   TEXT    NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE INDEX gateway_tokens_by_org ON gateway_tokens (org_id, created_at);

-- Shared secrets by which devices without a certificate speak hawkBit's protocol (DDI), and the switch that lets them.

-- Whether target and gateway tokens count at all, and whether a gateway may announce devices that nobody knows.
ALTER TABLE organizations ADD COLUMN shared_secrets BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE organizations ADD COLUMN shared_newcomers BOOLEAN NOT NULL DEFAULT FALSE;

-- One secret for one device; a new one takes the place of the old.
CREATE TABLE target_tokens (
    device       BIGINT NOT NULL PRIMARY KEY REFERENCES devices (number),
    id           TEXT COLLATE "C" NOT NULL UNIQUE,
    org_id       TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    secret_hash  BYTEA   NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT COLLATE "C" NOT NULL,
    last_used_at BIGINT
);

-- One secret for every device of an organization that has no certificate.
CREATE TABLE gateway_tokens (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id       TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    label        TEXT COLLATE "C" NOT NULL,
    -- Given to devices that it announces.
    device_type  TEXT COLLATE "C" NOT NULL,
    secret_hash  BYTEA   NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT COLLATE "C" NOT NULL,
    last_used_at BIGINT,
    revoked_at   BIGINT
);
CREATE INDEX gateway_tokens_by_org ON gateway_tokens (org_id, created_at);

-- Confirmation by a person at the device, and groups of devices.

-- Kept of the plan, so that a poll need not read it.
ALTER TABLE rollouts ADD COLUMN confirm_at_device BOOLEAN NOT NULL DEFAULT FALSE;
-- Of devices that speak hawkBit's protocol: somebody has confirmed this action there.
ALTER TABLE ddi_actions ADD COLUMN confirmed BOOLEAN NOT NULL DEFAULT FALSE;
-- Of the same devices: since when whatever comes counts as confirmed, by whom and why; none when each is asked for.
ALTER TABLE devices ADD COLUMN auto_confirm_at BIGINT;
ALTER TABLE devices ADD COLUMN auto_confirm_by TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN auto_confirm_remark TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Devices that people have put together by hand, under a name.
CREATE TABLE device_groups (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id     TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    name       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    UNIQUE (org_id, name)
);
CREATE TABLE group_members (
    group_id TEXT COLLATE "C" NOT NULL REFERENCES device_groups (id),
    device   BIGINT NOT NULL REFERENCES devices (number),
    org_id   TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (group_id, device)
);
CREATE INDEX group_members_by_device ON group_members (org_id, device);

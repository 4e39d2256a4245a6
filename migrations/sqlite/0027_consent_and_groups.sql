-- Confirmation by a person at the device, and groups of devices.

-- Kept of the plan, so that a poll need not read it.
ALTER TABLE rollouts ADD COLUMN confirm_at_device INTEGER NOT NULL DEFAULT FALSE;
-- Of devices that speak hawkBit's protocol: somebody has confirmed this action there.
ALTER TABLE ddi_actions ADD COLUMN confirmed INTEGER NOT NULL DEFAULT FALSE;
-- Of the same devices: since when whatever comes counts as confirmed, by whom and why; none when each is asked for.
ALTER TABLE devices ADD COLUMN auto_confirm_at INTEGER;
ALTER TABLE devices ADD COLUMN auto_confirm_by TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN auto_confirm_remark TEXT NOT NULL DEFAULT '';

-- Devices that people have put together by hand, under a name.
CREATE TABLE device_groups (
    id         TEXT    NOT NULL PRIMARY KEY,
    org_id     TEXT    NOT NULL REFERENCES organizations (id),
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL,
    UNIQUE (org_id, name)
) STRICT;
CREATE TABLE group_members (
    group_id TEXT    NOT NULL REFERENCES device_groups (id),
    device   INTEGER NOT NULL REFERENCES devices (number),
    org_id   TEXT    NOT NULL REFERENCES organizations (id),
    PRIMARY KEY (group_id, device)
) STRICT;
CREATE INDEX group_members_by_device ON group_members (org_id, device);

-- Confirmation by a person at the device.

-- Kept of the plan, so that a poll need not read it.
ALTER TABLE rollouts ADD COLUMN confirm_at_device BOOLEAN NOT NULL DEFAULT FALSE;
-- Of devices that speak hawkBit's protocol: somebody has confirmed this action there.
ALTER TABLE ddi_actions ADD COLUMN confirmed BOOLEAN NOT NULL DEFAULT FALSE;
-- Of the same devices: since when whatever comes counts as confirmed, by whom and why; none when each is asked for.
ALTER TABLE devices ADD COLUMN auto_confirm_at BIGINT;
ALTER TABLE devices ADD COLUMN auto_confirm_by TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN auto_confirm_remark TEXT COLLATE "C" NOT NULL DEFAULT '';

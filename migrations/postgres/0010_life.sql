-- What an organization does about clones (R-2), keys at renewal (R-3) and certificates that have ended (R-4).
ALTER TABLE organizations ADD COLUMN clones TEXT NOT NULL DEFAULT 'alert';
ALTER TABLE organizations ADD COLUMN rekey TEXT NOT NULL DEFAULT 'allowed';
ALTER TABLE organizations ADD COLUMN recovery TEXT NOT NULL DEFAULT 'off';
ALTER TABLE organizations ADD COLUMN recovery_days BIGINT NOT NULL DEFAULT 30;

-- A sign that somebody else holds the device's key, until a person has looked at it.
ALTER TABLE devices ADD COLUMN suspected_at BIGINT;
ALTER TABLE devices ADD COLUMN suspicion TEXT NOT NULL DEFAULT '';
-- Deleted devices are in no list. Their row and id stay until their last certificate has ended.
ALTER TABLE devices ADD COLUMN deleted_at BIGINT;

-- The certificate that a request is to replace, of a device that came too late to renew it; empty for a new device.
ALTER TABLE enrolment_requests ADD COLUMN recovers TEXT NOT NULL DEFAULT '';

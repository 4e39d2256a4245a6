-- Keys that the server makes for devices (E-8). They are kept nowhere: a row says only that its key was made here.

-- 'device', or 'server' when the key was made here.
ALTER TABLE certificates ADD COLUMN key_origin TEXT NOT NULL DEFAULT 'device';

-- How the archive with a batch's keys was encrypted, 'recipient' or 'passphrase'; empty when its keys were made on the devices.
ALTER TABLE enrolment_batches ADD COLUMN sealed_for TEXT NOT NULL DEFAULT '';
-- When all its certificates were revoked as one.
ALTER TABLE enrolment_batches ADD COLUMN revoked_at INTEGER;

-- `fetched`: the device has the file, so that after a restart it may be on the way through this update however long it was silent.
ALTER TABLE ddi_actions ADD COLUMN fetched INTEGER NOT NULL DEFAULT FALSE;
-- What devices said is forgotten by its age.
CREATE INDEX ddi_messages_by_age ON ddi_messages (at);

-- What hawkBit's device protocol (DDI) needs beside our own: numbers for updates, what devices said, and the checksums its clients compare.

-- `number` stands for the action id that clients see; none is given twice. `cancel` is the device's answer to a cancellation: '' before it gave
-- one, 'accepted' or 'refused'. `closed`: the device has said its last word.
CREATE TABLE ddi_actions (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id    TEXT    NOT NULL REFERENCES organizations (id),
    device    INTEGER NOT NULL REFERENCES devices (number),
    update_id TEXT    NOT NULL REFERENCES updates (id),
    cancel    TEXT    NOT NULL DEFAULT '',
    closed    INTEGER NOT NULL DEFAULT FALSE,
    UNIQUE (update_id)
) STRICT;
CREATE INDEX ddi_actions_by_device ON ddi_actions (device, number);

-- The newest lines of each action; older ones are dropped.
CREATE TABLE ddi_messages (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id TEXT    NOT NULL REFERENCES organizations (id),
    action INTEGER NOT NULL REFERENCES ddi_actions (number),
    at     INTEGER NOT NULL,
    line   TEXT    NOT NULL
) STRICT;
CREATE INDEX ddi_messages_by_action ON ddi_messages (action, id);

-- When a device last sent its attributes by this protocol; it is asked for them until then.
ALTER TABLE devices ADD COLUMN described_at INTEGER;

-- Of artifacts, for clients that compare nothing better. No proof of anything: what is installed is checked by SHA-256 and signature.
CREATE TABLE artifact_checksums (
    sha256 TEXT NOT NULL PRIMARY KEY,
    sha1   TEXT NOT NULL,
    md5    TEXT NOT NULL
) STRICT;

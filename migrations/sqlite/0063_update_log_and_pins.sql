-- What devices say of their updates, by whichever protocol: the newest lines of each update; older ones are dropped. `state` is where the device said
-- that it is, none where it said nothing of that.
CREATE TABLE update_log (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id    TEXT    NOT NULL REFERENCES organizations (id),
    update_id TEXT    NOT NULL REFERENCES updates (id),
    at        INTEGER NOT NULL,
    state     TEXT,
    progress  INTEGER,
    code      TEXT    NOT NULL,
    line      TEXT    NOT NULL
) STRICT;
CREATE INDEX update_log_by_update ON update_log (update_id, id);
-- It is forgotten by its age.
CREATE INDEX update_log_by_age ON update_log (at);
INSERT INTO update_log (org_id, update_id, at, state, progress, code, line)
    SELECT m.org_id, a.update_id, m.at, NULL, NULL, '', m.line FROM ddi_messages m JOIN ddi_actions a ON a.number = m.action ORDER BY m.id;
DROP TABLE ddi_messages;

-- Devices that stay on what they run until somebody says otherwise: no rollout moves them.
CREATE TABLE device_pins (
    device  INTEGER NOT NULL PRIMARY KEY REFERENCES devices (number),
    org_id  TEXT    NOT NULL REFERENCES organizations (id),
    at      INTEGER NOT NULL,
    by_name TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;
CREATE INDEX device_pins_by_org ON device_pins (org_id, device);

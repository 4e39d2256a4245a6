-- Files of devices that the console keeps between their preview and their import, for a day.
CREATE TABLE device_imports (
    id         TEXT NOT NULL PRIMARY KEY,
    org_id     TEXT NOT NULL REFERENCES organizations (id),
    name       TEXT NOT NULL,
    -- Whether devices that are there are changed where the file says otherwise.
    updates    INTEGER NOT NULL,
    -- What the file says, checked; of secrets only their SHA-256. Empty once it is imported.
    lines      BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    done_at    INTEGER,
    -- What it came to; empty until then.
    outcome    TEXT NOT NULL
) STRICT;
CREATE INDEX device_imports_by_org ON device_imports (org_id, id);
CREATE INDEX device_imports_by_time ON device_imports (created_at);

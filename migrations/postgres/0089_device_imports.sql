-- Files of devices that the console keeps between their preview and their import, for a day.
CREATE TABLE device_imports (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id     TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    name       TEXT COLLATE "C" NOT NULL,
    -- Whether devices that are there are changed where the file says otherwise.
    updates    BOOLEAN NOT NULL,
    -- What the file says, checked; of secrets only their SHA-256. Empty once it is imported.
    lines      BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    done_at    BIGINT,
    -- What it came to; empty until then.
    outcome    TEXT COLLATE "C" NOT NULL
);
CREATE INDEX device_imports_by_org ON device_imports (org_id, id);
CREATE INDEX device_imports_by_time ON device_imports (created_at);

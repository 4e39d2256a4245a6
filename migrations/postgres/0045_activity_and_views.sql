-- What was done to one object, newest first: a device's activity asks for it without walking the log.
CREATE INDEX audit_by_object ON audit (org_id, LOWER(object), at);

-- Views of the device list that a person has saved: a selector, an order, and the columns that are shown (empty for all of them).
CREATE TABLE device_views (
    user_id  TEXT    NOT NULL REFERENCES users (id),
    org_id   TEXT    NOT NULL REFERENCES organizations (id),
    name     TEXT    NOT NULL,
    q        TEXT    NOT NULL,
    sort     TEXT    NOT NULL,
    shown    TEXT    NOT NULL,
    saved_at BIGINT  NOT NULL,
    PRIMARY KEY (user_id, name)
);

-- Stretches of time in which no rollout offers anything new. Nothing is deleted; one that was ended early says when and by whom.
CREATE TABLE freezes (
    id       TEXT NOT NULL PRIMARY KEY,
    org_id   TEXT NOT NULL REFERENCES organizations (id),
    name     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    from_at  INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    made_by  TEXT NOT NULL,
    made_at  INTEGER NOT NULL,
    ended_at INTEGER,
    ended_by TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX freezes_by_end ON freezes (org_id, until_at);

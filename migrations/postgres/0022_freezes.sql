-- Stretches of time in which no rollout offers anything new. Nothing is deleted; one that was ended early says when and by whom.
CREATE TABLE freezes (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id   TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    name     TEXT COLLATE "C" NOT NULL,
    reason   TEXT COLLATE "C" NOT NULL,
    from_at  BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    made_by  TEXT COLLATE "C" NOT NULL,
    made_at  BIGINT NOT NULL,
    ended_at BIGINT,
    ended_by TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX freezes_by_end ON freezes (org_id, until_at);

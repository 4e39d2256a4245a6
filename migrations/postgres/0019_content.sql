-- When each stored content was last read and compared, and what was found wrong with it: `damage` is empty while it is right.
CREATE TABLE artifact_checks (
    sha256     TEXT   NOT NULL PRIMARY KEY,
    checked_at BIGINT NOT NULL,
    damage     TEXT   NOT NULL,
    damaged_at BIGINT
);

-- What the file says of itself where it is a container that device updaters install, as JSON; empty where it is none, or came before this was read.
ALTER TABLE release_files ADD COLUMN container TEXT NOT NULL DEFAULT '';

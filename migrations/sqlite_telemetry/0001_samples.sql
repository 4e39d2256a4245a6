-- A metric of a device. The newest sample that has been folded is kept beside it, so that "latest" needs no chunk.
CREATE TABLE series (
    id         INTEGER PRIMARY KEY NOT NULL,
    org_id     TEXT    NOT NULL,
    device     INTEGER NOT NULL,
    metric     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    last_t     INTEGER,
    last_v     REAL,
    UNIQUE (device, metric)
) STRICT;

-- How far each stream of a device has been stored. `prior` is the position before the last commit: the guard of its compare-and-set.
CREATE TABLE streams (
    device     INTEGER NOT NULL,
    stream     TEXT    NOT NULL,
    org_id     TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    prior      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (device, stream)
) STRICT;

-- The truth: one row per committed batch of an organization's devices. round: 0 waits, 1 is being folded, -1 was set aside as unreadable.
CREATE TABLE sample_log (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    org_id       TEXT    NOT NULL,
    committed_at INTEGER NOT NULL,
    samples      INTEGER NOT NULL,
    round        INTEGER NOT NULL,
    data         BLOB    NOT NULL
) STRICT;

-- Compressed samples of one series and hour (Unix hours). An hour has one part unless its series is very fast.
CREATE TABLE chunks (
    series  INTEGER NOT NULL,
    hour    INTEGER NOT NULL,
    part    INTEGER NOT NULL,
    org_id  TEXT    NOT NULL,
    samples INTEGER NOT NULL,
    data    BLOB    NOT NULL,
    PRIMARY KEY (series, hour, part)
) STRICT;
CREATE INDEX chunks_by_hour ON chunks (hour);

-- The same hour as minutes (in `minutes`) and as a whole (in the columns). Times are those of real samples.
CREATE TABLE rollups (
    series     INTEGER NOT NULL,
    hour       INTEGER NOT NULL,
    org_id     TEXT    NOT NULL,
    samples    INTEGER NOT NULL,
    total      REAL    NOT NULL,
    low_t      INTEGER NOT NULL,
    low        REAL    NOT NULL,
    high_t     INTEGER NOT NULL,
    high       REAL    NOT NULL,
    last_t     INTEGER NOT NULL,
    last_v     REAL    NOT NULL,
    minutes    BLOB    NOT NULL,
    PRIMARY KEY (series, hour)
) STRICT;
CREATE INDEX rollups_by_hour ON rollups (hour);

-- Where folding the log into chunks stands: one row for the whole store. Devices up to `cursor` are folded in the round under way.
CREATE TABLE folding (
    id         INTEGER PRIMARY KEY NOT NULL,
    generation INTEGER NOT NULL,
    cursor     INTEGER NOT NULL
) STRICT;
INSERT INTO folding (id, generation, cursor) VALUES (1, 0, 0);

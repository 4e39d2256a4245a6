-- Files told as their difference from an older one. They belong to content, not to releases: whoever has both files has their difference.
-- `sha256` and `size` are the difference's own once it is ready; `done` are the target's bytes that were read while it is being made.
CREATE TABLE deltas (
    base_sha256   TEXT    NOT NULL,
    base_size     BIGINT NOT NULL,
    target_sha256 TEXT    NOT NULL,
    target_size   BIGINT NOT NULL,
    state         TEXT    NOT NULL,
    why           TEXT    NOT NULL DEFAULT '',
    done          BIGINT NOT NULL DEFAULT 0,
    sha256        TEXT    NOT NULL DEFAULT '',
    size          BIGINT NOT NULL DEFAULT 0,
    asked_at      BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL,
    PRIMARY KEY (target_sha256, base_sha256)
);
CREATE INDEX deltas_by_content ON deltas (sha256);
CREATE INDEX deltas_by_state ON deltas (state, asked_at);

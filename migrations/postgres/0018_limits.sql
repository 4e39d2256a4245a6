-- Limits of a gate by class: what a person went on in spite of, and how many of a stage's devices were dark when they were counted last.
ALTER TABLE rollout_stages ADD COLUMN seen_reverted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN seen_timed_out BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN seen_dark BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN dark BIGINT;

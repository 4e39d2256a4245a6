-- What a person went on in spite of, by the classes of errors that gates have limits for since then. No plan that has begun has such a limit yet.
ALTER TABLE rollout_stages ADD COLUMN seen_failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN seen_rejected INTEGER NOT NULL DEFAULT 0;

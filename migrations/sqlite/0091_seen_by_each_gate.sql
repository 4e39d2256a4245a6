-- What a person went on in spite of, of the gate of the whole rollout: one set beside that of the stage's own gate, because only the gate that said no begins
-- anew. Until now both began anew together, so both have seen the same of the stages there are.
ALTER TABLE rollout_stages ADD COLUMN whole_finished INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN whole_succeeded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN whole_errors INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN whole_failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN whole_reverted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN whole_timed_out INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN whole_rejected INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN whole_dark INTEGER NOT NULL DEFAULT 0;
UPDATE rollout_stages SET whole_finished = seen_finished, whole_succeeded = seen_succeeded, whole_errors = seen_errors, whole_failed = seen_failed,
    whole_reverted = seen_reverted, whole_timed_out = seen_timed_out, whole_rejected = seen_rejected, whole_dark = seen_dark
    WHERE seen_finished > 0 OR seen_dark > 0;

-- How long the newest updates of a rollout took, without looking at all of them.
CREATE INDEX updates_succeeded ON updates (rollout_id, ended_at) WHERE state = 'succeeded';

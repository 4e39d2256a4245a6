-- The rollout that this one takes devices back from.
ALTER TABLE rollouts ADD COLUMN back_of TEXT REFERENCES rollouts (id);
CREATE INDEX rollouts_by_back_of ON rollouts (back_of, id) WHERE back_of IS NOT NULL;
-- Which of several rollouts a device gets first: the plan's own number.
ALTER TABLE rollouts ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
-- When a device that did not make it is offered it again by itself; it counts as it ended until then.
ALTER TABLE updates ADD COLUMN retry_at INTEGER;
CREATE INDEX updates_to_retry ON updates (rollout_id, retry_at) WHERE retry_at IS NOT NULL;

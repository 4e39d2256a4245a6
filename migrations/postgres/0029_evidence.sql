-- Evidence beside counts. What looks at metrics found in a stage's watch, and how many were taken.
ALTER TABLE rollout_stages ADD COLUMN looks BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rollout_stages ADD COLUMN findings TEXT NOT NULL DEFAULT '[]';
-- What the gate of the whole rollout said when it said no, until a person goes on.
ALTER TABLE rollouts ADD COLUMN verdict TEXT;
-- When an update has been too long in its step; its deadline is never behind that.
ALTER TABLE updates ADD COLUMN step_deadline BIGINT;

-- How many people beside the author have to approve a rollout. A lower number counts from an instant on.
ALTER TABLE organizations ADD COLUMN rollout_approvals BIGINT NOT NULL DEFAULT 1;
ALTER TABLE organizations ADD COLUMN rollout_approvals_next BIGINT;
ALTER TABLE organizations ADD COLUMN rollout_approvals_from BIGINT;
-- What it was when this one was sent for approval.
ALTER TABLE rollouts ADD COLUMN approvals_needed BIGINT NOT NULL DEFAULT 1;

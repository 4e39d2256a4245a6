-- The few updates of a rollout that did not make it, among a million that did: lists are narrowed to them by how they ended. Only an update that ends
-- badly, or is tried again after that, writes to it.
CREATE INDEX updates_ended_badly ON updates (rollout_id, state, device)
    WHERE latest = TRUE AND again = FALSE AND state IN ('failed', 'reverted', 'timed_out', 'rejected');

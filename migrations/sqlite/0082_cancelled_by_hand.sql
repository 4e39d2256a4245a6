-- The few updates of a rollout that people have cancelled: they are counted before they are tried again. Only such an update writes to it.
CREATE INDEX updates_cancelled_by_hand ON updates (rollout_id, device)
    WHERE latest = TRUE AND again = FALSE AND state = 'cancelled' AND code = 'cancelled_by_hand';

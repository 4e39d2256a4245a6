-- Confirmation in the console, and the way things came to the state they are in.

-- By a person, for a device that asks nobody itself.
CREATE TABLE console_confirmations (
    rollout_id   TEXT    NOT NULL REFERENCES rollouts (id),
    device       INTEGER NOT NULL REFERENCES devices (number),
    org_id       TEXT    NOT NULL REFERENCES organizations (id),
    confirmed_by TEXT    NOT NULL,
    confirmed_at INTEGER NOT NULL,
    PRIMARY KEY (rollout_id, device)
) STRICT;

-- The state after each line of a rollout's history; empty for lines that are older than this.
ALTER TABLE rollout_events ADD COLUMN state TEXT NOT NULL DEFAULT '';
-- The states that an update has been in, one bit each in the order of their words; 0 for updates that are older than this.
ALTER TABLE updates ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;

-- Confirmation in the console, and the way things came to the state they are in.

-- By a person, for a device that asks nobody itself.
CREATE TABLE console_confirmations (
    rollout_id   TEXT COLLATE "C" NOT NULL REFERENCES rollouts (id),
    device       BIGINT NOT NULL REFERENCES devices (number),
    org_id       TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    confirmed_by TEXT COLLATE "C" NOT NULL,
    confirmed_at BIGINT NOT NULL,
    PRIMARY KEY (rollout_id, device)
);

-- The state after each line of a rollout's history; empty for lines that are older than this.
ALTER TABLE rollout_events ADD COLUMN state TEXT COLLATE "C" NOT NULL DEFAULT '';
-- The states that an update has been in, one bit each in the order of their words; 0 for updates that are older than this.
ALTER TABLE updates ADD COLUMN passed BIGINT NOT NULL DEFAULT 0;

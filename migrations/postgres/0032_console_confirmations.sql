-- Confirmation by a person in the console, for devices that ask nobody themselves.

CREATE TABLE console_confirmations (
    rollout_id   TEXT COLLATE "C" NOT NULL REFERENCES rollouts (id),
    device       BIGINT NOT NULL REFERENCES devices (number),
    org_id       TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    confirmed_by TEXT COLLATE "C" NOT NULL,
    confirmed_at BIGINT NOT NULL,
    PRIMARY KEY (rollout_id, device)
);

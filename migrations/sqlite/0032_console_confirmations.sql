-- Confirmation by a person in the console, for devices that ask nobody themselves.

CREATE TABLE console_confirmations (
    rollout_id   TEXT    NOT NULL REFERENCES rollouts (id),
    device       INTEGER NOT NULL REFERENCES devices (number),
    org_id       TEXT    NOT NULL REFERENCES organizations (id),
    confirmed_by TEXT    NOT NULL,
    confirmed_at INTEGER NOT NULL,
    PRIMARY KEY (rollout_id, device)
) STRICT;

-- Authorities that a token makes while no transaction is open: written down before the key is made, taken when the authority is booked. The key of one that
-- nobody takes is destroyed on the token, with an entry in the audit log.
CREATE TABLE unbooked_authorities (
    -- The id that the authority will have, and the name of its key.
    id          TEXT    NOT NULL PRIMARY KEY,
    -- In whose audit log it is told of when nothing comes of it.
    org_id      TEXT    NOT NULL REFERENCES organizations (id),
    -- The label of the token with the key; empty when none has it.
    token       TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    -- 1 once nobody books it any more.
    given_up    INTEGER NOT NULL,
    reserved_at INTEGER NOT NULL
) STRICT;

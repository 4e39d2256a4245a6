-- What devices say of the places in which they keep firmware: one row a device that says any, as JSON a list of names, versions, states and since when.
CREATE TABLE device_slots (
    device INTEGER NOT NULL PRIMARY KEY REFERENCES devices (number),
    org_id TEXT    NOT NULL REFERENCES organizations (id),
    slots  TEXT    NOT NULL
) STRICT;

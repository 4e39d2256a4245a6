-- Orders to many to renew (R-1) that are being carried out. Whom an order asks was settled when it was given; they are taken some at a time, by whichever
-- instance comes to it. An order goes with the last of its parts; the audit log keeps that it was given.
CREATE TABLE renewal_orders (
    id           TEXT NOT NULL PRIMARY KEY,
    org_id       TEXT NOT NULL REFERENCES organizations (id),
    -- What the audit log calls those that are meant.
    about        TEXT NOT NULL,
    -- Whose certificates alone are renewed; empty for those of any authority.
    authority_id TEXT NOT NULL,
    -- Over how long they are told, and how many they are.
    minutes      INTEGER NOT NULL,
    asked        INTEGER NOT NULL,
    ordered_at   INTEGER NOT NULL,
    ordered_by   TEXT NOT NULL
) STRICT;
CREATE INDEX renewal_orders_by_org ON renewal_orders (org_id, id);

CREATE TABLE renewal_parts (
    order_id TEXT NOT NULL REFERENCES renewal_orders (id),
    -- How many devices of the order stand before these.
    nth      INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    -- Their numbers, a JSON list.
    devices  TEXT NOT NULL,
    PRIMARY KEY (order_id, nth)
) STRICT;

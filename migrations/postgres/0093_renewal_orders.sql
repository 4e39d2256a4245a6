-- Orders to many to renew (R-1) that are being carried out. Whom an order asks was settled when it was given; they are taken some at a time, by whichever
-- instance comes to it. An order goes with the last of its parts; the audit log keeps that it was given.
CREATE TABLE renewal_orders (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id       TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    -- What the audit log calls those that are meant.
    about        TEXT COLLATE "C" NOT NULL,
    -- Whose certificates alone are renewed; empty for those of any authority.
    authority_id TEXT COLLATE "C" NOT NULL,
    -- Over how long they are told, and how many they are.
    minutes      BIGINT NOT NULL,
    asked        BIGINT NOT NULL,
    ordered_at   BIGINT NOT NULL,
    ordered_by   TEXT COLLATE "C" NOT NULL
);
CREATE INDEX renewal_orders_by_org ON renewal_orders (org_id, id);

CREATE TABLE renewal_parts (
    order_id TEXT COLLATE "C" NOT NULL REFERENCES renewal_orders (id),
    -- How many devices of the order stand before these.
    nth      BIGINT NOT NULL,
    size     BIGINT NOT NULL,
    -- Their numbers, a JSON list.
    devices  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (order_id, nth)
);

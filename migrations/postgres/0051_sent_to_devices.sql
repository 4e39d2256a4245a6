-- Which bytes of a file a device was sent by hawkBit's protocol, where its plan has it fetched only: a list of [first, behind the last], in order.
CREATE TABLE ddi_sent (
    device   BIGINT NOT NULL REFERENCES devices (number),
    sha256   TEXT COLLATE "C" NOT NULL,
    org_id   TEXT COLLATE "C" NOT NULL REFERENCES organizations (id),
    portions TEXT COLLATE "C" NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (device, sha256)
);
-- It is forgotten by its age.
CREATE INDEX ddi_sent_by_age ON ddi_sent (at);

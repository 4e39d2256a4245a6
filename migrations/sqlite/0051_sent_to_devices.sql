-- Which bytes of a file a device was sent by hawkBit's protocol, where its plan has it fetched only: a list of [first, behind the last], in order.
CREATE TABLE ddi_sent (
    device   INTEGER NOT NULL REFERENCES devices (number),
    sha256   TEXT NOT NULL,
    org_id   TEXT NOT NULL REFERENCES organizations (id),
    portions TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (device, sha256)
) STRICT;
-- It is forgotten by its age.
CREATE INDEX ddi_sent_by_age ON ddi_sent (at);

-- How fast files go to devices, in bytes a second: of a whole organization, and of devices with the same value of an attribute. Null is no limit.
ALTER TABLE organizations ADD COLUMN bandwidth BIGINT;
ALTER TABLE organizations ADD COLUMN site_attribute TEXT NOT NULL DEFAULT '';
ALTER TABLE organizations ADD COLUMN site_bandwidth BIGINT;
-- How many MB a device may be sent in 30 days before it is offered nothing more.
ALTER TABLE organizations ADD COLUMN data_budget_mb BIGINT;

-- What each device was sent of files, by day (UTC, days since 1970).
CREATE TABLE device_bytes (
    device BIGINT NOT NULL REFERENCES devices (number),
    day    BIGINT NOT NULL,
    bytes  BIGINT NOT NULL,
    PRIMARY KEY (device, day)
);
CREATE INDEX device_bytes_by_day ON device_bytes (day);

-- What a list by ids stands on: tags, attributes and groups in the order of their devices' ids, and devices of a type, a version or an update's state
-- in that order. `place` is the device's id in lower case, written with the row; an id does not change while there are any.

CREATE TABLE device_tags_placed (
    device INTEGER  NOT NULL REFERENCES devices (number),
    org_id TEXT NOT NULL REFERENCES organizations (id),
    tag    TEXT NOT NULL,
    place  TEXT NOT NULL,
    PRIMARY KEY (device, tag)
) STRICT;
INSERT INTO device_tags_placed (device, org_id, tag, place)
    SELECT t.device, t.org_id, t.tag, d.device_id_lower FROM device_tags t JOIN devices d ON d.number = t.device;
DROP TABLE device_tags;
ALTER TABLE device_tags_placed RENAME TO device_tags;
CREATE INDEX device_tags_by_tag ON device_tags (org_id, tag, place, device);

CREATE TABLE device_attributes_placed (
    device INTEGER  NOT NULL REFERENCES devices (number),
    org_id TEXT NOT NULL REFERENCES organizations (id),
    name   TEXT NOT NULL,
    value  TEXT NOT NULL,
    place  TEXT NOT NULL,
    PRIMARY KEY (device, name)
) STRICT;
INSERT INTO device_attributes_placed (device, org_id, name, value, place)
    SELECT a.device, a.org_id, a.name, a.value, d.device_id_lower FROM device_attributes a JOIN devices d ON d.number = a.device;
DROP TABLE device_attributes;
ALTER TABLE device_attributes_placed RENAME TO device_attributes;
CREATE INDEX device_attributes_by_value ON device_attributes (org_id, name, value, place, device);

CREATE TABLE group_members_placed (
    group_id TEXT    NOT NULL REFERENCES device_groups (id),
    device   INTEGER NOT NULL REFERENCES devices (number),
    org_id   TEXT    NOT NULL REFERENCES organizations (id),
    place    TEXT    NOT NULL,
    PRIMARY KEY (group_id, device)
) STRICT;
INSERT INTO group_members_placed (group_id, device, org_id, place)
    SELECT m.group_id, m.device, m.org_id, d.device_id_lower FROM group_members m JOIN devices d ON d.number = m.device;
DROP TABLE group_members;
ALTER TABLE group_members_placed RENAME TO group_members;
CREATE INDEX group_members_by_device ON group_members (org_id, device);
CREATE INDEX group_members_of_device ON group_members (device);
CREATE INDEX group_members_by_place ON group_members (group_id, place, device);

CREATE INDEX devices_of_type ON devices (org_id, device_type, device_id_lower, number) WHERE deleted_at IS NULL AND state <> 'decommissioned';
CREATE INDEX devices_of_version ON devices (org_id, version, device_id_lower, number) WHERE deleted_at IS NULL AND state <> 'decommissioned';
DROP INDEX devices_by_update;
CREATE INDEX devices_by_update ON devices (org_id, update_state, device_id_lower, number) WHERE update_state <> '';

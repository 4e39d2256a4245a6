-- What a list by ids stands on: tags, attributes and groups in the order of their devices' ids, and devices of a type, a version or an update's state
-- in that order. `place` is the device's id in lower case, written with the row; an id does not change while there are any.

ALTER TABLE device_tags ADD COLUMN place TEXT COLLATE "C";
UPDATE device_tags SET place = d.device_id_lower FROM devices d WHERE d.number = device_tags.device;
ALTER TABLE device_tags ALTER COLUMN place SET NOT NULL;
DROP INDEX device_tags_by_tag;
CREATE INDEX device_tags_by_tag ON device_tags (org_id, tag, place, device);

ALTER TABLE device_attributes ADD COLUMN place TEXT COLLATE "C";
UPDATE device_attributes SET place = d.device_id_lower FROM devices d WHERE d.number = device_attributes.device;
ALTER TABLE device_attributes ALTER COLUMN place SET NOT NULL;
DROP INDEX device_attributes_by_value;
CREATE INDEX device_attributes_by_value ON device_attributes (org_id, name, value, place, device);

ALTER TABLE group_members ADD COLUMN place TEXT COLLATE "C";
UPDATE group_members SET place = d.device_id_lower FROM devices d WHERE d.number = group_members.device;
ALTER TABLE group_members ALTER COLUMN place SET NOT NULL;
CREATE INDEX group_members_by_place ON group_members (group_id, place, device);

CREATE INDEX devices_of_type ON devices (org_id, device_type, device_id_lower, number) WHERE deleted_at IS NULL AND state <> 'decommissioned';
CREATE INDEX devices_of_version ON devices (org_id, version, device_id_lower, number) WHERE deleted_at IS NULL AND state <> 'decommissioned';
DROP INDEX devices_by_update;
CREATE INDEX devices_by_update ON devices (org_id, update_state, device_id_lower, number) WHERE update_state <> '';

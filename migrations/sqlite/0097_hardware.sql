-- Devices of a revision of hardware in the order of their ids, as those of a type or a version: one that few have, or none, is looked up.
CREATE INDEX devices_of_hardware ON devices (org_id, hardware, device_id_lower, number) WHERE deleted_at IS NULL AND state <> 'decommissioned';

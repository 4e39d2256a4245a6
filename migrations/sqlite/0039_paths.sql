-- Ways to what is asked for all the time, so that no question walks a whole fleet.
CREATE INDEX devices_by_number ON devices (org_id, number);
CREATE INDEX devices_suspected ON devices (org_id, suspected_at) WHERE suspected_at IS NOT NULL;
CREATE INDEX devices_troubled ON devices (org_id, last_seen_at) WHERE update_state IN ('failed','rejected','timed_out','reverted');
CREATE INDEX devices_deleted ON devices (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX group_members_of_device ON group_members (device);
CREATE INDEX certificates_usable ON certificates (usable_until) WHERE state = 'active';
CREATE INDEX certificates_expired ON certificates (not_after) WHERE state = 'expired';
CREATE INDEX certificates_cut ON certificates (not_after) WHERE state = 'revoked';

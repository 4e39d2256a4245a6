-- What was done to one object, newest first: a device's activity asks for it without walking the log.
CREATE INDEX audit_by_object ON audit (org_id, LOWER(object), at);

-- How many active certificates are of a profile is asked without walking a fleet's; most are of none.
CREATE INDEX certificates_by_profile ON certificates (org_id, validity_profile) WHERE state = 'active' AND validity_profile <> '';

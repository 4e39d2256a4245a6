-- Why a device of the fleet asks with a certificate of a registered authority: 'new_key', 'revoked_before', or '' for one that is new.
ALTER TABLE enrolment_requests ADD COLUMN returns TEXT NOT NULL DEFAULT '';

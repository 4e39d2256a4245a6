-- Requests to join that have ended are looked for every minute, so that tokens have their uses back.
CREATE INDEX enrolment_requests_by_end ON enrolment_requests (expires_at);

-- Since when a certificate is on its owner's list of revoked certificates, and which number that one had: what pages and counts see of what handshakes judge
-- by in memory.
ALTER TABLE certificates ADD COLUMN owner_listed_at INTEGER;
ALTER TABLE certificates ADD COLUMN owner_list TEXT NOT NULL DEFAULT '';
CREATE INDEX certificates_owner_listed ON certificates (owner_listed_at) WHERE owner_listed_at IS NOT NULL;

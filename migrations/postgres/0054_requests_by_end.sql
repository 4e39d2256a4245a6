-- Requests to join that have ended are looked for every minute, so that tokens have their uses back.
CREATE INDEX enrolment_requests_by_end ON enrolment_requests (expires_at);

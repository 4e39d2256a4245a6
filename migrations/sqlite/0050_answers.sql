-- What else an answer said that is kept for a repeated request: where the thing that was made is, and of which type its body is; empty for neither.
ALTER TABLE repeats ADD COLUMN location TEXT NOT NULL DEFAULT '';
ALTER TABLE repeats ADD COLUMN media_type TEXT NOT NULL DEFAULT 'application/json';

-- Lists by which devices come in, read page by page in the order of their ids.
CREATE INDEX enrolment_tokens_in_order ON enrolment_tokens (org_id, id);
CREATE INDEX enrolment_batches_in_order ON enrolment_batches (org_id, id);
CREATE INDEX claims_in_order ON claims (org_id, id);

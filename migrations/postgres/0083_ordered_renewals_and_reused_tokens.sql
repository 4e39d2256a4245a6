-- When an operator ordered that this certificate is renewed, whatever its age (R-1); none where nobody did. It ends with the first use of a successor.
ALTER TABLE certificates ADD COLUMN renew_ordered_at BIGINT;

-- From where a token let a device in, and when and from where else it was tried last after it was used up (E-3): somebody else may have its secret.
ALTER TABLE enrolments ADD COLUMN address TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE enrolment_tokens ADD COLUMN reused_at BIGINT;
ALTER TABLE enrolment_tokens ADD COLUMN reused_from TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX enrolment_tokens_reused ON enrolment_tokens (org_id, reused_at) WHERE reused_at IS NOT NULL;

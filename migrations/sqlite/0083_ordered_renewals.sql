-- When an operator ordered that this certificate is renewed, whatever its age (R-1); none where nobody did. It ends with the first use of a successor.
ALTER TABLE certificates ADD COLUMN renew_ordered_at INTEGER;

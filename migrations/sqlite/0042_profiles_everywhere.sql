-- The profile of the certificates that a claim, a batch, and an approval without a token give. An empty name stands for none, as for tokens.
ALTER TABLE claims ADD COLUMN profile TEXT NOT NULL DEFAULT '';
ALTER TABLE enrolment_batches ADD COLUMN profile TEXT NOT NULL DEFAULT '';
ALTER TABLE organizations ADD COLUMN open_profile TEXT NOT NULL DEFAULT '';

-- The longest life of a fleet's certificates is asked without walking them (R-9); those without a profile hold for as long as there was no profile.
CREATE INDEX certificates_by_life ON certificates (org_id, (not_after - not_before)) WHERE state = 'active' AND validity_profile <> '';

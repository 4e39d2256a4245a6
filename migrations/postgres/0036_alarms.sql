-- When a certificate was first shown that an authority has signed and nobody has issued here, and what was seen then; until a person has looked at it.
ALTER TABLE authorities ADD COLUMN alarmed_at BIGINT;
ALTER TABLE authorities ADD COLUMN alarm TEXT NOT NULL DEFAULT '';

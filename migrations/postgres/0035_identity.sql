-- What was known when a certificate was revoked: since when it is wrong (RFC 5280 section 5.3.2), and in whoever did it's words.
ALTER TABLE certificates ADD COLUMN invalidity_date BIGINT;
ALTER TABLE certificates ADD COLUMN revocation_note TEXT NOT NULL DEFAULT '';

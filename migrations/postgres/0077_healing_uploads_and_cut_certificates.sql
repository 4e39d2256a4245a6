-- The release of which an upload was a damaged file, and which is whole again by it; none for all others. Uploads that all did this, sent without a
-- manifest, were sent for nothing else.
ALTER TABLE uploads ADD COLUMN healed TEXT COLLATE "C";

-- The few devices of which a certificate was cut off, among a million: lists of `certificate:revoked` are narrowed to them. Only a certificate that is
-- revoked, by us or by the list of its authority's owner, writes to it.
CREATE INDEX certificates_cut_of_devices ON certificates (org_id, device)
    WHERE (state = 'revoked' OR owner_listed_at IS NOT NULL) AND device IS NOT NULL AND fingerprint IS NOT NULL;

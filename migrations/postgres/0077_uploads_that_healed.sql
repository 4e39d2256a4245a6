-- The release of which an upload was a damaged file, and which is whole again by it; none for all others. Uploads that all did this, sent without a
-- manifest, were sent for nothing else.
ALTER TABLE uploads ADD COLUMN healed TEXT COLLATE "C";

-- `to_end`: the device was sent the end of the file, from wherever it went on: evidence for a success whose protocol has no word for what runs.
ALTER TABLE ddi_sent ADD COLUMN to_end INTEGER NOT NULL DEFAULT FALSE;
-- Who fetched before this was kept, and has not said its last word, is believed as it would have been.
INSERT INTO ddi_sent (device, sha256, org_id, portions, at, to_end)
    SELECT a.device, f.sha256, a.org_id, '[]', MAX(u.updated_at), TRUE
    FROM ddi_actions a JOIN updates u ON u.id = a.update_id JOIN rollouts x ON x.id = u.rollout_id
    JOIN release_files f ON f.release_id = x.release_id
    WHERE a.fetched AND NOT a.closed GROUP BY a.device, f.sha256, a.org_id
    ON CONFLICT (device, sha256) DO UPDATE SET to_end = TRUE;

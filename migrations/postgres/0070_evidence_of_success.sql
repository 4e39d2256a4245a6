-- Which bytes of a file a device was sent is kept of what is installed as well now: evidence for a success whose protocol has no word for what runs.
-- Who fetched before that, and has not said its last word, is believed as it would have been.
INSERT INTO ddi_sent (device, sha256, org_id, portions, at)
    SELECT a.device, f.sha256, a.org_id, '[[0,' || CAST(f.size AS TEXT) || ']]', MAX(u.updated_at)
    FROM ddi_actions a JOIN updates u ON u.id = a.update_id JOIN rollouts x ON x.id = u.rollout_id
    JOIN release_files f ON f.release_id = x.release_id
    WHERE a.fetched AND NOT a.closed GROUP BY a.device, f.sha256, a.org_id, f.size
    ON CONFLICT (device, sha256) DO UPDATE SET portions = excluded.portions;
-- Its device says that it succeeded, and has to prove it. No word of a device writes this: its code can be any word.
ALTER TABLE updates ADD COLUMN owes_proof BOOLEAN NOT NULL DEFAULT FALSE;

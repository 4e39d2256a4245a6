-- Why a release was recalled, by whom and when: until now the audit log alone had it.
ALTER TABLE releases ADD COLUMN recalled_at BIGINT;
ALTER TABLE releases ADD COLUMN recalled_by TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE releases ADD COLUMN recall_reason TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE releases SET recalled_at = changed_at,
    recalled_by = COALESCE((SELECT MAX(a.actor) FROM audit a WHERE a.org_id = releases.org_id AND a.action = 'release.recall' AND a.object = releases.id), ''),
    recall_reason = COALESCE((SELECT MAX(a.detail::json ->> 'reason') FROM audit a
        WHERE a.org_id = releases.org_id AND a.action = 'release.recall' AND a.object = releases.id), '')
    WHERE state = 'recalled';

-- When a rollout was sent for approval last, and by whom: the inbox is listed by it. It stays when the request expires or an edit voids it.
ALTER TABLE rollouts ADD COLUMN asked_at BIGINT;
ALTER TABLE rollouts ADD COLUMN asked_by TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE rollouts ADD COLUMN asked_by_name TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE rollouts SET
    asked_at = (SELECT MAX(e.at) FROM rollout_events e WHERE e.rollout_id = rollouts.id
                AND (e.text LIKE 'Sent for approval by %' OR e.text LIKE 'Glass broken: %')),
    asked_by_name = COALESCE((SELECT e.actor FROM rollout_events e WHERE e.rollout_id = rollouts.id
                AND (e.text LIKE 'Sent for approval by %' OR e.text LIKE 'Glass broken: %') ORDER BY e.id DESC LIMIT 1), '');
UPDATE rollouts SET asked_at = updated_at, asked_by_name = author_name WHERE asked_at IS NULL AND state = 'waiting_for_approval';
CREATE INDEX rollouts_by_request ON rollouts (org_id, asked_at, id) WHERE asked_at IS NOT NULL;

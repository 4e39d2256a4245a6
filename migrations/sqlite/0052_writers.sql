-- Who has written or sent a rollout's plan since people approved it last, JSON of user ids: none of them approves it.
ALTER TABLE rollouts ADD COLUMN writers TEXT NOT NULL DEFAULT '[]';
UPDATE rollouts SET writers = '["' || author || '"]' WHERE author <> '';

-- Who has written or sent a rollout's plan since people approved it last, JSON of user ids: none of them approves it.
ALTER TABLE rollouts ADD COLUMN writers TEXT COLLATE "C" NOT NULL DEFAULT '[]';
UPDATE rollouts SET writers = '["' || author || '"]' WHERE author <> '';

-- Devices that were drawn into stages given as a number: whoever comes later is in none of these. Device 0 says that the draw kept them.
CREATE TABLE rollout_members (
    rollout_id TEXT COLLATE "C" NOT NULL REFERENCES rollouts (id),
    device     BIGINT NOT NULL,
    PRIMARY KEY (rollout_id, device)
);

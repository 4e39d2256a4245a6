-- What lists, counts and searches of a large fleet stand on.

DROP INDEX devices_by_type;
CREATE INDEX devices_live_by_type ON devices (org_id, device_type, version, number) WHERE deleted_at IS NULL AND state <> 'decommissioned';
CREATE INDEX devices_by_update ON devices (org_id, update_state, number) WHERE update_state <> '';

-- Ids by every three letters that follow each other, for words in the middle of them. Where the extension can't be had, such searches read the fleet.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX devices_by_words ON devices USING gin (device_id_lower gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'Searching devices by parts of their ids will read the whole fleet: %', SQLERRM;
END
$$;

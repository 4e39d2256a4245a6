-- What lists, counts and searches of a large fleet stand on.

DROP INDEX devices_by_type;
CREATE INDEX devices_live_by_type ON devices (org_id, device_type, version, number) WHERE deleted_at IS NULL AND state <> 'decommissioned';
CREATE INDEX devices_by_update ON devices (org_id, update_state, number) WHERE update_state <> '';

-- Ids by every three letters that follow each other, for words in the middle of them. Holds no text of its own.
CREATE VIRTUAL TABLE device_words USING fts5 (device_id_lower, content = 'devices', content_rowid = 'number', tokenize = 'trigram', detail = 'none', columnsize = 0);
INSERT INTO device_words (device_words) VALUES ('rebuild');
CREATE TRIGGER device_words_in AFTER INSERT ON devices BEGIN
    INSERT INTO device_words (rowid, device_id_lower) VALUES (new.number, new.device_id_lower);
END;
CREATE TRIGGER device_words_changed AFTER UPDATE OF device_id_lower ON devices BEGIN
    INSERT INTO device_words (device_words, rowid, device_id_lower) VALUES ('delete', old.number, old.device_id_lower);
    INSERT INTO device_words (rowid, device_id_lower) VALUES (new.number, new.device_id_lower);
END;
CREATE TRIGGER device_words_out AFTER DELETE ON devices BEGIN
    INSERT INTO device_words (device_words, rowid, device_id_lower) VALUES ('delete', old.number, old.device_id_lower);
END;

-- When a view was saved is asked by nobody.
ALTER TABLE device_views DROP COLUMN saved_at;

-- Which groups had approved when the glass was broken, JSON: the number alone does not say that the one which matters was missing.
ALTER TABLE glass_breaks ADD COLUMN shares TEXT NOT NULL DEFAULT '[]';

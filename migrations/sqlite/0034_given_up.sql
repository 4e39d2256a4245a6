-- What an authority that was given up leaves behind (pki.md R-11).

-- Tokens and claims made until then count for nothing; NULL when nothing was frozen, or an admin has lifted it.
ALTER TABLE authorities ADD COLUMN frozen_at INTEGER;
-- How its devices may come back by their keys, `approval` or `auto`, empty for not at all; and until when.
ALTER TABLE authorities ADD COLUMN way_back TEXT NOT NULL DEFAULT '';
ALTER TABLE authorities ADD COLUMN way_back_until INTEGER NOT NULL DEFAULT 0;

-- What else an answer said that is kept for a repeated request: where the thing that was made is, and of which type its body is; empty for neither.
ALTER TABLE repeats ADD COLUMN location TEXT NOT NULL DEFAULT '';
ALTER TABLE repeats ADD COLUMN media_type TEXT NOT NULL DEFAULT 'application/json';

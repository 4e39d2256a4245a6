-- The label of the token that has a request's key, so that the key is destroyed there and nowhere else when the request comes to nothing; empty when none has
-- it, and of requests from before this was written down.
ALTER TABLE authority_requests ADD COLUMN token TEXT NOT NULL DEFAULT '';

-- A lock keeps out whoever guesses, not whose account it is: tries are counted by where they come from as well. What was counted before is forgotten; it
-- was kept a day at most.
DROP TABLE sign_in_attempts;

-- Tries to sign in since the last success, by address and source (an IPv4 address, a /64 of IPv6): also of addresses that nobody here has, so that a
-- lock tells nothing. Kept a day.
CREATE TABLE sign_in_attempts (
    email_lower  TEXT NOT NULL,
    source       TEXT NOT NULL,
    failures     INTEGER NOT NULL,
    locked_until INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (email_lower, source)
) STRICT;
CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (at);

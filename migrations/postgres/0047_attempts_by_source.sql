-- A lock keeps out whoever guesses, not whose account it is: tries are counted by where they come from as well. What was counted before is forgotten; it
-- was kept a day at most.
DROP TABLE sign_in_attempts;

-- Tries to sign in since the last success, by address and source (an IPv4 address, a /64 of IPv6): also of addresses that nobody here has, so that a
-- lock tells nothing. Kept a day.
CREATE TABLE sign_in_attempts (
    email_lower  TEXT COLLATE "C" NOT NULL,
    source       TEXT COLLATE "C" NOT NULL,
    failures     BIGINT NOT NULL,
    locked_until BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    PRIMARY KEY (email_lower, source)
);
CREATE INDEX sign_in_attempts_by_time ON sign_in_attempts (at);

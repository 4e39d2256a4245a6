-- What is published to third parties, and the ends of authorities.

-- The newest certificate revocation list of each authority. Its number never goes back, whoever publishes next.
CREATE TABLE crls (
    authority_id TEXT   PRIMARY KEY REFERENCES authorities (id),
    org_id       TEXT   NOT NULL REFERENCES organizations (id),
    number       INTEGER NOT NULL,
    this_update  INTEGER NOT NULL,
    next_update  INTEGER NOT NULL,
    -- trust_clock.seq up to which revocations are in it.
    trust_seq    INTEGER NOT NULL,
    der          BLOB   NOT NULL
) STRICT;

-- What a list is made of.
CREATE INDEX certificates_revoked ON certificates (issuer_id, not_after) WHERE state IN ('revoked', 'superseded');

-- When it was retired or given up as compromised, and trust_clock.seq then.
ALTER TABLE authorities ADD COLUMN ended_at INTEGER;
ALTER TABLE authorities ADD COLUMN ended_seq INTEGER;

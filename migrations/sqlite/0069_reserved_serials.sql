-- Serial numbers of certificates that a token signs while no transaction is open: written before the signature, taken when the certificate is booked.
-- One that nobody takes is dropped with an entry in the audit log: it may have been signed for, and was given to nobody.
CREATE TABLE reserved_serials (
    -- The id that the certificate will have.
    id          TEXT    NOT NULL PRIMARY KEY,
    org_id      TEXT    NOT NULL REFERENCES organizations (id),
    issuer_id   TEXT    NOT NULL REFERENCES authorities (id),
    serial      BLOB    NOT NULL,
    subject     TEXT    NOT NULL,
    spki_sha256 BLOB    NOT NULL,
    reserved_at INTEGER NOT NULL,
    UNIQUE (issuer_id, serial)
) STRICT;
CREATE INDEX reserved_serials_by_age ON reserved_serials (reserved_at);

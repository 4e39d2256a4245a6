-- Authorities of others whose devices are believed (E-10). One that has proved possession of its key has a row in `authorities` as well, of kind
-- `registered` and with the same id: that row keeps the key its own and is the issuer of its devices' certificates.

CREATE TABLE registered_authorities (
    id               TEXT    PRIMARY KEY,
    org_id           TEXT    NOT NULL REFERENCES organizations (id),
    label            TEXT    NOT NULL,
    subject          TEXT    NOT NULL,
    key_alg          TEXT    NOT NULL,
    spki_sha256      BLOB    NOT NULL,
    fingerprint      BLOB    NOT NULL,
    der              BLOB    NOT NULL,
    not_before       INTEGER NOT NULL,
    not_after        INTEGER NOT NULL,
    state            TEXT    NOT NULL,
    -- What the verification certificate has to name; empty once it was used.
    code             TEXT    NOT NULL,
    code_until       INTEGER NOT NULL,
    -- What becomes of a device that is seen for the first time.
    just_in_time     TEXT    NOT NULL DEFAULT 'off',
    device_type      TEXT    NOT NULL DEFAULT '',
    tags             TEXT    NOT NULL DEFAULT '',
    template         TEXT    NOT NULL DEFAULT '{CN}',
    pattern          TEXT    NOT NULL DEFAULT '',
    max_devices      INTEGER NOT NULL DEFAULT 0,
    per_day          INTEGER NOT NULL DEFAULT 0,
    -- How many it has let in, and how many since day_at.
    admitted         INTEGER NOT NULL DEFAULT 0,
    day_at           INTEGER NOT NULL DEFAULT 0,
    day_admitted     INTEGER NOT NULL DEFAULT 0,
    last_admitted_at INTEGER,
    refused          INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL,
    created_by       TEXT    NOT NULL,
    verified_at      INTEGER,
    UNIQUE (org_id, spki_sha256)
) STRICT;

-- The certificate that waits for a person, of a device of a registered authority; its request comes without a CSR.
ALTER TABLE enrolment_requests ADD COLUMN leaf BLOB;

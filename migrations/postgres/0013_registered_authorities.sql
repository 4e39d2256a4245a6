-- Authorities of others whose devices are believed (E-10). One that has proved possession of its key has a row in `authorities` as well, of kind
-- `registered` and with the same id: that row keeps the key its own and is the issuer of its devices' certificates.

CREATE TABLE registered_authorities (
    id               TEXT COLLATE "C"  PRIMARY KEY,
    org_id           TEXT COLLATE "C"  NOT NULL REFERENCES organizations (id),
    label            TEXT COLLATE "C"  NOT NULL,
    subject          TEXT COLLATE "C"  NOT NULL,
    key_alg          TEXT COLLATE "C"  NOT NULL,
    spki_sha256      BYTEA    NOT NULL,
    fingerprint      BYTEA    NOT NULL,
    der              BYTEA    NOT NULL,
    not_before       BIGINT NOT NULL,
    not_after        BIGINT NOT NULL,
    state            TEXT COLLATE "C"  NOT NULL,
    -- What the verification certificate has to name; empty once it was used.
    code             TEXT COLLATE "C"  NOT NULL,
    code_until       BIGINT NOT NULL,
    -- What becomes of a device that is seen for the first time.
    just_in_time     TEXT COLLATE "C"  NOT NULL DEFAULT 'off',
    device_type      TEXT COLLATE "C"  NOT NULL DEFAULT '',
    tags             TEXT COLLATE "C"  NOT NULL DEFAULT '',
    template         TEXT COLLATE "C"  NOT NULL DEFAULT '{CN}',
    pattern          TEXT COLLATE "C"  NOT NULL DEFAULT '',
    max_devices      BIGINT NOT NULL DEFAULT 0,
    per_day          BIGINT NOT NULL DEFAULT 0,
    -- How many it has let in, and how many since day_at.
    admitted         BIGINT NOT NULL DEFAULT 0,
    day_at           BIGINT NOT NULL DEFAULT 0,
    day_admitted     BIGINT NOT NULL DEFAULT 0,
    last_admitted_at BIGINT,
    refused          BIGINT NOT NULL DEFAULT 0,
    created_at       BIGINT NOT NULL,
    created_by       TEXT COLLATE "C"  NOT NULL,
    verified_at      BIGINT,
    UNIQUE (org_id, spki_sha256)
);

-- The certificate that waits for a person, of a device of a registered authority; its request comes without a CSR.
ALTER TABLE enrolment_requests ADD COLUMN leaf BYTEA;

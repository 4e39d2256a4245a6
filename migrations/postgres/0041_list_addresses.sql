-- Where the list of revoked certificates of a registered authority is fetched from, as an admin has said, and what came of asking there.
CREATE TABLE registered_list_addresses (
    authority_id TEXT   PRIMARY KEY REFERENCES registered_authorities (id),
    org_id       TEXT   NOT NULL REFERENCES organizations (id),
    url          TEXT   NOT NULL,
    -- When it is asked next; while one asks, when another one may.
    next_at      BIGINT NOT NULL,
    asked_at     BIGINT,
    -- When it has given a list that counts, and how often none since, the last time because of this.
    fetched_at   BIGINT,
    failures     BIGINT NOT NULL,
    error        TEXT   NOT NULL,
    set_at       BIGINT NOT NULL,
    set_by       TEXT   NOT NULL
);

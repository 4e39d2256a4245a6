-- What every process on this database has to agree on, one row with the id 1, written by the server as it starts: the trust domain of the first start, which
-- stays, and as JSON the settings of the last one, which commands beside the server take. No secret is in it; of a token's PIN only where its file is.
CREATE TABLE in_force (
    id           INTEGER PRIMARY KEY,
    trust_domain TEXT    NOT NULL,
    settings     TEXT    NOT NULL
) STRICT;

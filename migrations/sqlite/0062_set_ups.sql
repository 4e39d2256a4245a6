-- One-time codes of the set-up page, by which the first admin of an organization comes in that was made beside a running server; an organization's row goes
-- with its first person. The code of the very first start is in the server's memory alone.
CREATE TABLE set_ups (
    org_id     TEXT    PRIMARY KEY REFERENCES organizations (id),
    code_hash  BLOB    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

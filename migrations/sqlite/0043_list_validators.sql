-- What an owner's server gave with a list that was taken, so that it can be asked whether there is another one; of_list is the SHA-256 of that list.
ALTER TABLE registered_list_addresses ADD COLUMN etag TEXT NOT NULL DEFAULT '';
ALTER TABLE registered_list_addresses ADD COLUMN last_modified TEXT NOT NULL DEFAULT '';
ALTER TABLE registered_list_addresses ADD COLUMN of_list BLOB;

-- Lists of registered authorities that have counted, as the journal says, and that a database which was set back does not have: while its row is here, an
-- authority lets nobody in.
CREATE TABLE awaited_lists (
    authority_id TEXT    PRIMARY KEY REFERENCES registered_authorities (id),
    org_id       TEXT    NOT NULL REFERENCES organizations (id),
    number       TEXT    NOT NULL,
    this_update  INTEGER NOT NULL,
    sha256       BLOB    NOT NULL,
    since        INTEGER NOT NULL
) STRICT;

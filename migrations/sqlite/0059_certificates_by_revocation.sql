-- The list of what was revoked, the last in front. What a successor has replaced is not in it: that is most of what has such a date.
CREATE INDEX certificates_by_revocation ON certificates (org_id, COALESCE(revoked_at, owner_listed_at), id)
    WHERE state <> 'superseded' AND COALESCE(revoked_at, owner_listed_at) IS NOT NULL;

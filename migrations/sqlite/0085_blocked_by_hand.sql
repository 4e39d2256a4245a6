-- Who blocked a key and why, after which certificate's compromise or by hand (`reason` is then `by_hand` and `note` says why). A compromised key is blocked
-- for everybody; by hand an organization blocks for itself alone, so a key may be blocked by several.
CREATE TABLE blocked_keys_told (
    org_id         TEXT    NOT NULL REFERENCES organizations (id),
    spki_sha256    BLOB    NOT NULL,
    reason         TEXT    NOT NULL,
    note           TEXT    NOT NULL,
    blocked_at     INTEGER NOT NULL,
    blocked_by     TEXT    NOT NULL,
    certificate_id TEXT    NOT NULL,
    PRIMARY KEY (org_id, spki_sha256)
) STRICT;
INSERT INTO blocked_keys_told (org_id, spki_sha256, reason, note, blocked_at, blocked_by, certificate_id)
    SELECT b.org_id, b.spki_sha256, b.reason, '', b.blocked_at,
        COALESCE((SELECT c.revoked_by FROM certificates c WHERE c.spki_sha256 = b.spki_sha256 AND c.org_id = b.org_id AND c.reason = b.reason
            ORDER BY c.revoked_at, c.id LIMIT 1), ''),
        COALESCE((SELECT c.id FROM certificates c WHERE c.spki_sha256 = b.spki_sha256 AND c.org_id = b.org_id AND c.reason = b.reason
            ORDER BY c.revoked_at, c.id LIMIT 1), '')
    FROM blocked_keys b;
DROP TABLE blocked_keys;
ALTER TABLE blocked_keys_told RENAME TO blocked_keys;
CREATE INDEX blocked_keys_by_key ON blocked_keys (spki_sha256);
CREATE INDEX blocked_keys_by_time ON blocked_keys (org_id, blocked_at, spki_sha256);

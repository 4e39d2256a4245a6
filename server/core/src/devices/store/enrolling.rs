//! The SQL of the ways in: enrolment tokens, what they gave, requests that wait for a person, and who may ask.

use crate::db::{Sql, many};

pub(in crate::devices) const TOKEN_INSERT: Sql = Sql::same(
    "INSERT INTO enrolment_tokens (id, org_id, label, pattern, device_type, tags, max_uses, secret_hash, created_at, created_by, expires_at,
                                   source, mode, spki_sha256, csr_sha256, profile, group_ids)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
);
pub(in crate::devices) const TOKEN: Sql = Sql::same(
    "SELECT id, org_id, label, pattern, device_type, tags, max_uses, uses, secret_hash, created_at, created_by, expires_at, revoked_at, last_used_at,
            source, mode, spki_sha256, csr_sha256, profile, group_ids, reused_at, reused_from, CAST(0 AS BIGINT) AS connected
     FROM enrolment_tokens WHERE id = $1",
);
/// With how many devices have used a certificate that the token gave.
pub(in crate::devices) const TOKENS: Sql = Sql::same(
    "SELECT id, org_id, label, pattern, device_type, tags, max_uses, uses, secret_hash, created_at, created_by, expires_at, revoked_at, last_used_at,
            source, mode, spki_sha256, csr_sha256, profile, group_ids, reused_at, reused_from,
            (SELECT COUNT(DISTINCT c.device) FROM certificates c WHERE c.first_used_at IS NOT NULL AND c.id IN (
                SELECT e.certificate_id FROM enrolments e WHERE e.token_id = t.id
                UNION ALL SELECT r.certificate_id FROM enrolment_requests r WHERE r.org_id = t.org_id AND r.token_id = t.id)) AS connected
     FROM enrolment_tokens t WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
);
pub(in crate::devices) const TOKENS_COUNT: Sql = Sql::same("SELECT COUNT(*) FROM enrolment_tokens WHERE org_id = $1");
pub(in crate::devices) const TOKEN_REVOKE: Sql =
    Sql::same("UPDATE enrolment_tokens SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL");
/// Voids the tokens whose pattern is exactly this id; those with a star are for others as well.
pub(in crate::devices) const TOKENS_VOID: Sql =
    Sql::same("UPDATE enrolment_tokens SET revoked_at = $3 WHERE org_id = $1 AND LOWER(pattern) = $2 AND revoked_at IS NULL");
pub(in crate::devices) const TOKEN_USE: Sql = Sql::same(
    "UPDATE enrolment_tokens SET uses = uses + 1, last_used_at = $2
     WHERE id = $1 AND uses < max_uses AND expires_at > $2 AND revoked_at IS NULL",
);
/// Gives back $2 uses that came to nothing.
pub(in crate::devices) const TOKEN_RETURN: Sql = Sql::same("UPDATE enrolment_tokens SET uses = uses - $2 WHERE id = $1 AND uses >= $2");
/// From where a token let devices in, as far as that was kept; $3 addresses at most. The state is asked so that no index by it is taken: a token has few requests,
/// an organization many.
pub(in crate::devices) const TOKEN_ORIGINS: Sql = Sql::same(
    "SELECT address FROM enrolments WHERE token_id = $2 AND address <> ''
     UNION SELECT address FROM enrolment_requests WHERE org_id = $1 AND token_id = $2 AND COALESCE(state, '') = 'enrolled' AND address <> '' LIMIT $3",
);
/// Forgets from where a token let this device in.
pub(in crate::devices) const ENROLMENT_ADDRESSES_CLEAR: Sql =
    Sql::same("UPDATE enrolments SET address = '' WHERE device = $1 AND address <> ''");
/// Notes that a token which is used up was tried from somewhere else, unless that was noted after $4.
pub(in crate::devices) const TOKEN_REUSED: Sql =
    Sql::same("UPDATE enrolment_tokens SET reused_at = $2, reused_from = $3 WHERE id = $1 AND (reused_at IS NULL OR reused_at <= $4)");
/// Tokens of which that was noted after $2, the last ones first.
pub(in crate::devices) const TOKENS_REUSED: Sql = Sql::same(
    "SELECT label, reused_from, reused_at FROM enrolment_tokens WHERE org_id = $1 AND reused_at > $2 ORDER BY reused_at DESC, id LIMIT $3",
);
/// Tokens that keep their state until the transaction ends.
pub(in crate::devices) const TOKENS_HELD: Sql = many!(
    "SELECT t.id, t.uses, t.max_uses, t.expires_at, t.revoked_at FROM (SELECT ",
    [text id],
    ") AS w JOIN enrolment_tokens t ON t.id = w.id ORDER BY t.id",
    held t
);
pub(in crate::devices) const TOKENS_USE: Sql = many!(
    "UPDATE enrolment_tokens SET uses = uses + w.taken, last_used_at = $2 FROM (SELECT ",
    [text id, int taken],
    ") AS w WHERE enrolment_tokens.id = w.id"
);
/// What tokens gave for keys, the newest last.
pub(in crate::devices) const ENROLMENTS: Sql = many!(
    "SELECT w.place, e.csr_sha256, e.certificate_id, e.at, d.device_id FROM (SELECT ",
    [int place, text token, bytes spki],
    ") AS w JOIN enrolments e ON e.token_id = w.token AND e.spki_sha256 = w.spki JOIN devices d ON d.number = e.device ORDER BY e.at"
);
pub(in crate::devices) const ENROLMENTS_INSERT: Sql = many!(
    "INSERT INTO enrolments (token_id, org_id, csr_sha256, spki_sha256, device, certificate_id, at, address) SELECT ",
    [text token, text org, bytes csr, bytes spki, int device, text certificate, int at, text address],
    " ON CONFLICT (token_id, spki_sha256, csr_sha256) DO UPDATE SET certificate_id = excluded.certificate_id, at = excluded.at, address = excluded.address"
);

pub(in crate::devices) const REQUEST_INSERT: Sql = Sql::same(
    "INSERT INTO enrolment_requests (id, org_id, token_id, spki_sha256, csr_sha256, device_id, device_type, hardware, attributes, key_alg, address,
                                     state, asked_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', $12, $13) ON CONFLICT (org_id, token_id, spki_sha256) DO NOTHING",
);
pub(in crate::devices) const RECOVERY_INSERT: Sql = Sql::same(
    "INSERT INTO enrolment_requests (id, org_id, token_id, spki_sha256, csr_sha256, device_id, device_type, hardware, attributes, key_alg, address,
                                     state, asked_at, expires_at, recovers)
     SELECT $1, $2, $3, $4, $5, d.device_id, d.device_type, d.hardware, '{}', $7, $8, 'pending', $9, $10, $11
     FROM devices d WHERE d.org_id = $2 AND d.number = $6 ON CONFLICT (org_id, token_id, spki_sha256) DO NOTHING",
);
pub(in crate::devices) const RECOVERIES_REPLACE: Sql =
    Sql::same("DELETE FROM enrolment_requests WHERE org_id = $1 AND recovers = $2 AND state = 'pending'");
macro_rules! request {
    ($which:literal) => {
        Sql::same(concat!(
            "SELECT r.id, r.spki_sha256, r.csr_sha256, r.device_id, r.device_type, r.hardware, r.attributes, r.key_alg, COALESCE(t.label, g.label, '') AS token,
            r.address, r.state, r.asked_at, r.expires_at, r.certificate_id, r.issued_at, r.recovers, r.returns, r.token_id AS credential, r.leaf
     FROM enrolment_requests r LEFT JOIN enrolment_tokens t ON t.id = r.token_id LEFT JOIN registered_authorities g ON g.id = r.token_id ",
            $which
        ))
    };
}
pub(in crate::devices) const REQUEST_OF: Sql =
    request!("WHERE r.org_id = $1 AND r.token_id = $2 AND r.spki_sha256 = $3 AND r.expires_at > $4");
pub(in crate::devices) const REQUEST: Sql = request!("WHERE r.org_id = $1 AND r.id = $2");
pub(in crate::devices) const REQUESTS: Sql =
    request!("WHERE r.org_id = $1 AND r.state = 'pending' AND r.expires_at > $2 AND r.id > $3 ORDER BY r.id LIMIT $4");
pub(in crate::devices) const REQUESTS_COUNT: Sql =
    Sql::same("SELECT COUNT(*) FROM enrolment_requests WHERE org_id = $1 AND state = 'pending' AND expires_at > $2");
pub(in crate::devices) const REQUESTS_WAITING: Sql =
    Sql::same("SELECT COUNT(*) FROM enrolment_requests WHERE org_id = $1 AND state = 'pending' AND token_id = ''");
/// Drops requests that have ended at $3: those of the organization $1 by the credential $2, or without an organization all.
pub(in crate::devices) const REQUESTS_FORGET: Sql = Sql::same(
    "DELETE FROM enrolment_requests WHERE ($1 = '' OR (org_id = $1 AND token_id = $2)) AND expires_at <= $3 RETURNING token_id, state",
);
pub(in crate::devices) const REQUESTS_ENDED: Sql = Sql::same("SELECT COUNT(*) FROM enrolment_requests WHERE expires_at <= $1");
pub(in crate::devices) const REQUEST_DECIDE: Sql = Sql::same(
    "UPDATE enrolment_requests SET state = $3, decided_at = $4, decided_by = $5, expires_at = $6
     WHERE org_id = $1 AND id = $2 AND state = 'pending' AND expires_at > $4",
);
pub(in crate::devices) const REQUEST_TAKE: Sql = Sql::same(
    "UPDATE enrolment_requests SET state = 'enrolled', csr_sha256 = $2, issued_at = $3, expires_at = $4 WHERE id = $1 AND state = 'approved'",
);
pub(in crate::devices) const REQUEST_GAVE: Sql = Sql::same("UPDATE enrolment_requests SET certificate_id = $2 WHERE id = $1");
pub(in crate::devices) const ORG_ASKABLE: Sql = Sql::same(
    "SELECT open_enrolment, open_profile, EXISTS (SELECT 1 FROM enrolment_requests WHERE org_id = $1 AND token_id = '' AND expires_at > $2) \
     FROM organizations WHERE id = $1",
);
/// Whether it is open, held until the transaction ends: new requests of one organization come one after the other.
pub(in crate::devices) const ORG_HELD: Sql = Sql::split(
    "SELECT open_enrolment FROM organizations WHERE id = $1",
    "SELECT open_enrolment FROM organizations WHERE id = $1 FOR NO KEY UPDATE",
);
pub(in crate::devices) const ORG_SET_OPEN: Sql = Sql::same("UPDATE organizations SET open_enrolment = $2, open_profile = $3 WHERE id = $1");

//! Keys that nobody gets a certificate for any more. Who asks for them is in `certificates.rs` ([`super::key_users`]) and in the room of registered
//! authorities: one that was compromised is blocked for everybody, one that was blocked by hand for its organization.

use super::super::journal::LeakedKey;
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    blocked::{BY_HAND, BlockedKey},
    ids::{CertificateId, OrgId},
};

macro_rules! shown {
    ($which:literal) => {
        Sql::same(concat!(
            "SELECT b.spki_sha256, b.reason, b.note, b.blocked_at, b.blocked_by, b.certificate_id, \
             (SELECT d.device_id FROM certificates c JOIN devices d ON d.number = c.device WHERE c.spki_sha256 = b.spki_sha256 \
             AND c.org_id = b.org_id AND c.state IN ('active', 'superseded') ORDER BY c.issued_at DESC LIMIT 1) AS device_id \
             FROM blocked_keys b WHERE b.org_id = $1 AND ",
            $which
        ))
    };
}
/// What was said first stands, but for this: that a key is compromised follows every other reason.
pub(super) const BLOCK: Sql = Sql::same(
    "INSERT INTO blocked_keys (spki_sha256, org_id, reason, blocked_at, blocked_by, certificate_id, note) \
     SELECT $1, o.id, $3, $4, $5, $6, $7 FROM organizations o WHERE o.id = $2 \
     ON CONFLICT (org_id, spki_sha256) DO UPDATE SET reason = excluded.reason, certificate_id = excluded.certificate_id \
     WHERE blocked_keys.reason = 'by_hand' AND excluded.reason <> 'by_hand'",
);
pub(super) const UNBLOCK: Sql = Sql::same("DELETE FROM blocked_keys WHERE org_id = $1 AND spki_sha256 = $2 AND reason = 'by_hand'");
pub(super) const ALL_BLOCKED: Sql = Sql::same(
    "SELECT spki_sha256, org_id, reason, blocked_at, blocked_by, certificate_id, note FROM blocked_keys ORDER BY blocked_at, spki_sha256, org_id",
);
/// The key of a certificate, and why it is blocked, if it is: for everybody, or by hand in the certificate's own organization.
pub(super) const KEY_OF: Sql = Sql::same(
    "SELECT c.spki_sha256, b.reason FROM certificates c \
     LEFT JOIN blocked_keys b ON b.spki_sha256 = c.spki_sha256 AND (b.reason <> 'by_hand' OR b.org_id = c.org_id) \
     WHERE c.id = $1 ORDER BY CASE WHEN b.reason = 'by_hand' THEN 1 ELSE 0 END LIMIT 1",
);
/// Whether it is the key of an authority of this organization that is not somebody else's own, or one that waits for its certificate.
pub(super) const AUTHORITY_KEY: Sql = Sql::same(
    "SELECT id FROM authorities WHERE org_id = $1 AND spki_sha256 = $2 AND kind <> 'registered' \
     UNION ALL SELECT id FROM authority_requests WHERE org_id = $1 AND spki_sha256 = $2 AND state = 'open' LIMIT 1",
);
pub(super) const BLOCKED_ONE: Sql = shown!("b.spki_sha256 = $2");
pub(super) const BLOCKED: Sql =
    shown!("(b.blocked_at < $2 OR (b.blocked_at = $2 AND b.spki_sha256 < $3)) ORDER BY b.blocked_at DESC, b.spki_sha256 DESC LIMIT $4");
pub(super) const BLOCKED_COUNT: Sql = Sql::same("SELECT COUNT(*) FROM blocked_keys WHERE org_id = $1");

/// Blocks a key; `false` when it is blocked already, or its organization is not known.
pub(in crate::pki) async fn block_key(tx: &mut Tx, key: &LeakedKey) -> Result<bool, Error> {
    let (spki, org, note) = (key.spki_sha256.as_slice(), key.org_id.as_str(), key.note.as_str());
    let (by, certificate) = (key.blocked_by.as_str(), key.certificate_id.as_str());
    Ok(exec!(tx, BLOCK, spki, org, key.reason.as_str(), key.blocked_at, by, certificate, note)? == 1)
}

/// Lets a key that was blocked by hand be used again; `false` when there is none.
pub(in crate::pki) async fn unblock_key(tx: &mut Tx, org: &OrgId, spki_sha256: &[u8]) -> Result<bool, Error> {
    Ok(exec!(tx, UNBLOCK, org.as_str(), spki_sha256)? == 1)
}

/// Whether an authority of the organization has this key, or waits for its certificate with it. A registered one's is its owner's.
pub(in crate::pki) async fn is_authority_key(on: &mut impl Conn, org: &OrgId, spki_sha256: &[u8]) -> Result<bool, Error> {
    Ok(row!(on, (String,), AUTHORITY_KEY, org.as_str(), spki_sha256)?.is_some())
}

/// The key of a certificate, and why it is blocked, when it is.
pub(in crate::pki) async fn key_of(on: &mut impl Conn, id: &CertificateId) -> Result<Option<(Vec<u8>, Option<String>)>, Error> {
    row!(on, (Vec<u8>, Option<String>), KEY_OF, id.as_str())
}

/// Every organization's, in the order of blocking.
pub(in crate::pki) async fn all_blocked(on: &mut impl Conn) -> Result<Vec<LeakedKey>, Error> {
    rows!(on, LeakedKey, ALL_BLOCKED)
}

#[derive(sqlx::FromRow)]
struct BlockedRecord {
    spki_sha256: Vec<u8>,
    reason: String,
    note: String,
    blocked_at: i64,
    blocked_by: String,
    certificate_id: String,
    device_id: Option<String>,
}

fn shown(r: BlockedRecord) -> Result<BlockedKey, Error> {
    Ok(BlockedKey {
        spki_sha256: hex::encode(&r.spki_sha256),
        by_hand: r.reason == BY_HAND,
        reason: r.note,
        blocked_at: Timestamp(r.blocked_at),
        blocked_by: r.blocked_by,
        certificate: Some(r.certificate_id).filter(|id| !id.is_empty()).map(|id| id.parse().map_err(Error::corrupt)).transpose()?,
        used_by: r.device_id.map(|id| id.parse().map_err(Error::corrupt)).transpose()?,
    })
}

/// The organization's block of a key.
pub(in crate::pki) async fn blocked_one(on: &mut impl Conn, org: &OrgId, spki_sha256: &[u8]) -> Result<Option<BlockedKey>, Error> {
    row!(on, BlockedRecord, BLOCKED_ONE, org.as_str(), spki_sha256)?.map(shown).transpose()
}

/// The organization's that were blocked before this time, or then and have a smaller hash; newest first.
pub(in crate::pki) async fn blocked(
    on: &mut impl Conn,
    org: &OrgId,
    (at, spki_sha256): (i64, &[u8]),
    limit: i64,
) -> Result<Vec<BlockedKey>, Error> {
    rows!(on, BlockedRecord, BLOCKED, org.as_str(), at, spki_sha256, limit)?.into_iter().map(shown).collect()
}

pub(in crate::pki) async fn blocked_count(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), BLOCKED_COUNT, org.as_str())?.map_or(0, |(n,)| n))
}

//! Keys that nobody gets a certificate for any more. Who asks for them is in `certificates.rs` ([`super::key_users`]) and in the room of registered
//! authorities.

use super::super::journal::BlockedKey;
use crate::db::{Conn, Error, Sql, Tx, exec, rows};
use wire::{Timestamp, ids::OrgId};

pub(super) const BLOCK: Sql = Sql::same(
    "INSERT INTO blocked_keys (spki_sha256, org_id, reason, blocked_at) VALUES ($1, $2, $3, $4) ON CONFLICT (spki_sha256) DO NOTHING",
);
pub(super) const BLOCKED: Sql =
    Sql::same("SELECT spki_sha256, org_id, reason, blocked_at FROM blocked_keys ORDER BY blocked_at, spki_sha256");
pub(super) const BLOCK_AGAIN: Sql = Sql::same(
    "INSERT INTO blocked_keys (spki_sha256, org_id, reason, blocked_at) SELECT $1, o.id, $3, $4 FROM organizations o WHERE o.id = $2 \
     ON CONFLICT (spki_sha256) DO NOTHING",
);

pub(in crate::pki) async fn block_key(tx: &mut Tx, spki_sha256: &[u8], org: &OrgId, reason: &str, now: Timestamp) -> Result<(), Error> {
    exec!(tx, BLOCK, spki_sha256, org.as_str(), reason, now.0)?;
    Ok(())
}

/// Every organization's, in the order of blocking.
pub(in crate::pki) async fn blocked(on: &mut impl Conn) -> Result<Vec<BlockedKey>, Error> {
    rows!(on, BlockedKey, BLOCKED)
}

/// Blocks a key as it was blocked before; `false` when its organization is not known.
pub(in crate::pki) async fn block_again(tx: &mut Tx, key: &BlockedKey) -> Result<bool, Error> {
    Ok(exec!(tx, BLOCK_AGAIN, key.spki_sha256.as_slice(), key.org_id.as_str(), key.reason.as_str(), key.blocked_at)? == 1)
}

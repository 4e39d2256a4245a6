//! Orders to renew.

use crate::db::{Error, Sql, Tx, rows};
use wire::Timestamp;

/// Of the certificates that its device may connect with, those that are renewed here and have no successor in use: an owner's authority renews its own.
pub(super) const ORDER_RENEWAL: Sql = Sql::same(
    "UPDATE certificates SET renew_ordered_at = $2, trust_seq = $3 WHERE device = $1 AND state = 'active' AND fingerprint IS NOT NULL \
     AND usable_until = not_after AND not_after > $2 \
     AND issuer_id IN (SELECT id FROM authorities WHERE kind <> 'registered' AND state IN ('staged', 'active', 'retiring')) RETURNING id",
);

/// Orders that the device's certificates are renewed; gives their ids.
pub(in crate::pki) async fn order_renewal(tx: &mut Tx, device: i64, now: Timestamp, seq: i64) -> Result<Vec<String>, Error> {
    Ok(rows!(tx, (String,), ORDER_RENEWAL, device, now.0, seq)?.into_iter().map(|(id,)| id).collect())
}

//! Orders to renew.

use crate::db::{Conn, Error, Sql, Tx, row, rows};
use wire::Timestamp;

/// Of the certificates that its device ($1) may connect with at an instant ($2), those that are renewed here and have no successor in use: an owner's
/// authority renews its own.
macro_rules! renewed_here {
    () => {
        "device = $1 AND state = 'active' AND fingerprint IS NOT NULL AND usable_until = not_after AND not_after > $2 \
         AND issuer_id IN (SELECT id FROM authorities WHERE kind <> 'registered' AND state IN ('staged', 'active', 'retiring'))"
    };
}
pub(super) const ORDER_RENEWAL: Sql =
    Sql::same(concat!("UPDATE certificates SET renew_ordered_at = $2, trust_seq = $3 WHERE ", renewed_here!(), " RETURNING id"));
pub(super) const RENEWED_HERE: Sql = Sql::same(concat!("SELECT COUNT(*) FROM certificates WHERE ", renewed_here!()));

/// Whether an order at this instant would find one.
pub(in crate::pki) async fn renewable(on: &mut impl Conn, device: i64, now: Timestamp) -> Result<bool, Error> {
    Ok(row!(on, (i64,), RENEWED_HERE, device, now.0)?.is_some_and(|(certificates,)| certificates > 0))
}

/// Orders that the device's certificates are renewed; gives their ids.
pub(in crate::pki) async fn order_renewal(tx: &mut Tx, device: i64, now: Timestamp, seq: i64) -> Result<Vec<String>, Error> {
    Ok(rows!(tx, (String,), ORDER_RENEWAL, device, now.0, seq)?.into_iter().map(|(id,)| id).collect())
}

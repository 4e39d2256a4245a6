//! Orders to renew.

use crate::db::{Conn, Error, Sql, Tx, column, many, row, rows};
use std::collections::HashMap;
use wire::{Timestamp, ids::AuthorityId};

/// Of certificates those that their device may connect with at an instant ($2), that are renewed here and have no successor in use: an owner's authority
/// renews its own.
macro_rules! renewed_here {
    () => {
        "state = 'active' AND fingerprint IS NOT NULL AND usable_until = not_after AND not_after > $2 \
         AND issuer_id IN (SELECT id FROM authorities WHERE kind <> 'registered' AND state IN ('staged', 'active', 'retiring'))"
    };
}
/// Orders those of devices, each to be told at an instant; those of one authority ($4), or of any.
pub(super) const ORDER_RENEWALS: Sql = many!(
    "UPDATE certificates SET renew_ordered_at = $2, renew_due_at = w.due, trust_seq = $3 FROM (SELECT ",
    [int device, int due],
    concat!(
        ") AS w WHERE certificates.device = w.device AND ",
        renewed_here!(),
        " AND ($4 = '' OR certificates.issuer_id = $4) RETURNING id"
    )
);
pub(super) const RENEWED_HERE: Sql = Sql::same(concat!("SELECT COUNT(*) FROM certificates WHERE device = $1 AND ", renewed_here!()));
/// Which devices have any, of one authority ($3) or of any, whether one of theirs is ordered already, and whether the device ever had a channel.
pub(super) const TO_RENEW: Sql = many!(
    "SELECT c.device, CAST(MAX(CASE WHEN c.renew_ordered_at IS NULL THEN 0 ELSE 1 END) AS BIGINT), \
     CAST(CASE WHEN EXISTS (SELECT 1 FROM devices d WHERE d.number = c.device AND d.connected_at IS NOT NULL) THEN 1 ELSE 0 END AS BIGINT) FROM (SELECT ",
    [int device],
    concat!(
        ") AS w JOIN certificates c ON c.device = w.device WHERE ",
        renewed_here!(),
        " AND ($3 = '' OR c.issuer_id = $3) GROUP BY c.device"
    )
);
/// Of an authority's devices whose certificate has not ended: those that were asked, those of them that have not renewed, and when the last one is told.
pub(super) const PROGRESS: Sql = Sql::same(
    "SELECT COUNT(DISTINCT device), COUNT(DISTINCT CASE WHEN renew_ordered_at IS NOT NULL THEN device END), \
     MAX(CASE WHEN renew_ordered_at IS NOT NULL THEN renew_due_at END) FROM certificates \
     WHERE issuer_id = $1 AND renew_due_at IS NOT NULL AND not_after > $2 AND device IS NOT NULL AND (renew_ordered_at IS NULL OR state = 'active')",
);

/// Whether an order at this instant would find one.
pub(in crate::pki) async fn renewable(on: &mut impl Conn, device: i64, now: Timestamp) -> Result<bool, Error> {
    Ok(row!(on, (i64,), RENEWED_HERE, device, now.0)?.is_some_and(|(certificates,)| certificates > 0))
}

/// Which of these devices have one, whether they are asked already, and whether they ever had a channel.
pub(in crate::pki) async fn to_renew(
    on: &mut impl Conn,
    devices: &[i64],
    of: Option<&AuthorityId>,
    now: Timestamp,
) -> Result<HashMap<i64, (bool, bool)>, Error> {
    let devices = column("device", devices)?;
    let found = rows!(on, (i64, i64, i64), TO_RENEW, devices.as_str(), now.0, of.map_or("", AuthorityId::as_str))?;
    Ok(found.into_iter().map(|(device, asked, channel)| (device, (asked != 0, channel != 0))).collect())
}

/// Orders that the certificates of a list of devices are renewed, each with its number as `device`, which is told at `due`; gives their ids.
pub(in crate::pki) async fn order_renewals(
    tx: &mut Tx,
    devices: &str,
    of: Option<&AuthorityId>,
    (now, seq): (Timestamp, i64),
) -> Result<Vec<String>, Error> {
    let ordered = rows!(tx, (String,), ORDER_RENEWALS, devices, now.0, seq, of.map_or("", AuthorityId::as_str))?;
    Ok(ordered.into_iter().map(|(id,)| id).collect())
}

/// How many of an authority's devices were asked, how many of them have not renewed, and when the last one is told.
pub(in crate::pki) async fn progress(on: &mut impl Conn, id: &AuthorityId, now: Timestamp) -> Result<(i64, i64, Option<i64>), Error> {
    Ok(row!(on, (i64, i64, Option<i64>), PROGRESS, id.as_str(), now.0)?.unwrap_or_default())
}

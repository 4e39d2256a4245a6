//! Orders to many to renew that are being carried out: kept with whom they ask, some devices a part, and carried out part by part by whichever instance
//! comes to it, so that one that was cut short goes on after a restart. Refuses to know whom a selector means, and who is left out when an order is given.

use super::{DeviceNo, Devices, Error, telling};
use crate::{
    access::{Act, Actor, may},
    db::{self, Conn, Sql, Tx, column, exec, list, many, row, rows},
    pki::DueRenewal,
};
use serde::Serialize;
use std::collections::HashSet;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId, RenewalOrderId},
    pki::RenewalUnderWay,
};

const GIVE: Sql = Sql::same(
    "INSERT INTO renewal_orders (id, org_id, about, authority_id, minutes, asked, ordered_at, ordered_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const PARTS: Sql = many!(
    "INSERT INTO renewal_parts (order_id, nth, size, devices) SELECT ",
    [text order_id, int nth, int size, text devices],
    ""
);
/// The next part belongs to whoever takes it. Another one waits until that is settled, and then finds none.
const TAKE: Sql = Sql::same(
    "DELETE FROM renewal_parts WHERE order_id = $1 AND nth = (SELECT MIN(p.nth) FROM renewal_parts p WHERE p.order_id = $1) RETURNING nth, devices",
);
const ORDER: Sql = Sql::same("SELECT authority_id, minutes, asked, ordered_at FROM renewal_orders WHERE id = $1");
/// Those of these devices that are not suspended.
const STANDING: Sql =
    many!("SELECT d.number FROM (SELECT ", [int device], ") AS w JOIN devices d ON d.number = w.device WHERE d.state <> 'suspended'");
const END: Sql = Sql::same("DELETE FROM renewal_orders WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM renewal_parts p WHERE p.order_id = $1)");
/// The oldest order after this one that has somebody to ask.
const NEXT: Sql = Sql::same("SELECT order_id FROM renewal_parts WHERE order_id > $1 ORDER BY order_id LIMIT 1");
/// Whom the orders of an organization have still to ask, as far as they are of this authority's certificates or of any.
const STILL: Sql = Sql::same(
    "SELECT p.devices FROM renewal_orders o JOIN renewal_parts p ON p.order_id = o.id WHERE o.org_id = $1 AND o.authority_id IN ('', $2)",
);
const UNDER_WAY: Sql = Sql::same(
    "SELECT o.about, o.authority_id, o.ordered_at, o.ordered_by, o.asked, CAST(SUM(p.size) AS BIGINT) AS to_reach
     FROM renewal_orders o JOIN renewal_parts p ON p.order_id = o.id WHERE o.org_id = $1 GROUP BY o.id ORDER BY o.id",
);

pub(crate) const ALL: &[&Sql] = &[&GIVE, &PARTS, &TAKE, &ORDER, &STANDING, &END, &NEXT, &STILL, &UNDER_WAY];

#[derive(Serialize)]
struct Part<'a> {
    order_id: &'a str,
    nth: i64,
    size: i64,
    devices: String,
}

#[derive(sqlx::FromRow)]
struct UnderWayRow {
    about: String,
    authority_id: String,
    ordered_at: i64,
    ordered_by: String,
    asked: i64,
    to_reach: i64,
}

/// The authority whose certificates alone an order is of.
fn of(kept: &str) -> Result<Option<AuthorityId>, db::Error> {
    Some(kept).filter(|id| !id.is_empty()).map(|id| id.parse().map_err(db::Error::corrupt)).transpose()
}

fn numbers(kept: &str) -> Result<Vec<DeviceNo>, db::Error> {
    serde_json::from_str(kept).map_err(db::Error::corrupt)
}

fn count(of: &[DeviceNo]) -> i64 {
    i64::try_from(of.len()).unwrap_or(i64::MAX)
}

/// What an order is, beside whom it asks.
pub(super) struct Given<'a> {
    /// What the audit log says it is about.
    pub about: &'a str,
    pub of: Option<&'a AuthorityId>,
    /// Over how long its devices are told.
    pub minutes: u32,
    pub at: Timestamp,
}

/// Keeps an order with all whom it asks, so many a part.
pub(super) async fn keep(
    tx: &mut Tx,
    actor: &Actor,
    id: &RenewalOrderId,
    given: &Given<'_>,
    (asked, together): (&[DeviceNo], usize),
) -> Result<(), db::Error> {
    let (org, of, by) = (actor.org.as_str(), given.of.map_or("", AuthorityId::as_str), actor.label());
    exec!(&mut *tx, GIVE, id.as_str(), org, given.about, of, i64::from(given.minutes), count(asked), given.at.0, by.as_str())?;
    let (mut parts, mut nth) = (Vec::new(), 0);
    for some in asked.chunks(together) {
        parts.push(Part { order_id: id.as_str(), nth, size: count(some), devices: list(some)? });
        nth += count(some);
    }
    exec!(&mut *tx, PARTS, list(&parts)?)?;
    Ok(())
}

/// Whom orders that are under way have still to ask: that is as good as asked. `of` as in the order that wants to know.
pub(super) async fn still_to_ask(on: &mut impl Conn, org: &OrgId, of: Option<&AuthorityId>) -> Result<HashSet<DeviceNo>, db::Error> {
    let mut still = HashSet::new();
    for (devices,) in rows!(on, (String,), STILL, org.as_str(), of.map_or("", AuthorityId::as_str))? {
        still.extend(numbers(&devices)?);
    }
    Ok(still)
}

impl Devices {
    /// Asks the devices of an order's next part, but for those that were suspended since, are asked otherwise or have nothing to renew any more. Whether there
    /// was a part that nobody else had taken.
    pub(super) async fn ask_next(&self, tx: &mut Tx, order: &RenewalOrderId, now: Timestamp) -> Result<bool, Error> {
        let Some((nth, devices)) = row!(&mut *tx, (i64, String), TAKE, order.as_str())? else { return Ok(false) };
        let found = row!(&mut *tx, (String, i64, i64, i64), ORDER, order.as_str())?;
        let (authority, minutes, asked, at) = found.ok_or_else(|| db::Error::corrupt("a part of no order to renew"))?;
        let (of, minutes) = (of(&authority)?, u32::try_from(minutes).map_err(db::Error::corrupt)?);
        let devices = numbers(&devices)?;
        let standing = rows!(&mut *tx, (i64,), STANDING, column("device", &devices)?)?;
        let standing: HashSet<DeviceNo> = standing.into_iter().map(|(device,)| device).collect();
        let to_renew = self.pki.to_renew(&mut *tx, &devices, of.as_ref(), now).await?;
        let asks = |device: &DeviceNo| standing.contains(device) && to_renew.get(device).is_some_and(|(asked_already, _)| !asked_already);
        let told: Vec<DueRenewal> = devices
            .iter()
            .zip(nth..)
            .filter(|(device, _)| asks(device))
            .map(|(device, n)| DueRenewal { device: *device, due: telling::due(Timestamp(at), minutes, (n, asked)).0 })
            .collect();
        if !told.is_empty() {
            self.pki.order_renewals(tx, &told, of.as_ref(), now).await?;
        }
        exec!(&mut *tx, END, order.as_str())?;
        Ok(true)
    }

    /// Carries an order out to its end, a part a transaction: others get their turn in between. Ends early where another instance is at it.
    pub(super) async fn carry_out(&self, order: &RenewalOrderId) -> Result<(), Error> {
        loop {
            let now = self.clock.now();
            let mut tx = self.db.write().await?;
            if !self.ask_next(&mut tx, order, now).await? {
                break;
            }
            tx.commit().await?;
        }
        Ok(self.pki.reload().await?)
    }

    /// Goes on with orders to many that were given and cut short, here or elsewhere: each of their devices is asked once, whoever does it. For a worker of any
    /// instance; a read where there is none. One that fails keeps none of the others from going on; the last failure is told.
    pub async fn carry_on_renewals(&self) -> Result<(), Error> {
        let (mut after, mut failed) = (String::new(), None);
        while let Some(order) = self.next_order(&after).await? {
            if let Err(e) = self.carry_out(&order).await {
                failed = Some(e);
            }
            order.as_str().clone_into(&mut after);
        }
        failed.map_or(Ok(()), Err)
    }

    /// The oldest order after this one that is not carried out; empty for the first.
    async fn next_order(&self, after: &str) -> Result<Option<RenewalOrderId>, Error> {
        let found = row!(&mut self.db.read().await?, (String,), NEXT, after)?;
        Ok(found.map(|(id,)| id.parse().map_err(db::Error::corrupt)).transpose()?)
    }

    /// Orders to many that are being carried out, the oldest first. Most are carried out within seconds; one that was cut short goes on by itself.
    pub async fn renewals_under_way(&self, actor: &Actor) -> Result<Vec<RenewalUnderWay>, Error> {
        may(actor, Act::Read)?;
        let found = rows!(&mut self.db.read().await?, UnderWayRow, UNDER_WAY, actor.org.as_str())?;
        let mut under_way = Vec::with_capacity(found.len());
        for UnderWayRow { about, authority_id, ordered_at, ordered_by, asked, to_reach } in found {
            let (authority, reached) = (of(&authority_id)?, asked - to_reach);
            under_way.push(RenewalUnderWay { about, authority, ordered_at: Timestamp(ordered_at), ordered_by, asked, reached });
        }
        Ok(under_way)
    }
}

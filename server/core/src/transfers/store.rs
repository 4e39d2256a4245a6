//! The room's SQL: limits, what a download shares them with, and bytes by device and day.

use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    devices::DeviceNo,
};
use std::collections::HashMap;
use wire::{
    ids::{OrgId, RolloutId},
    transfers::TransferLimits,
};

/// Every statement of the room.
pub(crate) const ALL: &[&Sql] = &[&KEPT, &HELD, &KEEP, &SHARED, &BUDGET, &DAYS, &SPENT, &ADD, &FORGET];

const KEPT: Sql = Sql::same("SELECT bandwidth, site_attribute, site_bandwidth, data_budget_mb FROM organizations WHERE id = $1");
/// The same, held until the transaction ends.
const HELD: Sql = Sql::split(
    "SELECT bandwidth, site_attribute, site_bandwidth, data_budget_mb FROM organizations WHERE id = $1",
    "SELECT bandwidth, site_attribute, site_bandwidth, data_budget_mb FROM organizations WHERE id = $1 FOR NO KEY UPDATE",
);
const KEEP: Sql =
    Sql::same("UPDATE organizations SET bandwidth = $2, site_attribute = $3, site_bandwidth = $4, data_budget_mb = $5 WHERE id = $1");
// One row a device: it has at most one open update.
const SHARED: Sql = Sql::same(
    "SELECT v.org_id, o.bandwidth, CASE WHEN a.value IS NULL THEN NULL ELSE o.site_bandwidth END AS site_bandwidth, COALESCE(a.value, '') AS site,
     COALESCE(x.id, '') AS rollout, COALESCE(x.spec, '') AS spec
     FROM devices v JOIN organizations o ON o.id = v.org_id
     LEFT JOIN device_attributes a ON a.device = v.number AND a.name = o.site_attribute
     LEFT JOIN updates u ON u.device = v.number AND u.open = TRUE LEFT JOIN rollouts x ON x.id = u.rollout_id WHERE v.number = $1",
);
const BUDGET: Sql = Sql::same("SELECT data_budget_mb FROM organizations WHERE id = $1");
const DAYS: Sql = Sql::same("SELECT day, bytes FROM device_bytes WHERE device = $1 AND day > $2 ORDER BY day");
// Whose device it is, is asked of each by its number: what was sent is read once, whatever else the fleet is.
const SPENT: Sql = Sql::same(
    "SELECT b.device, CAST(SUM(b.bytes) AS BIGINT) FROM device_bytes b
     WHERE b.day > $2 AND EXISTS (SELECT 1 FROM devices v WHERE v.number = b.device AND v.org_id = $1)
     GROUP BY b.device HAVING CAST(SUM(b.bytes) AS BIGINT) >= $3",
);
const ADD: Sql = Sql::same(
    "INSERT INTO device_bytes (device, day, bytes) VALUES ($1, $2, $3)
     ON CONFLICT (device, day) DO UPDATE SET bytes = device_bytes.bytes + excluded.bytes",
);
const FORGET: Sql = Sql::same("DELETE FROM device_bytes WHERE day <= $1");

fn number(n: i64) -> Result<u64, Error> {
    u64::try_from(n).map_err(Error::corrupt)
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) async fn kept(on: &mut impl Conn, org: &OrgId) -> Result<TransferLimits, Error> {
    limits(org, row!(on, Row, KEPT, org.as_str())?)
}

/// The same; whoever changes the organization meanwhile waits.
pub(super) async fn held(tx: &mut Tx, org: &OrgId) -> Result<TransferLimits, Error> {
    limits(org, row!(tx, Row, HELD, org.as_str())?)
}

type Row = (Option<i64>, String, Option<i64>, Option<i64>);

fn limits(org: &OrgId, found: Option<Row>) -> Result<TransferLimits, Error> {
    let (bandwidth, site_attribute, site, budget) = found.ok_or_else(|| Error::corrupt(format!("no organization {org}")))?;
    Ok(TransferLimits {
        bandwidth: bandwidth.map(number).transpose()?,
        site_attribute,
        site_bandwidth: site.map(number).transpose()?,
        data_budget_mb: budget.map(u32::try_from).transpose().map_err(Error::corrupt)?,
    })
}

pub(super) async fn keep(tx: &mut Tx, org: &OrgId, limits: &TransferLimits) -> Result<(), Error> {
    let (all, site, budget) = (limits.bandwidth.map(count), limits.site_bandwidth.map(count), limits.data_budget_mb.map(i64::from));
    exec!(tx, KEEP, org.as_str(), all, limits.site_attribute.as_str(), site, budget).map(drop)
}

/// What a device's download shares limits with.
pub(super) struct Shared {
    pub org: OrgId,
    pub bandwidth: Option<u64>,
    /// The site's name and its limit.
    pub site: Option<(String, u64)>,
    /// The rollout of the open update, with its limit.
    pub rollout: Option<(RolloutId, u64)>,
}

#[derive(sqlx::FromRow)]
struct SharedRow {
    org_id: String,
    bandwidth: Option<i64>,
    site_bandwidth: Option<i64>,
    site: String,
    rollout: String,
    spec: String,
}

/// Of a plan only what is asked here.
#[derive(serde::Deserialize)]
struct Limited {
    #[serde(default)]
    bandwidth: Option<u64>,
}

pub(super) async fn shared(on: &mut impl Conn, device: DeviceNo) -> Result<Option<Shared>, Error> {
    let Some(found) = row!(on, SharedRow, SHARED, device)? else { return Ok(None) };
    // Most plans have none; those are not even read.
    let limit = if found.spec.contains("\"bandwidth\"") {
        serde_json::from_str::<Limited>(&found.spec).map_err(Error::corrupt)?.bandwidth
    } else {
        None
    };
    let rollout = limit.map(|limit| Ok::<_, Error>((found.rollout.parse().map_err(Error::corrupt)?, limit))).transpose()?;
    Ok(Some(Shared {
        org: found.org_id.parse().map_err(Error::corrupt)?,
        bandwidth: found.bandwidth.map(number).transpose()?,
        site: found.site_bandwidth.map(|limit| Ok::<_, Error>((found.site, number(limit)?))).transpose()?,
        rollout,
    }))
}

/// A device's budget in bytes.
pub(super) async fn budget(on: &mut impl Conn, org: &OrgId) -> Result<Option<i64>, Error> {
    Ok(row!(on, (Option<i64>,), BUDGET, org.as_str())?.and_then(|found| found.0).map(|mb| mb.saturating_mul(1_000_000)))
}

/// Bytes of the days after this one.
pub(super) async fn days(on: &mut impl Conn, device: DeviceNo, after: i64) -> Result<Vec<(i64, i64)>, Error> {
    rows!(on, (i64, i64), DAYS, device, after)
}

/// The devices of an organization that were sent at least so many bytes in all on the days after this one, with what they were sent.
pub(super) async fn spent(on: &mut impl Conn, org: &OrgId, after: i64, least: i64) -> Result<HashMap<DeviceNo, i64>, Error> {
    Ok(rows!(on, (DeviceNo, i64), SPENT, org.as_str(), after, least)?.into_iter().collect())
}

pub(super) async fn add(tx: &mut Tx, device: DeviceNo, day: i64, bytes: i64) -> Result<(), Error> {
    exec!(tx, ADD, device, day, bytes).map(drop)
}

/// Forgets what was sent up to and with this day.
pub(super) async fn forget(tx: &mut Tx, up_to: i64) -> Result<u64, Error> {
    exec!(tx, FORGET, up_to)
}

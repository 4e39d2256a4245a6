//! Where stages end among devices that are spread, listed or chosen by a stage's own selector; written once, by the draw.

use super::records::Record;
use crate::{
    db::{Conn, Error, Sql, Tx, exec, list, many, rows},
    devices::Facts,
    rollouts::lot::{Kept, Lot},
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use wire::ids::{OrgId, RolloutId};

pub(super) const INSERT: Sql =
    many!("INSERT INTO rollout_strata (rollout_id, stratum, cuts) SELECT ", [text rollout_id, text stratum, text cuts], "");
pub(super) const OF: Sql = Sql::same("SELECT stratum, cuts FROM rollout_strata WHERE rollout_id = $1");
pub(super) const ONE: Sql = Sql::same("SELECT stratum, cuts FROM rollout_strata WHERE rollout_id = $1 AND stratum IN ($2, '')");

/// One device of each is enough to know, however many report it.
pub(super) const REPORTED: Sql = Sql::same(
    "SELECT w.name FROM (SELECT 'site' AS name UNION ALL SELECT 'gateway' UNION ALL SELECT 'customer') w
     WHERE EXISTS (SELECT 1 FROM device_attributes a WHERE a.org_id = $1 AND a.name = w.name)",
);

/// Rows that are written at once.
const AT_ONCE: usize = 5_000;

#[derive(Serialize)]
struct Row<'a> {
    rollout_id: &'a str,
    stratum: &'a str,
    cuts: String,
}

/// Keeps the cuts of a draw.
pub(super) async fn keep(tx: &mut Tx, rollout: &RolloutId, strata: &BTreeMap<String, Vec<i64>>) -> Result<(), Error> {
    let mut all = Vec::with_capacity(strata.len());
    for (stratum, cuts) in strata {
        all.push(Row { rollout_id: rollout.as_str(), stratum, cuts: super::plans::json(cuts)? });
    }
    for some in all.chunks(AT_ONCE) {
        exec!(tx, INSERT, list(some)?)?;
    }
    Ok(())
}

fn read(found: Vec<(String, String)>) -> Result<HashMap<String, Vec<i64>>, Error> {
    found.into_iter().map(|(stratum, cuts)| Ok((stratum, serde_json::from_str(&cuts).map_err(Error::corrupt)?))).collect()
}

/// A rollout's draw, for whoever asks about many devices.
pub(in crate::rollouts) async fn of(on: &mut impl Conn, record: &Record, cuts: Vec<i64>) -> Result<Kept, Error> {
    let lot = record.lot()?;
    let strata = if lot.plain() { HashMap::new() } else { read(rows!(on, (String, String), OF, record.id.as_str())?)? };
    Ok(Kept { lot, strata, cuts })
}

/// A rollout's draw, for whoever asks about this device.
pub(in crate::rollouts) async fn one(
    on: &mut impl Conn,
    rollout: &RolloutId,
    lot: Lot,
    cuts: Vec<i64>,
    facts: &Facts,
) -> Result<Kept, Error> {
    let strata = if lot.plain() { HashMap::new() } else { read(rows!(on, (String, String), ONE, rollout.as_str(), lot.stratum(facts))?)? };
    Ok(Kept { lot, strata, cuts })
}

/// Which of `site`, `gateway` and `customer` devices of an organization report.
pub(in crate::rollouts) async fn reported(on: &mut impl Conn, org: &OrgId) -> Result<Vec<String>, Error> {
    Ok(rows!(on, (String,), REPORTED, org.as_str())?.into_iter().map(|r| r.0).collect())
}

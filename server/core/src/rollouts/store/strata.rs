//! Where stages end among devices that are spread, listed or chosen by a stage's own selector, and who is in stages given as a number; written once, by
//! the draw.

use super::records::Record;
use crate::{
    db::{Conn, Error, Sql, Tx, exec, list, many, rows},
    devices::{DeviceNo, Facts},
    rollouts::lot::{ANYBODY, Kept, Lot},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use wire::{
    ids::{OrgId, RolloutId},
    rollouts::APART,
};

pub(super) const INSERT: Sql =
    many!("INSERT INTO rollout_strata (rollout_id, stratum, cuts) SELECT ", [text rollout_id, text stratum, text cuts], "");
pub(super) const OF: Sql = Sql::same("SELECT stratum, cuts FROM rollout_strata WHERE rollout_id = $1");
pub(super) const ONE: Sql = Sql::same("SELECT stratum, cuts FROM rollout_strata WHERE rollout_id = $1 AND stratum IN ($2, '')");
pub(super) const INSERT_MEMBERS: Sql = many!("INSERT INTO rollout_members (rollout_id, device) SELECT ", [text rollout_id, int device], "");
pub(super) const MEMBERS: Sql = Sql::same("SELECT device FROM rollout_members WHERE rollout_id = $1");
/// The same of these strata.
pub(super) const SOME: Sql = Sql::split(
    "SELECT stratum, cuts FROM rollout_strata WHERE rollout_id = $1 AND stratum IN (SELECT n.value FROM json_each($2) n)",
    "SELECT stratum, cuts FROM rollout_strata WHERE rollout_id = $1
     AND stratum IN (SELECT n.value FROM json_array_elements_text(CAST($2 AS JSON)) n)",
);
/// Members from one number to another, and whether they were kept.
pub(super) const MEMBERS_BETWEEN: Sql = Sql::same(
    "SELECT device FROM rollout_members WHERE rollout_id = $1 AND device = 0
     UNION ALL SELECT device FROM rollout_members WHERE rollout_id = $1 AND device BETWEEN $2 AND $3",
);
/// Whether one is a member, and whether members were kept: device 0 says so.
pub(super) const MEMBER: Sql = Sql::same("SELECT device FROM rollout_members WHERE rollout_id = $1 AND device IN ($2, 0)");

/// Which of three attributes devices report. One device of each is enough to know, however many report it.
pub(super) const REPORTED: Sql = Sql::same(
    "SELECT w.name FROM (SELECT CAST($2 AS TEXT) AS name UNION ALL SELECT CAST($3 AS TEXT) UNION ALL SELECT CAST($4 AS TEXT)) w
     WHERE EXISTS (SELECT 1 FROM device_attributes a WHERE a.org_id = $1 AND a.name = w.name)",
);

/// How many devices have each value of what tells them apart: of three attributes, and of one more.
pub(super) const VALUES: Sql = Sql::same(
    "SELECT a.name, a.value, COUNT(*) FROM device_attributes a JOIN devices d ON d.number = a.device
     WHERE a.org_id = $1 AND a.name IN ($3, $4, $5, $2) AND d.state <> 'decommissioned'
     GROUP BY a.name, a.value ORDER BY COUNT(*) DESC, a.name, a.value LIMIT 100",
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

#[derive(Serialize)]
struct MemberRow<'a> {
    rollout_id: &'a str,
    device: DeviceNo,
}

/// Keeps who was drawn into stages given as a number.
pub(super) async fn keep_members(tx: &mut Tx, rollout: &RolloutId, members: Option<&[DeviceNo]>) -> Result<(), Error> {
    let Some(members) = members else { return Ok(()) };
    let all: Vec<MemberRow<'_>> =
        std::iter::once(&0).chain(members).map(|device| MemberRow { rollout_id: rollout.as_str(), device: *device }).collect();
    for some in all.chunks(AT_ONCE) {
        exec!(tx, INSERT_MEMBERS, list(some)?)?;
    }
    Ok(())
}

/// None where nobody kept them: there is no stage given as a number, or it was drawn before they were kept.
fn read_members(found: Vec<(DeviceNo,)>) -> Option<HashSet<DeviceNo>> {
    (!found.is_empty()).then(|| found.into_iter().map(|row| row.0).collect())
}

fn read(found: Vec<(String, String)>) -> Result<HashMap<String, Vec<i64>>, Error> {
    found.into_iter().map(|(stratum, cuts)| Ok((stratum, serde_json::from_str(&cuts).map_err(Error::corrupt)?))).collect()
}

/// A rollout's draw, for whoever asks about the whole fleet.
pub(in crate::rollouts) async fn of(on: &mut impl Conn, record: &Record, cuts: Vec<i64>) -> Result<Kept, Error> {
    let lot = record.lot()?;
    let strata = if lot.plain() { HashMap::new() } else { read(rows!(on, (String, String), OF, record.id.as_str())?)? };
    let members = if lot.limited() { read_members(rows!(on, (DeviceNo,), MEMBERS, record.id.as_str())?) } else { None };
    Ok(Kept { lot, strata, cuts, members })
}

/// Reads of a rollout's draw what these devices need, in the order of their numbers, and forgets what others did: for whoever goes through the fleet in
/// parts and may end soon.
pub(in crate::rollouts) async fn turn_to(
    on: &mut impl Conn,
    rollout: &RolloutId,
    kept: &mut Kept,
    some: &[(DeviceNo, Facts)],
) -> Result<(), Error> {
    if !kept.lot.plain() {
        let mut names: BTreeSet<String> = some.iter().map(|(_, facts)| kept.lot.stratum(facts)).collect();
        names.insert(ANYBODY.to_owned());
        let names: Vec<String> = names.into_iter().collect();
        kept.strata = read(rows!(on, (String, String), SOME, rollout.as_str(), list(&names)?)?)?;
    }
    kept.members = match (some.first(), some.last()) {
        (Some((first, _)), Some((last, _))) if kept.lot.limited() => {
            read_members(rows!(on, (DeviceNo,), MEMBERS_BETWEEN, rollout.as_str(), *first, *last)?)
        }
        _ => None,
    };
    Ok(())
}

/// A rollout's draw, for whoever asks about this device.
pub(in crate::rollouts) async fn one(
    on: &mut impl Conn,
    rollout: &RolloutId,
    lot: Lot,
    cuts: Vec<i64>,
    (device, facts): (DeviceNo, &Facts),
) -> Result<Kept, Error> {
    let strata = if lot.plain() { HashMap::new() } else { read(rows!(on, (String, String), ONE, rollout.as_str(), lot.stratum(facts))?)? };
    let members = if lot.limited() { read_members(rows!(on, (DeviceNo,), MEMBER, rollout.as_str(), device)?) } else { None };
    Ok(Kept { lot, strata, cuts, members })
}

/// The values that most devices have of [`APART`] and of this attribute, each with its attribute and how many have it; at most 100.
/// Takes the longer the more devices there are.
pub(in crate::rollouts) async fn values(on: &mut impl Conn, org: &OrgId, attribute: &str) -> Result<Vec<(String, String, i64)>, Error> {
    let [site, gateway, customer] = APART;
    rows!(on, (String, String, i64), VALUES, org.as_str(), attribute, site, gateway, customer)
}

/// Which of [`APART`] devices of an organization report.
pub(in crate::rollouts) async fn reported(on: &mut impl Conn, org: &OrgId) -> Result<Vec<String>, Error> {
    let [site, gateway, customer] = APART;
    Ok(rows!(on, (String,), REPORTED, org.as_str(), site, gateway, customer)?.into_iter().map(|r| r.0).collect())
}

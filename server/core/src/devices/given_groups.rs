//! Groups that devices are put into as they come in (E-1): named by tokens, claims, batches and own authorities, and kept by their ids, so that a group may
//! be renamed. A deleted one holds nobody up: a device is put into the others. Refuses to know who comes in and why; members are `groups.rs`'s rows.

use super::{DeviceNo, Error, groups};
use crate::{
    access::{Act, Actor, may},
    db::{self, Conn, Sql, Tx, list, many, row, rows},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use wire::{
    enrolment::{GivenGroup, MOST_GIVEN_GROUPS},
    ids::{GroupId, OrgId},
};

/// A group by its id or its name. Nobody deletes it until the transaction ends; SQLite's writer is alone anyway.
const MEANT: Sql = Sql::split(
    "SELECT id, name FROM device_groups WHERE org_id = $1 AND (id = $2 OR name = $2) ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1",
    "SELECT id, name FROM device_groups WHERE org_id = $1 AND (id = $2 OR name = $2) ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1
     FOR KEY SHARE",
);
/// Those of these that are there, and stay until the transaction ends; in one order, so that two don't wait for each other.
const THERE: Sql = many!(
    "SELECT g.id, g.org_id, g.name FROM (SELECT ",
    [text org, text id],
    ") AS w JOIN device_groups g ON g.id = w.id AND g.org_id = w.org ORDER BY g.id",
    kept g
);
const NAMED: Sql = many!(
    "SELECT w.id, COALESCE(g.name, f.name, w.id), g.id IS NULL FROM (SELECT ",
    [text id],
    ") AS w LEFT JOIN device_groups g ON g.org_id = $2 AND g.id = w.id LEFT JOIN deleted_groups f ON f.org_id = $2 AND f.id = w.id"
);
const CHOICES: Sql = Sql::same("SELECT id, name FROM device_groups WHERE org_id = $1 ORDER BY name");
/// Keeps the name of a group that is about to be deleted, where anything names it.
pub(super) const FORMER: Sql = Sql::same(
    "INSERT INTO deleted_groups (id, org_id, name, deleted_at)
     SELECT g.id, g.org_id, g.name, $2 FROM device_groups g WHERE g.id = $1 AND (
         EXISTS (SELECT 1 FROM enrolment_tokens t WHERE t.org_id = g.org_id AND t.group_ids LIKE '%' || g.id || '%')
         OR EXISTS (SELECT 1 FROM claims c WHERE c.org_id = g.org_id AND c.group_ids LIKE '%' || g.id || '%')
         OR EXISTS (SELECT 1 FROM enrolment_batches b WHERE b.org_id = g.org_id AND b.group_ids LIKE '%' || g.id || '%')
         OR EXISTS (SELECT 1 FROM registered_authorities r WHERE r.org_id = g.org_id AND r.group_ids LIKE '%' || g.id || '%'))",
);

pub(crate) const ALL: &[&Sql] = &[&MEANT, &THERE, &NAMED, &CHOICES, &FORMER];

/// The groups that these names or ids mean, each once. They stay until the transaction ends.
pub(super) async fn meant(tx: &mut Tx, actor: &Actor, named: &[String]) -> Result<Vec<GivenGroup>, Error> {
    let named: Vec<&str> = named.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    // Whoever comes in by it is put there as if the actor did it.
    may(actor, Act::EditDevices)?;
    if named.len() > MOST_GIVEN_GROUPS {
        return Err(Error::invalid("groups", format!("At most {MOST_GIVEN_GROUPS} groups are given.")));
    }
    let mut found: Vec<GivenGroup> = Vec::new();
    for name in named {
        let held = row!(&mut *tx, (String, String), MEANT, actor.org.as_str(), name)?;
        let none = || Error::invalid("groups", format!("There is no group {name:?}. Make it first, or leave it out."));
        let (id, name) = held.ok_or_else(none)?;
        let id: GroupId = id.parse().map_err(db::Error::corrupt)?;
        if found.iter().all(|group| group.id != id) {
            found.push(GivenGroup { id, name, deleted: false });
        }
    }
    Ok(found)
}

/// Groups as they are kept.
pub(super) fn kept(groups: &[GivenGroup]) -> String {
    groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>().join(" ")
}

/// Every group of the organization, by name.
pub(super) async fn choices(on: &mut impl Conn, org: &OrgId) -> Result<Vec<GivenGroup>, db::Error> {
    let all = rows!(on, (String, String), CHOICES, org.as_str())?;
    all.into_iter().map(|(id, name)| Ok(GivenGroup { id: id.parse().map_err(db::Error::corrupt)?, name, deleted: false })).collect()
}

/// What kept groups are called, deleted ones as well.
#[derive(Debug, Default)]
pub(super) struct Named(HashMap<String, GivenGroup>);

impl Named {
    /// Of all that are kept in these texts.
    pub(super) async fn of(on: &mut impl Conn, org: &OrgId, kept: &[&str]) -> Result<Self, db::Error> {
        let ids: BTreeSet<&str> = kept.iter().flat_map(|ids| ids.split(' ')).filter(|id| !id.is_empty()).collect();
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let asked: Vec<Value> = ids.into_iter().map(|id| json!({ "id": id })).collect();
        let mut named = HashMap::new();
        for (id, name, deleted) in rows!(on, (String, String, bool), NAMED, list(&asked)?, org.as_str())? {
            let group = GivenGroup { id: id.parse().map_err(db::Error::corrupt)?, name, deleted };
            named.insert(id, group);
        }
        Ok(Self(named))
    }

    /// Those that are kept in this text, in its order.
    pub(super) fn groups(&self, kept: &str) -> Vec<GivenGroup> {
        kept.split(' ').filter_map(|id| self.0.get(id).cloned()).collect()
    }
}

/// A device that comes in, and the groups it is given, by their ids.
pub(super) struct Newcomer<'a> {
    pub device: DeviceNo,
    pub org: &'a str,
    pub groups: &'a [String],
}

/// What a device was put into, for the books.
#[derive(Debug, Clone, Default)]
pub(super) struct Joined {
    /// By their names.
    into: Vec<String>,
    /// Groups that it was given and that are deleted, by their ids.
    gone: Vec<String>,
}

impl Joined {
    /// Says it beside what else is in the books of the device; nothing where it was given none.
    pub(super) fn say(&self, detail: &mut Value) {
        for (word, groups) in [("groups", &self.into), ("deleted_groups", &self.gone)] {
            if !groups.is_empty() {
                detail[word] = json!(groups);
            }
        }
    }
}

/// Puts devices into their groups, but for those that were deleted, and says for each device in its order what came of it.
pub(super) async fn put_in(tx: &mut Tx, newcomers: &[Newcomer<'_>]) -> Result<Vec<Joined>, db::Error> {
    let mut joined: Vec<Joined> = newcomers.iter().map(|_| Joined::default()).collect();
    let given: BTreeSet<(&str, &str)> = newcomers.iter().flat_map(|n| n.groups.iter().map(move |id| (n.org, id.as_str()))).collect();
    if given.is_empty() {
        return Ok(joined);
    }
    let asked: Vec<Value> = given.into_iter().map(|(org, id)| json!({ "org": org, "id": id })).collect();
    let there = rows!(&mut *tx, (String, String, String), THERE, list(&asked)?)?;
    let there: BTreeMap<String, (String, String)> = there.into_iter().map(|(id, org, name)| (id, (org, name))).collect();
    for (id, (org, name)) in &there {
        let mut devices = Vec::new();
        for (newcomer, joined) in newcomers.iter().zip(&mut joined) {
            if newcomer.org == org && newcomer.groups.contains(id) {
                devices.push(newcomer.device);
                joined.into.push(name.clone());
            }
        }
        groups::put_in(tx, (id.as_str(), org.as_str()), &devices).await?;
    }
    for (newcomer, joined) in newcomers.iter().zip(&mut joined) {
        joined.gone = newcomer.groups.iter().filter(|id| !there.contains_key(*id)).cloned().collect();
    }
    Ok(joined)
}

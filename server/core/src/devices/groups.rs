//! Groups: devices that people have put together by hand under a name, for selectors (`group:NAME`). Owns the rows; what a group is used for is said
//! elsewhere. Who is in it is decided device by device, of exactly those that a filter showed.

use super::{
    DeviceNo, Devices, Error, given_groups,
    naming::{ByName, Whom, each},
    words,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{Conn, Sql, Tx, column, exec, many, row, rows},
};
use serde_json::json;
use wire::{
    Timestamp,
    devices::{DeviceGroup, GroupMany, Tagged},
    ids::{GroupId, OrgId},
};

/// Most groups of an organization.
const MOST: i64 = 200;

const INSERT: Sql = Sql::same(
    "INSERT INTO device_groups (id, org_id, name, created_at, created_by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org_id, name) DO NOTHING",
);
const COUNT: Sql = Sql::same("SELECT COUNT(*) FROM device_groups WHERE org_id = $1");
const LIST: Sql = Sql::same(
    "SELECT g.id, g.name, g.created_at, g.created_by, (SELECT COUNT(*) FROM group_members m JOIN devices d ON d.number = m.device
            WHERE m.group_id = g.id AND d.deleted_at IS NULL AND d.state <> 'decommissioned') AS devices
     FROM device_groups g WHERE g.org_id = $1 ORDER BY g.name",
);
const BY_NAME: Sql = Sql::same("SELECT id FROM device_groups WHERE org_id = $1 AND name = $2");
/// Nobody deletes it until the transaction ends; SQLite's writer is alone anyway.
const KEPT: Sql = Sql::split(
    "SELECT id FROM device_groups WHERE org_id = $1 AND name = $2",
    "SELECT id FROM device_groups WHERE org_id = $1 AND name = $2 FOR KEY SHARE",
);
/// Nobody puts a device into it until the transaction ends.
const CLOSED: Sql = Sql::split(
    "SELECT id FROM device_groups WHERE org_id = $1 AND name = $2",
    "SELECT id FROM device_groups WHERE org_id = $1 AND name = $2 FOR UPDATE",
);
const RENAME: Sql = Sql::same("UPDATE device_groups SET name = $2 WHERE id = $1");
const IN_IT: Sql = Sql::same("SELECT device FROM group_members WHERE group_id = $1 ORDER BY device");
const EMPTY: Sql = Sql::same("DELETE FROM group_members WHERE group_id = $1");
const DELETE: Sql = Sql::same("DELETE FROM device_groups WHERE id = $1");
const PUT_IN: Sql = many!(
    "INSERT INTO group_members (group_id, org_id, device, place)
     SELECT CAST($2 AS TEXT), CAST($3 AS TEXT), w.device, d.device_id_lower FROM (SELECT ",
    [int device],
    ") AS w JOIN devices d ON d.number = w.device WHERE TRUE ON CONFLICT (group_id, device) DO NOTHING"
);
const TAKE_OUT: Sql =
    many!("DELETE FROM group_members WHERE group_id = $2 AND device IN (SELECT w.device FROM (SELECT ", [int device], ") AS w)");
/// A device's groups.
pub(super) const OF: Sql = Sql::same(
    "SELECT g.name FROM group_members m JOIN device_groups g ON g.id = m.group_id WHERE m.org_id = $1 AND m.device = $2 ORDER BY g.name",
);
/// For the filter of a list.
const NAMES: Sql = Sql::same("SELECT name FROM device_groups WHERE org_id = $1 ORDER BY name");
/// Takes a device out of all its groups.
pub(super) const LEAVE: Sql = Sql::same("DELETE FROM group_members WHERE device = $1");

pub(crate) const ALL: &[&Sql] =
    &[&INSERT, &COUNT, &LIST, &BY_NAME, &KEPT, &CLOSED, &RENAME, &IN_IT, &EMPTY, &DELETE, &PUT_IN, &TAKE_OUT, &OF, &NAMES, &LEAVE];

/// The names of all groups, in order.
pub(crate) async fn names(on: &mut impl Conn, org: &OrgId) -> Result<Vec<String>, crate::db::Error> {
    Ok(rows!(on, (String,), NAMES, org.as_str())?.into_iter().map(|r| r.0).collect())
}

impl Devices {
    /// Groups by their names, with how many devices are in each.
    pub async fn groups(&self, actor: &Actor) -> Result<Vec<DeviceGroup>, Error> {
        may(actor, Act::Read)?;
        let all = rows!(&mut self.db.read().await?, (String, String, i64, String, i64), LIST, actor.org.as_str())?;
        let shown = |(id, name, at, created_by, devices): (String, String, i64, String, i64)| {
            let id = id.parse().map_err(crate::db::Error::corrupt)?;
            Ok::<_, Error>(DeviceGroup { id, name, devices, created_at: Timestamp(at), created_by, used_by: Vec::new() })
        };
        all.into_iter().map(shown).collect()
    }

    /// Makes an empty group.
    pub async fn create_group(&self, actor: &Actor, name: &str) -> Result<DeviceGroup, Error> {
        may(actor, Act::EditDevices)?;
        let name = named(name)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let id = self.make_group(&mut tx, actor, &name, now).await?;
        audit::append(&mut tx, actor, now, "group.create", &name, &json!({ "id": id })).await?;
        tx.commit().await?;
        Ok(DeviceGroup { id, name, devices: 0, created_at: now, created_by: actor.label(), used_by: Vec::new() })
    }

    async fn make_group(&self, tx: &mut Tx, actor: &Actor, name: &str, now: Timestamp) -> Result<GroupId, Error> {
        let id: GroupId = self.entropy.id(now);
        if row!(tx, (i64,), COUNT, actor.org.as_str())?.is_some_and(|(n,)| n >= MOST) {
            return Err(Error::invalid("name", "There are 200 groups, and no more are kept. Delete one, or use tags."));
        }
        if exec!(tx, INSERT, id.as_str(), actor.org.as_str(), name, now.0, actor.label())? == 0 {
            return Err(taken(name));
        }
        Ok(id)
    }

    /// Gives a group another name; its devices stay in it, and are the answer: tell of them after the commit. Whether a selector that still asks for the
    /// old name may lose it is said elsewhere, in the same transaction, as whether the actor may.
    pub(crate) async fn rename_group(&self, tx: &mut Tx, actor: &Actor, name: &str, to: &str) -> Result<Vec<DeviceNo>, Error> {
        let to = named(to)?;
        let now = self.clock.now();
        let (id,) = row!(tx, (String,), BY_NAME, actor.org.as_str(), name)?.ok_or(Error::NotFound("group"))?;
        if to == name {
            return Ok(Vec::new());
        }
        if row!(tx, (String,), BY_NAME, actor.org.as_str(), to.as_str())?.is_some() {
            return Err(taken(&to));
        }
        exec!(tx, RENAME, id.as_str(), to.as_str())?;
        let devices = rows!(tx, (i64,), IN_IT, id.as_str())?;
        audit::append(tx, actor, now, "group.rename", name, &json!({ "id": id, "to": to })).await?;
        Ok(devices.into_iter().map(|(device,)| device).collect())
    }

    /// Deletes a group; its devices stay, and what puts devices into it as they come in does without. The same holds for selectors that ask for it.
    pub(crate) async fn delete_group(&self, tx: &mut Tx, actor: &Actor, name: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let (id,) = row!(tx, (String,), CLOSED, actor.org.as_str(), name)?.ok_or(Error::NotFound("group"))?;
        let devices = exec!(tx, EMPTY, id.as_str())?;
        exec!(tx, given_groups::FORMER, id.as_str(), now.0)?;
        exec!(tx, DELETE, id.as_str())?;
        audit::append(tx, actor, now, "group.delete", name, &json!({ "id": id, "devices": devices })).await?;
        Ok(())
    }

    /// [`Devices::group_many`], into a group that is made where it is not there: both or neither.
    pub async fn gather(&self, actor: &Actor, name: &str, wanted: &GroupMany) -> Result<Tagged, Error> {
        self.group(actor, name, wanted, !wanted.out).await
    }

    /// Puts every device that a selector means into a group, or those that are named, or takes them out, all or nothing. `expected` is how many devices
    /// the caller has seen the selector mean; when it is another number by now, nothing happens.
    pub async fn group_many(&self, actor: &Actor, name: &str, wanted: &GroupMany) -> Result<Tagged, Error> {
        self.group(actor, name, wanted, false).await
    }

    async fn group(&self, actor: &Actor, name: &str, wanted: &GroupMany, make: bool) -> Result<Tagged, Error> {
        may(actor, Act::EditDevices)?;
        let GroupMany { q, devices: named, out, expected } = wanted;
        let called = if make { self::named(name)? } else { name.to_owned() };
        let (name, now) = (called.as_str(), self.clock.now());
        let whom = self.whom(&actor.org, q, named, ByName::All).await?;
        let mut tx = self.db.write().await?;
        let mut deeds = Vec::new();
        let id = match row!(&mut tx, (String,), KEPT, actor.org.as_str(), name)? {
            Some((id,)) => id,
            None if make => {
                let id = self.make_group(&mut tx, actor, name, now).await?;
                deeds.push(audit::Deed { actor, action: "group.create", object: name, detail: json!({ "id": id }) });
                id.to_string()
            }
            None => return Err(Error::NotFound("group")),
        };
        let devices = match &whom {
            Whom::Named(named) => each(&mut tx, &actor.org, named).await?,
            Whom::Meant(..) => self.found(&mut tx, &actor.org, &whom, *expected).await?,
        };
        if *out {
            exec!(&mut tx, TAKE_OUT, column("device", &devices)?, id.as_str())?;
        } else {
            put_in(&mut tx, (id.as_str(), actor.org.as_str()), &devices).await?;
        }
        let action = if *out { "group.take_out" } else { "group.put_in" };
        let detail = json!({ "q": q, "named": named, "devices": devices.len() });
        deeds.push(audit::Deed { actor, action, object: name, detail });
        // Behind the members' rows, as when a device is deleted.
        audit::append_all(&mut tx, now, &deeds).await?;
        tx.commit().await?;
        let changed = i64::try_from(devices.len()).unwrap_or(i64::MAX);
        for device in devices {
            self.bus.tell(Event::Device { org: actor.org.clone(), device });
        }
        Ok(Tagged { devices: changed })
    }
}

/// Puts devices into a group of this organization; those that are in it stay there.
pub(super) async fn put_in(tx: &mut Tx, (group, org): (&str, &str), devices: &[DeviceNo]) -> Result<(), crate::db::Error> {
    exec!(tx, PUT_IN, column("device", devices)?, group, org).map(drop)
}

/// A group's name as it is kept.
fn named(name: &str) -> Result<String, Error> {
    let name = words::word("name", name, 100)?;
    if name.is_empty() || name.contains('*') {
        return Err(Error::invalid(
            "name",
            "A group has a name of 1 to 100 characters without *, which stands for any characters in selectors.",
        ));
    }
    Ok(name)
}

fn taken(name: &str) -> Error {
    Error::invalid("name", format!("There is a group {name:?} already."))
}

//! A device's row, its certificate and what the books say of both, for many at once as for one. Refuses to know by what they are let in: `admission.rs` has
//! decided.

use super::{
    Away, DeviceNo, Devices, Error,
    admission::{Admission, Replaces},
    given_groups::{self, Joined, Newcomer},
    presence::{facts, set_attributes},
    store,
};
use crate::{
    access::{Actor, audit::Deed},
    db::{Tx, exec, list, rows},
    pki::{Issued, NewLeaf, Pki},
    refused::Refused,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use wire::{Timestamp, device::Telling, states::DeviceState};

impl From<crate::db::Error> for Refused<Error> {
    fn from(e: crate::db::Error) -> Self {
        Self::All(e.into())
    }
}

impl From<Refused<crate::pki::Error>> for Refused<Error> {
    fn from(refused: Refused<crate::pki::Error>) -> Self {
        match refused {
            Refused::These(refused) => Self::These(refused.into_iter().map(|(place, e)| (place, e.into())).collect()),
            Refused::All(e) => Self::All(e.into()),
        }
    }
}

/// A device that is new in the fleet.
#[derive(Serialize)]
pub(super) struct NewDevice<'a> {
    pub org: &'a str,
    pub device_id: &'a str,
    pub lower: &'a str,
    pub device_type: &'a str,
    pub hardware: &'a str,
    pub state: &'a str,
    pub enrolled_at: i64,
    pub enrolled_by: &'a str,
}

/// Organization and name in lower case: what is unique.
type Name = (String, String);

/// A tag of a device.
#[derive(Serialize)]
pub(super) struct Tagged<'a> {
    pub device: DeviceNo,
    pub org: &'a str,
    pub tag: &'a str,
}

/// An attribute of a device.
#[derive(Serialize)]
pub(super) struct Attribute<'a> {
    pub device: DeviceNo,
    pub org: &'a str,
    pub name: String,
    pub value: String,
}

/// A device that was let in.
pub(super) struct LetIn {
    pub device: DeviceNo,
    pub issued: Issued,
}

/// What the books say of somebody who is let in, beside the certificate and the groups.
pub(super) struct Note {
    /// Who did it.
    pub by: Actor,
    pub detail: Value,
}

impl Note {
    fn deed<'a>(&'a self, a: &'a Admission, serial: &str, joined: &Joined) -> Deed<'a> {
        let mut detail = self.detail.clone();
        detail["serial"] = json!(serial);
        detail["key_origin"] = json!(a.csr.key_origin);
        detail["ignored_extensions"] = json!(a.csr.ignored);
        detail["profile"] = json!(a.profile);
        joined.say(&mut detail);
        Deed { actor: &self.by, action: "device.enrol", object: a.device_id.as_str(), detail }
    }
}

/// Rows and certificates for these, whose names and keys differ, and both in the books, where `note` says by whom and by what each is let in: for all of them,
/// or it says who may not come in.
pub(super) async fn let_in(
    pki: &Pki,
    tx: &mut Tx,
    admitted: &[&Admission],
    note: impl Fn(&Admission, DeviceNo) -> Note + Send,
    now: Timestamp,
) -> Result<Vec<LetIn>, Refused<Error>> {
    let devices = register(tx, admitted, now).await?;
    let leaves: Vec<NewLeaf<'_>> = admitted
        .iter()
        .zip(&devices)
        .map(|(a, (device, _))| NewLeaf {
            org: &a.org,
            device: *device,
            device_id: &a.device_id,
            csr: &a.csr,
            enrolled_by: &a.enrolled_by,
            replaces: None,
            profile: &a.profile,
            origin: a.origin(),
        })
        .collect();
    let notes: Vec<Note> = admitted.iter().zip(&devices).map(|(a, (device, _))| note(a, *device)).collect();
    let deeds = |serials: &[String]| {
        let each = admitted.iter().zip(&notes).zip(&devices).zip(serials);
        each.map(|(((a, note), (_, joined)), serial)| note.deed(a, serial, joined)).collect::<Vec<_>>()
    };
    let issued = pki.issue_devices(tx, &leaves, deeds).await?;
    Ok(devices.iter().zip(issued).map(|((device, _), issued)| LetIn { device: *device, issued }).collect())
}

impl Devices {
    /// The device's row and its certificate, and both in the books.
    pub(super) async fn let_in(
        &self,
        tx: &mut Tx,
        a: &Admission,
        note: impl Fn(&Admission, DeviceNo) -> Note + Send,
        now: Timestamp,
    ) -> Result<LetIn, Error> {
        let nobody = || Error::from(crate::db::Error::corrupt("nobody was let in"));
        match let_in(&self.pki, tx, &[a], note, now).await {
            Ok(mut one) => one.pop().ok_or_else(nobody),
            Err(refused) => Err(refused.alone().unwrap_or_else(nobody)),
        }
    }
}

/// Finds or makes the rows. A device that is already in the fleet can only be enrolled anew by a token made for exactly its id; otherwise anybody
/// with a shared token could take over a device's name.
async fn register(tx: &mut Tx, admitted: &[&Admission], now: Timestamp) -> Result<Vec<(DeviceNo, Joined)>, Refused<Error>> {
    let names: Vec<Name> = admitted.iter().map(|a| (a.org.to_string(), a.device_id.as_str().to_lowercase())).collect();
    let mut numbers = known(tx, admitted, &names, now).await?;
    let mut new: Vec<NewDevice<'_>> = admitted
        .iter()
        .zip(&names)
        .filter(|(_, name)| !numbers.contains_key(*name))
        .map(|(a, name)| NewDevice {
            org: a.org.as_str(),
            device_id: a.device_id.as_str(),
            lower: &name.1,
            device_type: &a.device_type,
            hardware: &a.hardware,
            state: DeviceState::Active.as_str(),
            enrolled_at: now.0,
            enrolled_by: &a.enrolled_by,
        })
        .collect();
    // Whoever makes many takes their names in one order, so that two don't wait for each other.
    new.sort_by_key(|d| (d.org, d.lower));
    let made = insert(tx, &new).await?;
    let fresh: Vec<Attribute<'_>> = admitted
        .iter()
        .zip(&names)
        .filter_map(|(a, name)| made.get(name).map(|device| (a, *device)))
        .flat_map(|(a, device)| {
            facts(&a.attributes).into_iter().map(move |(name, value)| Attribute { device, org: a.org.as_str(), name, value })
        })
        .collect();
    if !fresh.is_empty() {
        exec!(tx, store::ATTRIBUTES_SET, list(&fresh)?)?;
    }
    numbers.extend(made);
    // Nothing was inserted: a parallel attempt has just taken the name.
    let taken = admitted.iter().zip(&names).enumerate().filter(|(_, (_, name))| !numbers.contains_key(*name));
    Refused::none(taken.map(|(place, (a, _))| (place, Error::Exists(a.device_id.to_string()))).collect())?;
    let devices: Vec<DeviceNo> = names.iter().filter_map(|name| numbers.get(name).copied()).collect();
    let tags: Vec<Tagged<'_>> = admitted
        .iter()
        .zip(&devices)
        .flat_map(|(a, device)| a.tags.iter().map(|tag| Tagged { device: *device, org: a.org.as_str(), tag }))
        .collect();
    if !tags.is_empty() {
        exec!(tx, store::TAGS_INSERT, list(&tags)?)?;
    }
    let newcomers: Vec<Newcomer<'_>> =
        admitted.iter().zip(&devices).map(|(a, device)| Newcomer { device: *device, org: a.org.as_str(), groups: &a.groups }).collect();
    let joined = given_groups::put_in(tx, &newcomers).await?;
    Ok(devices.into_iter().zip(joined).collect())
}

/// Those that are in the fleet already and may be enrolled anew, with their rows as they are from now on.
async fn known(tx: &mut Tx, admitted: &[&Admission], names: &[Name], now: Timestamp) -> Result<HashMap<Name, DeviceNo>, Refused<Error>> {
    let asked: Vec<_> = names.iter().map(|(org, lower)| json!({ "org": org, "lower": lower })).collect();
    let (mut numbers, mut refused) = (HashMap::new(), Vec::new());
    for (device, org, lower, device_id, state) in rows!(tx, (i64, String, String, String, String), store::HELD, list(&asked)?)? {
        let name = (org, lower);
        let Some(place) = names.iter().position(|n| *n == name) else { continue };
        let a = admitted[place];
        let state: DeviceState = state.parse().map_err(crate::db::Error::corrupt)?;
        if let Err(e) = may_return(a, device_id, state) {
            refused.push((place, e));
            continue;
        }
        exec!(tx, store::REENROL, device, a.device_type.as_str(), a.hardware.as_str(), now.0, a.enrolled_by.as_str())?;
        if !a.attributes.is_empty() {
            set_attributes(tx, &a.org, device, Telling::Replace, &a.attributes).await?;
        }
        numbers.insert(name, device);
    }
    Refused::none(refused)?;
    Ok(numbers)
}

fn may_return(a: &Admission, device_id: String, state: DeviceState) -> Result<(), Error> {
    match state {
        DeviceState::Suspended | DeviceState::Decommissioned => Err(Error::NotActive(Away::of(state, device_id))),
        // A recommissioned one has its name and history already, too.
        DeviceState::Active if a.replaces != Replaces::Itself => Err(Error::Exists(device_id)),
        DeviceState::Preregistered if a.replaces == Replaces::Nobody => Err(Error::Exists(device_id)),
        DeviceState::Active | DeviceState::Preregistered if device_id != a.device_id.as_str() => Err(Error::Exists(device_id)),
        DeviceState::Active | DeviceState::Preregistered | DeviceState::Pending => Ok(()),
    }
}

/// Inserts those whose names are free, and gives their numbers.
pub(super) async fn insert(tx: &mut Tx, new: &[NewDevice<'_>]) -> Result<HashMap<Name, DeviceNo>, crate::db::Error> {
    if new.is_empty() {
        return Ok(HashMap::new());
    }
    let made = rows!(tx, (i64, String, String), store::INSERT, list(new)?)?;
    Ok(made.into_iter().map(|(device, org, lower)| ((org, lower), device)).collect())
}

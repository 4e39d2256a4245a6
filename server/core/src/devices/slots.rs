//! The places in which a device keeps firmware, as it said them last. They are said with every hello and seldom change: of a batch of devices they are
//! read at once, and written where they changed. Owns the rows; refuses to know what an update makes of a slot.

use super::{DeviceNo, presence::clean};
use crate::db::{self, Conn, Sql, Tx, column, exec, list, many, row, rows};
use std::collections::HashMap;
use wire::{
    Timestamp,
    ids::OrgId,
    slots::{DeviceSlot, Slot},
};

const OF: Sql = Sql::same("SELECT slots FROM device_slots WHERE device = $1");
const OF_MANY: Sql = many!(
    "SELECT s.device, s.slots FROM (SELECT ",
    [int device],
    ") AS w CROSS JOIN device_slots s WHERE s.device = w.device"
);
const SET: Sql = Sql::same(
    "INSERT INTO device_slots (device, org_id, slots) VALUES ($1, $2, $3) ON CONFLICT (device) DO UPDATE SET slots = excluded.slots",
);
pub(super) const CLEAR: Sql = Sql::same("DELETE FROM device_slots WHERE device = $1");

pub(crate) const ALL: &[&Sql] = &[&OF, &OF_MANY, &SET, &CLEAR];

/// What is kept of devices, by their numbers; none of who has said nothing.
pub(super) type Kept = HashMap<DeviceNo, Vec<DeviceSlot>>;

/// A row that can't be read counts as not said: the next hello writes it anew, and holds nobody else's up.
fn read(slots: &str) -> Vec<DeviceSlot> {
    serde_json::from_str(slots).unwrap_or_default()
}

/// What a device said last.
pub(super) async fn of(on: &mut impl Conn, device: DeviceNo) -> Result<Vec<DeviceSlot>, db::Error> {
    Ok(row!(on, (String,), OF, device)?.map(|(slots,)| read(&slots)).unwrap_or_default())
}

/// What these devices said last.
pub(super) async fn of_many(on: &mut impl Conn, devices: &[DeviceNo]) -> Result<Kept, db::Error> {
    if devices.is_empty() {
        return Ok(Kept::new());
    }
    let found = rows!(on, (DeviceNo, String), OF_MANY, column("device", devices)?)?;
    Ok(found.into_iter().map(|(device, slots)| (device, read(&slots))).collect())
}

/// Keeps what a device says now, which takes the place of what it said before. Whether that is anything new.
pub(super) async fn keep(
    tx: &mut Tx,
    (org, device): (&OrgId, DeviceNo),
    said: &[Slot],
    at: Timestamp,
    kept: &mut Kept,
) -> Result<bool, db::Error> {
    let before = kept.get(&device).map_or(&[][..], Vec::as_slice);
    let now = standing(before, said, at);
    if now == before {
        return Ok(false);
    }
    if now.is_empty() {
        exec!(tx, CLEAR, device)?;
    } else {
        exec!(tx, SET, device, org.as_str(), list(&now)?)?;
    }
    kept.insert(device, now);
    Ok(true)
}

/// Pure: slots as they are kept: since when is kept of each that is said to stand as it stood before.
fn standing(before: &[DeviceSlot], said: &[Slot], at: Timestamp) -> Vec<DeviceSlot> {
    let kept = |slot: &Slot| {
        let version = slot.version.as_deref().map(clean).filter(|version| !version.is_empty());
        let new = DeviceSlot { name: slot.name.clone(), version, state: slot.state, since: at };
        let since = before
            .iter()
            .find(|old| (&old.name, &old.version, old.state) == (&new.name, &new.version, new.state))
            .map_or(at, |old| old.since);
        DeviceSlot { since, ..new }
    };
    said.iter().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::slots::SlotState;

    #[test]
    fn since_when_is_of_each_slot_by_itself() {
        let slot = |name: &str, version: &str, state| Slot { name: name.into(), version: Some(version.into()), state };
        let said = |slots: &[Slot], before: &[DeviceSlot], at| standing(before, slots, Timestamp(at));
        let first = said(&[slot("a", "1.0", SlotState::Running), slot("b", " \u{202e}", SlotState::Empty)], &[], 1);
        assert_eq!(first.iter().map(|s| (s.name.as_str(), s.version.as_deref())).collect::<Vec<_>>(), [("a", Some("1.0")), ("b", None)]);
        let since = |slots: &[DeviceSlot]| slots.iter().map(|s| s.since.0).collect::<Vec<_>>();
        let again = said(&[slot("a", "1.0", SlotState::Running), slot("b", "", SlotState::Empty)], &first, 2);
        assert_eq!(again, first);
        let installed = said(&[slot("a", "1.0", SlotState::Running), slot("b", "2.0", SlotState::Good)], &again, 3);
        assert_eq!(since(&installed), [1, 3]);
        let switched = said(&[slot("a", "1.0", SlotState::Good), slot("b", "2.0", SlotState::Running)], &installed, 4);
        assert_eq!(since(&switched), [4, 4]);
        assert!(said(&[], &switched, 5).is_empty());
    }

    #[test]
    fn what_cannot_be_read_was_not_said() {
        assert!(read("{").is_empty());
        assert!(read(r#"[{"name":"a","state":"of another version","since":1}]"#).is_empty());
    }
}

//! Devices that stay on what they run: who has pinned which, when and why. Owns the rows; that rollouts keep to it is theirs to see to.

use super::{DeviceNo, Error, words::word};
use crate::db::{self, Conn, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::OrgId,
    updates::{MOST_REASON, Pin},
};

/// Who pins once more is who has pinned it.
const PIN: Sql = Sql::same(
    "INSERT INTO device_pins (device, org_id, at, by_name, reason) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (device) DO UPDATE SET at = excluded.at, by_name = excluded.by_name, reason = excluded.reason",
);
/// Lets a device go.
pub(super) const UNPIN: Sql = Sql::same("DELETE FROM device_pins WHERE device = $1");
const OF: Sql = Sql::same("SELECT at, by_name, reason FROM device_pins WHERE device = $1");
const BETWEEN: Sql = Sql::same("SELECT device, at, by_name, reason FROM device_pins WHERE org_id = $1 AND device > $2 AND device <= $3");
/// Takes the device's row until the transaction ends: whoever makes an offer takes it too, so of an offer and a pin the later one sees the other.
const HOLD: Sql =
    Sql::split("SELECT number FROM devices WHERE number = $1", "SELECT number FROM devices WHERE number = $1 FOR NO KEY UPDATE");

pub(crate) const ALL: &[&Sql] = &[&PIN, &UNPIN, &OF, &BETWEEN, &HOLD];

/// Why a device is pinned, as it is kept.
pub(crate) fn reason(value: &str) -> Result<String, Error> {
    let reason = word("reason", value, MOST_REASON as usize)?;
    if reason.is_empty() {
        return Err(Error::invalid("reason", "Say why, so that others know when it is over."));
    }
    Ok(reason)
}

/// Pins a device, whose row is held from here on.
pub(crate) async fn pin(tx: &mut Tx, org: &OrgId, device: DeviceNo, pin: &Pin) -> Result<(), db::Error> {
    row!(tx, (i64,), HOLD, device)?;
    exec!(tx, PIN, device, org.as_str(), pin.at.0, pin.by.as_str(), pin.reason.as_str()).map(drop)
}

/// Lets a device go. Whether it was pinned.
pub(crate) async fn unpin(tx: &mut Tx, device: DeviceNo) -> Result<bool, db::Error> {
    Ok(exec!(tx, UNPIN, device)? > 0)
}

/// A device's pin.
pub(crate) async fn of(on: &mut impl Conn, device: DeviceNo) -> Result<Option<Pin>, db::Error> {
    let found = row!(on, (i64, String, String), OF, device)?;
    Ok(found.map(|(at, by, reason)| Pin { at: Timestamp(at), by, reason }))
}

/// The pins of devices after one number up to another.
pub(super) async fn between(
    on: &mut impl Conn,
    org: &OrgId,
    (after, last): (DeviceNo, DeviceNo),
) -> Result<Vec<(DeviceNo, Pin)>, db::Error> {
    let found = rows!(on, (i64, i64, String, String), BETWEEN, org.as_str(), after, last)?;
    Ok(found.into_iter().map(|(device, at, by, reason)| (device, Pin { at: Timestamp(at), by, reason })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_says_why_in_one_line() {
        assert_eq!(reason(" on show until May ").unwrap(), "on show until May");
        for wrong in ["", "  ", "two\nlines", "hidden\u{202e}", &"x".repeat(201)] {
            assert!(matches!(reason(wrong), Err(Error::Invalid { field: "reason", .. })), "{wrong:?}");
        }
    }
}

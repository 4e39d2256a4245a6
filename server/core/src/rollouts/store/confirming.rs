//! What is kept of confirmations at devices, and of how long updates were put off.

use crate::{
    db::{Conn, Error, Sql, Tx, exec, row},
    devices::DeviceNo,
    rollouts::confirming::AutoConfirm,
};
use wire::{
    Timestamp,
    ids::{OrgId, RolloutId, UpdateId},
};

pub(super) const SET: Sql = Sql::same("UPDATE rollouts SET confirm_at_device = $2 WHERE id = $1");
pub(super) const CONFIRM: Sql = Sql::same("UPDATE ddi_actions SET confirmed = TRUE WHERE number = $1");
pub(super) const AUTO: Sql = Sql::same(
    "SELECT auto_confirm_at, auto_confirm_by, auto_confirm_remark FROM devices WHERE number = $1 AND auto_confirm_at IS NOT NULL",
);
pub(super) const SET_AUTO: Sql =
    Sql::same("UPDATE devices SET auto_confirm_at = $2, auto_confirm_by = $3, auto_confirm_remark = $4 WHERE number = $1");
pub(super) const IN_CONSOLE: Sql = Sql::same("SELECT COUNT(*) FROM console_confirmations WHERE rollout_id = $1 AND device = $2");
pub(super) const CONFIRM_IN_CONSOLE: Sql = Sql::same(
    "INSERT INTO console_confirmations (rollout_id, device, org_id, confirmed_by, confirmed_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (rollout_id, device) DO NOTHING",
);
pub(super) const OFFERED_AT: Sql = Sql::same("SELECT created_at FROM updates WHERE id = $1");

/// Keeps whether a plan asks for a person at the device.
pub(in crate::rollouts) async fn set(tx: &mut Tx, id: &RolloutId, asks: bool) -> Result<(), Error> {
    exec!(tx, SET, id.as_str(), asks).map(drop)
}

/// Somebody has confirmed this action.
pub(in crate::rollouts) async fn confirm(tx: &mut Tx, number: i64) -> Result<(), Error> {
    exec!(tx, CONFIRM, number).map(drop)
}

/// Whether somebody has confirmed a rollout's update of this device in the console.
pub(in crate::rollouts) async fn in_console(on: &mut impl Conn, rollout: &RolloutId, device: DeviceNo) -> Result<bool, Error> {
    Ok(row!(on, (i64,), IN_CONSOLE, rollout.as_str(), device)?.is_some_and(|(n,)| n > 0))
}

/// Keeps that somebody has; false when somebody had already.
pub(in crate::rollouts) async fn confirm_in_console(
    tx: &mut Tx,
    org: &OrgId,
    rollout: &RolloutId,
    device: DeviceNo,
    by: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    Ok(exec!(tx, CONFIRM_IN_CONSOLE, rollout.as_str(), device, org.as_str(), by, now.0)? == 1)
}

/// Whether, since when and by whom whatever comes counts as confirmed on this device.
pub(in crate::rollouts) async fn auto(on: &mut impl Conn, device: DeviceNo) -> Result<Option<AutoConfirm>, Error> {
    Ok(row!(on, (i64, String, String), AUTO, device)?.map(|(since, by, remark)| AutoConfirm { since: Timestamp(since), by, remark }))
}

/// The same from now on; none asks for each.
pub(in crate::rollouts) async fn set_auto(tx: &mut Tx, device: DeviceNo, auto: Option<&AutoConfirm>) -> Result<(), Error> {
    let (by, remark) = auto.map_or(("", ""), |auto| (&*auto.by, &*auto.remark));
    exec!(tx, SET_AUTO, device, auto.map(|auto| auto.since.0), by, remark).map(drop)
}

/// When an update was offered.
pub(in crate::rollouts) async fn offered_at(on: &mut impl Conn, id: &UpdateId) -> Result<Option<Timestamp>, Error> {
    Ok(row!(on, (i64,), OFFERED_AT, id.as_str())?.map(|r| Timestamp(r.0)))
}

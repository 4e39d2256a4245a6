//! Which bytes devices were sent of what they fetch, and which files they have by that. The table is named after hawkBit's protocol, which it was made for;
//! the native one writes to it as well.

use super::{these, updates::timing};
use crate::{
    db::{Conn, Error, Sql, Tx, exec, many, row, rows},
    devices::DeviceNo,
    rollouts::sending::{Difference, Fetching, File, Portions, Shipment},
};
use wire::{
    Timestamp,
    ids::{Digest, RolloutId, UpdateId},
};

pub(super) const BEGIN: Sql =
    Sql::same("INSERT INTO ddi_sent (device, sha256, org_id, portions, at) VALUES ($1, $2, $3, '[]', $4) ON CONFLICT DO NOTHING");
pub(super) const HOLD: Sql = Sql::split(
    "SELECT portions FROM ddi_sent WHERE device = $1 AND sha256 = $2",
    "SELECT portions FROM ddi_sent WHERE device = $1 AND sha256 = $2 FOR UPDATE",
);
pub(super) const SET: Sql = Sql::same("UPDATE ddi_sent SET portions = $3, at = $4 WHERE device = $1 AND sha256 = $2");
/// The files of a rollout's release, with what a device was sent of each.
pub(super) const FILES: Sql = Sql::same(
    "SELECT f.sha256, f.name, f.size, COALESCE(s.portions, '[]') FROM rollouts x JOIN release_files f ON f.release_id = x.release_id
     LEFT JOIN ddi_sent s ON s.device = $1 AND s.sha256 = f.sha256 WHERE x.id = $2 ORDER BY f.position",
);
/// The differences that lead to them, of those that the device was sent anything of.
pub(super) const DIFFERENCES: Sql = Sql::same(
    "SELECT d.target_sha256, d.base_sha256, d.size, s.portions FROM rollouts x JOIN release_files f ON f.release_id = x.release_id
     JOIN deltas d ON d.target_sha256 = f.sha256 JOIN ddi_sent s ON s.sha256 = d.sha256 AND s.device = $1 WHERE x.id = $2",
);
/// The files of the release that a device says it runs.
pub(super) const RUNS: Sql = Sql::same(
    "SELECT h.sha256 FROM devices v
     JOIN releases b ON b.org_id = v.org_id AND b.device_type = v.device_type AND b.sequence = v.sequence AND b.version = v.version
     JOIN release_files h ON h.release_id = b.id WHERE v.number = $1 AND b.state <> 'draft'",
);
/// What is old is kept as long as an action of the device lasts: its success may come a month after its time-out, which came after what it fetched.
pub(super) const FORGET: Sql = Sql::same(
    "DELETE FROM ddi_sent WHERE at < $1 AND NOT EXISTS (SELECT 1 FROM ddi_actions a JOIN updates u ON u.id = a.update_id
     WHERE a.device = ddi_sent.device AND NOT a.closed
     AND (u.open = TRUE OR u.state IN ('timed_out', 'cancelled', 'superseded') AND u.deadline > $2))",
);
/// How the device's other attempts at the release of an update ended badly.
pub(super) const BAD_ENDINGS: Sql = Sql::same(
    "SELECT u.ended_at, x.spec FROM updates w JOIN rollouts y ON y.id = w.rollout_id
     JOIN updates u ON u.device = $1 AND u.id <> w.id JOIN rollouts x ON x.id = u.rollout_id AND x.release_id = y.release_id
     WHERE w.id = $2 AND u.state IN ('failed', 'reverted', 'timed_out', 'rejected') AND u.ended_at IS NOT NULL",
);
/// What a device was sent of the release of an update until then, as files or as differences that lead to them.
pub(super) const FORGET_UNTIL: Sql = Sql::same(
    "DELETE FROM ddi_sent WHERE device = $1 AND at <= $3 AND EXISTS (
         SELECT 1 FROM updates w JOIN rollouts y ON y.id = w.rollout_id JOIN release_files f ON f.release_id = y.release_id
         WHERE w.id = $2 AND (f.sha256 = ddi_sent.sha256
             OR EXISTS (SELECT 1 FROM deltas d WHERE d.sha256 = ddi_sent.sha256 AND d.target_sha256 = f.sha256)))",
);
/// When a device was sent something of a file last, if that was for this update.
pub(super) const SENT_FOR: Sql =
    Sql::same("SELECT s.at FROM ddi_sent s JOIN updates u ON u.id = $3 AND u.created_at <= s.at WHERE s.device = $1 AND s.sha256 = $2");
/// That an update was taken back, and its device has not refused to stop.
pub(super) const TAKEN_BACK: Sql = Sql::same(
    "SELECT u.device FROM updates u WHERE u.id = $1 AND u.state IN ('cancelled', 'superseded')
     AND NOT EXISTS (SELECT 1 FROM ddi_actions a WHERE a.update_id = u.id AND a.cancel = 'refused')",
);
pub(super) const FORGET_TO: Sql = many!("DELETE FROM ddi_sent WHERE device IN (SELECT w.device FROM (SELECT ", [int device], ") AS w)");

fn portions(text: &str) -> Result<Portions, Error> {
    serde_json::from_str(text).map_err(Error::corrupt)
}

/// What a device was sent of a file, held until the transaction ends: its downloads may go side by side, over several instances.
pub(in crate::rollouts) async fn hold(tx: &mut Tx, to: &Fetching, file: &Digest, now: Timestamp) -> Result<Portions, Error> {
    exec!(tx, BEGIN, to.device, file.as_str(), to.org.as_str(), now.0)?;
    row!(tx, (String,), HOLD, to.device, file.as_str())?.map_or_else(|| Ok(Portions::default()), |(text,)| portions(&text))
}

/// Whether a device was sent something of a file for this update, or asked for it at least.
pub(in crate::rollouts) async fn is_sent_for(tx: &mut Tx, device: DeviceNo, file: &Digest, update: &UpdateId) -> Result<bool, Error> {
    Ok(row!(tx, (i64,), SENT_FOR, device, file.as_str(), update.as_str())?.is_some())
}

/// Whether an update was taken back whose device has not refused to stop.
pub(in crate::rollouts) async fn is_taken_back(on: &mut impl Conn, update: &UpdateId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), TAKEN_BACK, update.as_str())?.is_some())
}

/// Keeps what it was sent.
pub(in crate::rollouts) async fn set(tx: &mut Tx, to: &Fetching, file: &Digest, sent: &Portions, now: Timestamp) -> Result<(), Error> {
    let portions = serde_json::to_string(sent).map_err(Error::corrupt)?;
    exec!(tx, SET, to.device, file.as_str(), portions, now.0).map(drop)
}

/// What a device has of a rollout's release.
pub(in crate::rollouts) async fn shipment(on: &mut impl Conn, device: DeviceNo, rollout: &RolloutId) -> Result<Shipment, Error> {
    let size = |bytes: i64| u64::try_from(bytes).map_err(Error::corrupt);
    let files = rows!(on, (String, String, i64, String), FILES, device, rollout.as_str())?
        .into_iter()
        .map(|(sha256, name, bytes, sent)| Ok(File { sha256, name, size: size(bytes)?, sent: portions(&sent)? }))
        .collect::<Result<_, Error>>()?;
    let differences = rows!(on, (String, String, i64, String), DIFFERENCES, device, rollout.as_str())?
        .into_iter()
        .map(|(target, base, bytes, sent)| Ok(Difference { target, base, size: size(bytes)?, sent: portions(&sent)? }))
        .collect::<Result<_, Error>>()?;
    let runs = rows!(on, (String,), RUNS, device)?.into_iter().map(|(sha256,)| sha256).collect();
    Ok(Shipment { files, differences, runs })
}

/// How an attempt ended that did not make it.
#[derive(Debug, Clone, Copy)]
pub(in crate::rollouts) struct Ending {
    pub at: Timestamp,
    /// It was to be fetched, and not installed.
    pub download_only: bool,
}

/// How the other attempts of a device at the release of an update ended badly.
pub(in crate::rollouts) async fn bad_endings(on: &mut impl Conn, device: DeviceNo, update: &UpdateId) -> Result<Vec<Ending>, Error> {
    rows!(on, (i64, String), BAD_ENDINGS, device, update.as_str())?
        .into_iter()
        .map(|(at, spec)| Ok(Ending { at: Timestamp(at), download_only: timing(&spec)?.download_only }))
        .collect()
}

/// Forgets what a device was sent of the release of an update until then.
pub(in crate::rollouts) async fn forget_until(tx: &mut Tx, device: DeviceNo, update: &UpdateId, at: Timestamp) -> Result<(), Error> {
    exec!(tx, FORGET_UNTIL, device, update.as_str(), at.0).map(drop)
}

/// Forgets what was sent before then, but for devices of which an action lasts that goes on, or whose deadline was after `lasting`.
pub(in crate::rollouts) async fn forget(tx: &mut Tx, before: Timestamp, lasting: Timestamp) -> Result<(), Error> {
    exec!(tx, FORGET, before.0, lasting.0).map(drop)
}

/// Forgets what these devices were sent.
pub(in crate::rollouts) async fn forget_to(tx: &mut Tx, devices: &[DeviceNo]) -> Result<(), Error> {
    exec!(tx, FORGET_TO, these(devices)?).map(drop)
}

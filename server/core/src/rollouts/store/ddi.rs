//! Updates under the numbers that hawkBit's protocol knows them by.

use crate::{
    db::{Conn, Error, Sql, Tx, column, exec, many, row, rows},
    devices::DeviceNo,
    rollouts::ddi::{Action, Answer, Attempt, Notes},
};
use wire::{
    Timestamp,
    ids::{OrgId, UpdateId},
};

macro_rules! action {
    ($which:literal) => {
        Sql::same(concat!(
            "SELECT a.number, a.org_id, a.device, a.update_id, a.cancel, a.closed, a.fetched, u.state, u.deadline, \
             (x.confirm_at_device AND NOT EXISTS (SELECT 1 FROM console_confirmations k WHERE k.rollout_id = x.id AND k.device = a.device)) AS asks, \
             (a.confirmed OR EXISTS (SELECT 1 FROM devices d WHERE d.number = a.device AND d.auto_confirm_at IS NOT NULL)) AS confirmed, \
             CASE WHEN NOT u.latest THEN 'replaced' WHEN u.again THEN 'again' ELSE 'stands' END AS attempt, \
             NOT EXISTS (SELECT 1 FROM ddi_actions n WHERE n.device = a.device AND n.number > a.number) AS newest, \
             x.name, x.release_id, x.version, x.sequence, x.device_type, x.timeout_ms, x.spec
             FROM ddi_actions a JOIN updates u ON u.id = a.update_id JOIN rollouts x ON x.id = u.rollout_id ",
            $which
        ))
    };
}
pub(super) const ACTION: Sql = action!("WHERE a.device = $1 AND a.number = $2");
pub(super) const ACTIONS: Sql = action!("WHERE a.device = $1 ORDER BY a.number DESC LIMIT 20");
pub(super) const NUMBER: Sql = Sql::same("SELECT number FROM ddi_actions WHERE update_id = $1");
pub(super) const INSERT: Sql = Sql::same("INSERT INTO ddi_actions (org_id, device, update_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
pub(super) const NOTE: Sql = Sql::same(
    "UPDATE ddi_actions SET closed = (closed OR $2), fetched = (fetched OR $3), cancel = CASE WHEN cancel = '' THEN $4 ELSE cancel END
     WHERE number = $1",
);

/// Devices that have refused to stop are asked once more.
pub(super) const ASK_AGAIN: Sql = many!(
    "UPDATE ddi_actions SET cancel = '' FROM (SELECT ",
    [text id],
    ") AS w WHERE ddi_actions.update_id = w.id AND ddi_actions.cancel <> ''"
);

#[derive(sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Columns {
    number: i64,
    org_id: String,
    device: i64,
    update_id: String,
    cancel: String,
    closed: bool,
    fetched: bool,
    asks: bool,
    confirmed: bool,
    state: String,
    attempt: String,
    deadline: i64,
    newest: bool,
    name: String,
    release_id: String,
    version: String,
    sequence: i64,
    device_type: String,
    timeout_ms: i64,
    spec: String,
}

impl Columns {
    fn read(self) -> Result<Action, Error> {
        Ok(Action {
            number: self.number,
            org: self.org_id.parse().map_err(Error::corrupt)?,
            device: self.device,
            update: self.update_id.parse().map_err(Error::corrupt)?,
            cancel: Answer::read(&self.cancel).ok_or_else(|| Error::corrupt(&self.cancel))?,
            closed: self.closed,
            fetched: self.fetched,
            asks: self.asks,
            confirmed: self.confirmed,
            newest: self.newest,
            state: self.state.parse().map_err(Error::corrupt)?,
            attempt: Attempt::read(&self.attempt).ok_or_else(|| Error::corrupt(&self.attempt))?,
            deadline: Timestamp(self.deadline),
            timeout_ms: self.timeout_ms,
            timing: super::updates::timing(&self.spec)?,
            rollout: self.name,
            release: self.release_id.parse().map_err(Error::corrupt)?,
            version: self.version,
            sequence: u64::try_from(self.sequence).map_err(Error::corrupt)?,
            device_type: self.device_type,
        })
    }
}

/// A device's action of this number.
pub(in crate::rollouts) async fn action(on: &mut impl Conn, device: DeviceNo, number: i64) -> Result<Option<Action>, Error> {
    row!(on, Columns, ACTION, device, number)?.map(Columns::read).transpose()
}

/// A device's newest actions, the newest first.
pub(in crate::rollouts) async fn actions(on: &mut impl Conn, device: DeviceNo) -> Result<Vec<Action>, Error> {
    rows!(on, Columns, ACTIONS, device)?.into_iter().map(Columns::read).collect()
}

/// The number of an update, and whether it was given now; given once, and none is skipped for an update that has one.
pub(in crate::rollouts) async fn number(tx: &mut Tx, org: &OrgId, device: DeviceNo, update: &UpdateId) -> Result<(i64, bool), Error> {
    if let Some((number,)) = row!(tx, (i64,), NUMBER, update.as_str())? {
        return Ok((number, false));
    }
    let new = exec!(tx, INSERT, org.as_str(), device, update.as_str())? == 1;
    let (number,) = row!(tx, (i64,), NUMBER, update.as_str())?.ok_or_else(|| Error::corrupt(format!("{update} has no number")))?;
    Ok((number, new))
}

/// Updates are taken back once more: what their devices said to that before is no answer.
pub(in crate::rollouts) async fn ask_again(tx: &mut Tx, updates: &[&str]) -> Result<(), Error> {
    exec!(tx, ASK_AGAIN, column("id", updates)?).map(drop)
}

/// Notes what is new: whatever was noted before stays, a device's first answer to a cancellation as well.
pub(in crate::rollouts) async fn note(tx: &mut Tx, number: i64, notes: Notes<'_>) -> Result<(), Error> {
    exec!(tx, NOTE, number, notes.last, notes.fetched, notes.answer.word()).map(drop)
}

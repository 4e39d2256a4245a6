//! The SQL of what devices say of their updates, line by line, whichever protocol they speak. Refuses to know what a line changes.

use super::these;
use crate::{
    db::{Conn, Error, Sql, Tx, column, exec, list, many, row, rows},
    devices::DeviceNo,
};
use serde::Serialize;
use std::collections::HashMap;
use wire::{
    Timestamp,
    ids::{OrgId, UpdateId},
    updates::{DeviceUpdate, LogLine},
};

pub(super) const NEWEST: Sql = Sql::same("SELECT state, code, line FROM update_log WHERE update_id = $1 ORDER BY id DESC LIMIT 1");
pub(super) const SAY: Sql = many!(
    "INSERT INTO update_log (org_id, update_id, at, state, progress, code, line) SELECT ",
    [text org, text update_id, int at, text state, int progress, text code, text line],
    ""
);
/// Of an update the newest $2 lines stay.
pub(super) const TRIM: Sql = Sql::same(
    "DELETE FROM update_log WHERE update_id = $1
     AND id <= (SELECT o.id FROM update_log o WHERE o.update_id = $1 ORDER BY o.id DESC LIMIT 1 OFFSET $2)",
);
pub(super) const FORGET: Sql = Sql::same("DELETE FROM update_log WHERE at < $1");
pub(super) const FORGET_OF: Sql = many!(
    "DELETE FROM update_log WHERE update_id IN (SELECT u.id FROM (SELECT ",
    [int device],
    ") AS w JOIN updates u ON u.device = w.device)"
);
pub(super) const LINES: Sql = Sql::same("SELECT line FROM update_log WHERE update_id = $1 AND line <> '' ORDER BY id DESC LIMIT $2");
pub(super) const OF: Sql =
    Sql::same("SELECT update_id, at, state, progress, code, line FROM update_log WHERE update_id = $1 ORDER BY id DESC LIMIT $2");
/// The newest $2 lines of each.
pub(super) const OF_EACH: Sql = many!(
    "SELECT x.update_id, x.at, x.state, x.progress, x.code, x.line FROM
     (SELECT l.id, l.update_id, l.at, l.state, l.progress, l.code, l.line, ROW_NUMBER() OVER (PARTITION BY l.update_id ORDER BY l.id DESC) AS place
      FROM (SELECT ",
    [text wanted],
    ") AS w JOIN update_log l ON l.update_id = w.wanted) AS x WHERE x.place <= $2 ORDER BY x.id DESC"
);

/// A line as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::rollouts) struct NewLine<'a> {
    pub org: &'a str,
    pub update_id: &'a str,
    pub at: i64,
    /// Where the device says that its update is; none where it says nothing of that.
    pub state: Option<&'static str>,
    pub progress: Option<i64>,
    pub code: &'a str,
    pub line: &'a str,
}

impl<'a> NewLine<'a> {
    /// A line of this update that says nothing but this.
    pub fn new(org: &'a OrgId, update: &'a UpdateId, at: Timestamp, line: &'a str) -> Self {
        Self { org: org.as_str(), update_id: update.as_str(), at: at.millis(), state: None, progress: None, code: "", line }
    }
}

/// Whether the newest line of an update says just that: a device may say it as often as it likes.
pub(in crate::rollouts) async fn repeats(on: &mut impl Conn, new: &NewLine<'_>) -> Result<bool, Error> {
    let newest = row!(on, (Option<String>, String, String), NEWEST, new.update_id)?;
    Ok(newest.is_some_and(|(state, code, line)| (state.as_deref(), code.as_str(), line.as_str()) == (new.state, new.code, new.line)))
}

/// Keeps lines in their order.
pub(in crate::rollouts) async fn say(tx: &mut Tx, lines: &[NewLine<'_>]) -> Result<(), Error> {
    exec!(tx, SAY, list(lines)?).map(drop)
}

/// Keeps the newest `most` lines of an update, and drops those before.
pub(in crate::rollouts) async fn trim(tx: &mut Tx, update: &UpdateId, most: u32) -> Result<(), Error> {
    exec!(tx, TRIM, update.as_str(), i64::from(most)).map(drop)
}

/// Forgets what was said before then.
pub(in crate::rollouts) async fn forget(tx: &mut Tx, before: Timestamp) -> Result<(), Error> {
    exec!(tx, FORGET, before.0).map(drop)
}

/// Forgets what these devices said.
pub(in crate::rollouts) async fn forget_of(tx: &mut Tx, devices: &[DeviceNo]) -> Result<(), Error> {
    exec!(tx, FORGET_OF, these(devices)?).map(drop)
}

/// The lines for people, the newest first.
pub(in crate::rollouts) async fn lines(on: &mut impl Conn, update: &UpdateId, most: u32) -> Result<Vec<String>, Error> {
    Ok(rows!(on, (String,), LINES, update.as_str(), i64::from(most))?.into_iter().map(|r| r.0).collect())
}

#[derive(sqlx::FromRow)]
struct Columns {
    update_id: String,
    at: i64,
    state: Option<String>,
    progress: Option<i64>,
    code: String,
    line: String,
}

impl Columns {
    fn read(self) -> Result<LogLine, Error> {
        let state = self.state.map(|state| state.parse().map_err(Error::corrupt)).transpose()?;
        Ok(LogLine { at: Timestamp(self.at), state, progress: self.progress, code: self.code, line: self.line })
    }
}

/// What was said of an update, the newest first.
pub(in crate::rollouts) async fn of(on: &mut impl Conn, update: &UpdateId, most: u32) -> Result<Vec<LogLine>, Error> {
    rows!(on, Columns, OF, update.as_str(), i64::from(most))?.into_iter().map(Columns::read).collect()
}

/// The same of several, by their ids; those of which nothing was said, or is kept, are left out.
pub(in crate::rollouts) async fn of_each(
    on: &mut impl Conn,
    updates: &[DeviceUpdate],
    most: u32,
) -> Result<HashMap<String, Vec<LogLine>>, Error> {
    let wanted = column("wanted", updates.iter().map(|update| update.id.as_str()))?;
    let mut found: HashMap<String, Vec<LogLine>> = HashMap::new();
    for columns in rows!(on, Columns, OF_EACH, wanted, i64::from(most))? {
        let of = columns.update_id.clone();
        found.entry(of).or_default().push(columns.read()?);
    }
    Ok(found)
}

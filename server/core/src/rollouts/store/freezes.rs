//! The calendar of freezes.

use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    rollouts::timing::Frost,
};
use wire::{
    Timestamp,
    ids::{FreezeId, OrgId},
    rollouts::FreezeRow,
};

/// Those that hold now or later; one that was ended early is over.
pub(super) const NOT_OVER: Sql = Sql::same(
    "SELECT name, from_at, until_at FROM freezes WHERE org_id = $1 AND until_at > $2 AND ended_at IS NULL ORDER BY from_at, id LIMIT 200",
);
pub(super) const LIST: Sql = Sql::same(
    "SELECT id, name, reason, from_at, until_at, made_by, made_at, ended_by, ended_at FROM freezes WHERE org_id = $1 ORDER BY from_at DESC, id DESC LIMIT 200",
);
pub(super) const ONE: Sql = Sql::same(
    "SELECT id, name, reason, from_at, until_at, made_by, made_at, ended_by, ended_at FROM freezes WHERE org_id = $1 AND id = $2",
);
pub(super) const ADD: Sql = Sql::same(
    "INSERT INTO freezes (id, org_id, name, reason, from_at, until_at, made_by, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
pub(super) const END: Sql =
    Sql::same("UPDATE freezes SET ended_at = $3, ended_by = $4 WHERE org_id = $1 AND id = $2 AND ended_at IS NULL AND until_at > $3");

/// What changes with every change of a calendar.
pub(super) const MARKS: Sql = Sql::same("SELECT org_id, COUNT(*), MAX(made_at), COALESCE(MAX(ended_at), 0) FROM freezes GROUP BY org_id");

/// How many freezes each organization has, and when the last was made and ended.
pub(in crate::rollouts) async fn marks(on: &mut impl Conn) -> Result<Vec<(OrgId, (i64, i64, i64))>, Error> {
    let read = |(org, n, made, ended): (String, i64, i64, i64)| Ok((org.parse().map_err(Error::corrupt)?, (n, made, ended)));
    rows!(on, (String, i64, i64, i64), MARKS)?.into_iter().map(read).collect()
}

/// The freezes of an organization that hold or will.
pub(in crate::rollouts) async fn not_over(on: &mut impl Conn, org: &OrgId, now: Timestamp) -> Result<Vec<Frost>, Error> {
    let read = |(name, from, until)| Frost { name, from: Timestamp(from), until: Timestamp(until) };
    Ok(rows!(on, (String, i64, i64), NOT_OVER, org.as_str(), now.0)?.into_iter().map(read).collect())
}

type Columns = (String, String, String, i64, i64, String, i64, String, Option<i64>);

fn read((id, name, reason, from, until, made_by, made_at, ended_by, ended_at): Columns) -> Result<FreezeRow, Error> {
    Ok(FreezeRow {
        id: id.parse().map_err(Error::corrupt)?,
        name,
        reason,
        from: Timestamp(from),
        until: Timestamp(until),
        made_by,
        made_at: Timestamp(made_at),
        ended_at: ended_at.map(Timestamp),
        ended_by,
    })
}

/// The calendar, the latest first; at most 200.
pub(in crate::rollouts) async fn list(on: &mut impl Conn, org: &OrgId) -> Result<Vec<FreezeRow>, Error> {
    rows!(on, Columns, LIST, org.as_str())?.into_iter().map(read).collect()
}

/// One of them.
pub(in crate::rollouts) async fn one(on: &mut impl Conn, org: &OrgId, id: &FreezeId) -> Result<Option<FreezeRow>, Error> {
    row!(on, Columns, ONE, org.as_str(), id.as_str())?.map(read).transpose()
}

/// Adds one.
pub(in crate::rollouts) async fn add(tx: &mut Tx, org: &OrgId, freeze: &FreezeRow) -> Result<(), Error> {
    exec!(
        tx,
        ADD,
        freeze.id.as_str(),
        org.as_str(),
        freeze.name.as_str(),
        freeze.reason.as_str(),
        freeze.from.0,
        freeze.until.0,
        freeze.made_by.as_str(),
        freeze.made_at.0
    )
    .map(drop)
}

/// Ends one; false when it is over already.
pub(in crate::rollouts) async fn end(tx: &mut Tx, org: &OrgId, id: &FreezeId, by: &str, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, END, org.as_str(), id.as_str(), now.0, by)? == 1)
}

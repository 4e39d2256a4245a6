//! The SQL of registered authorities' lists of revoked certificates, and of those that are awaited. Refuses to decide anything.

use super::list_gate::{ListMark, ListRead};
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use std::collections::HashMap;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    registered::OwnersListStanding,
};

macro_rules! standing {
    ($which:literal) => {
        Sql::same(concat!(
            "SELECT authority_id, number, this_update, next_update, entries, sha256, received_at, received_by FROM registered_lists ",
            $which
        ))
    };
}
pub(super) const LISTS: Sql = standing!("WHERE org_id = $1");
pub(super) const HELD_LIST: Sql = standing!("WHERE authority_id = $1");
pub(super) const LIST_DER: Sql = Sql::same("SELECT der FROM registered_lists WHERE authority_id = $1 AND sha256 = $2");
pub(super) const PUT_LIST: Sql = Sql::same(
    "INSERT INTO registered_lists (authority_id, org_id, number, this_update, next_update, entries, sha256, der, received_at, received_by) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (authority_id) DO UPDATE SET number = excluded.number, \
     this_update = excluded.this_update, next_update = excluded.next_update, entries = excluded.entries, sha256 = excluded.sha256, \
     der = excluded.der, received_at = excluded.received_at, received_by = excluded.received_by",
);
pub(super) const DELETE_LIST: Sql = Sql::same("DELETE FROM registered_lists WHERE authority_id = $1");
pub(super) const MARKS: Sql =
    Sql::same("SELECT org_id, authority_id, number, this_update, sha256 FROM registered_lists ORDER BY received_at");
pub(super) const AWAITED: Sql = Sql::same("SELECT number, this_update, sha256 FROM awaited_lists WHERE authority_id = $1");
pub(super) const ALL_AWAITED: Sql = Sql::same(
    "SELECT w.authority_id, r.label, w.this_update, w.since FROM awaited_lists w JOIN registered_authorities r ON r.id = w.authority_id \
     WHERE w.org_id = $1 ORDER BY w.since, w.authority_id",
);
pub(super) const PUT_AWAITED: Sql = Sql::same(
    "INSERT INTO awaited_lists (authority_id, org_id, number, this_update, sha256, since) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (authority_id) DO UPDATE SET number = excluded.number, this_update = excluded.this_update, sha256 = excluded.sha256",
);
pub(super) const DELETE_AWAITED: Sql = Sql::same("DELETE FROM awaited_lists WHERE authority_id = $1");

/// A list's row without its bytes.
#[derive(sqlx::FromRow)]
pub(super) struct ListRow {
    authority_id: String,
    number: String,
    this_update: i64,
    pub next_update: i64,
    entries: i64,
    pub sha256: Vec<u8>,
    received_at: i64,
    received_by: String,
}

impl ListRow {
    pub fn mark(&self) -> ListMark {
        ListMark { number: self.number.clone(), this_update: Timestamp(self.this_update), sha256: self.sha256.clone() }
    }

    fn shown(self) -> (String, OwnersListStanding) {
        let number = self.number.trim_start_matches('0');
        let standing = OwnersListStanding {
            number: if self.number.is_empty() { String::new() } else { format!("0x{}", if number.is_empty() { "0" } else { number }) },
            this_update: Timestamp(self.this_update),
            next_update: Timestamp(self.next_update),
            entries: self.entries,
            sha256: hex::encode(&self.sha256),
            received_at: Timestamp(self.received_at),
            received_by: self.received_by,
        };
        (self.authority_id, standing)
    }
}

/// The lists of the organization's authorities, by their ids.
pub(super) async fn lists(on: &mut impl Conn, org: &OrgId) -> Result<HashMap<String, OwnersListStanding>, Error> {
    Ok(rows!(on, ListRow, LISTS, org.as_str())?.into_iter().map(ListRow::shown).collect())
}

/// The authority's list.
pub(super) async fn held_list(on: &mut impl Conn, authority: &AuthorityId) -> Result<Option<ListRow>, Error> {
    row!(on, ListRow, HELD_LIST, authority.as_str())
}

/// The bytes of this very list.
pub(super) async fn list_der(on: &mut impl Conn, authority: &str, sha256: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    Ok(row!(on, (Vec<u8>,), LIST_DER, authority, sha256)?.map(|(der,)| der))
}

/// Puts a list in the place of the one there is.
pub(super) async fn put_list(
    tx: &mut Tx,
    authority: &AuthorityId,
    org: &OrgId,
    list: &ListRead,
    sha256: &[u8],
    received: (Timestamp, &str),
) -> Result<(), Error> {
    let entries = i64::try_from(list.entries).map_err(Error::corrupt)?;
    let (authority, org, number) = (authority.as_str(), org.as_str(), list.number.as_str());
    let (from, until, der) = (list.this_update.0, list.next_update.0, list.der.as_slice());
    exec!(tx, PUT_LIST, authority, org, number, from, until, entries, sha256, der, received.0.0, received.1).map(drop)
}

pub(super) async fn delete_list(tx: &mut Tx, authority: &AuthorityId) -> Result<(), Error> {
    exec!(tx, DELETE_LIST, authority.as_str()).map(drop)
}

type MarkRow = (String, String, String, i64, Vec<u8>);

/// What there is of every organization: whose, and by what it is told from another.
pub(super) async fn marks(on: &mut impl Conn) -> Result<Vec<(OrgId, AuthorityId, ListMark)>, Error> {
    let read = |(org, authority, number, made, sha256): MarkRow| {
        let mark = ListMark { number, this_update: Timestamp(made), sha256 };
        Ok((org.parse().map_err(Error::corrupt)?, authority.parse().map_err(Error::corrupt)?, mark))
    };
    rows!(on, MarkRow, MARKS)?.into_iter().map(read).collect()
}

/// The list without which the authority lets nobody in.
pub(super) async fn awaited(on: &mut impl Conn, authority: &AuthorityId) -> Result<Option<ListMark>, Error> {
    let found = row!(on, (String, i64, Vec<u8>), AWAITED, authority.as_str())?;
    Ok(found.map(|(number, made, sha256)| ListMark { number, this_update: Timestamp(made), sha256 }))
}

/// An authority that lets nobody in for lack of a list.
#[derive(sqlx::FromRow)]
pub(super) struct AwaitedRow {
    pub authority_id: String,
    pub label: String,
    pub this_update: i64,
    pub since: i64,
}

/// The organization's, longest first.
pub(super) async fn all_awaited(on: &mut impl Conn, org: &OrgId) -> Result<Vec<AwaitedRow>, Error> {
    rows!(on, AwaitedRow, ALL_AWAITED, org.as_str())
}

pub(super) async fn put_awaited(tx: &mut Tx, authority: &AuthorityId, org: &OrgId, list: &ListMark, now: Timestamp) -> Result<(), Error> {
    let (number, made, sha256) = (list.number.as_str(), list.this_update.0, list.sha256.as_slice());
    exec!(tx, PUT_AWAITED, authority.as_str(), org.as_str(), number, made, sha256, now.0).map(drop)
}

pub(super) async fn delete_awaited(tx: &mut Tx, authority: &AuthorityId) -> Result<(), Error> {
    exec!(tx, DELETE_AWAITED, authority.as_str()).map(drop)
}

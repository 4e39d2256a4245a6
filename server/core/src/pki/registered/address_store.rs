//! The SQL of the addresses that registered authorities' lists are fetched from. Refuses to decide anything.

use super::{fetching::DueList, validators::Validators};
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use std::collections::HashMap;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    registered::ListAddressStanding,
};

pub(super) const ADDRESSES: Sql = Sql::same(
    "SELECT authority_id, url, next_at, asked_at, fetched_at, failures, error, set_at, set_by FROM registered_list_addresses WHERE org_id = $1",
);
pub(super) const ADDRESS: Sql = Sql::same("SELECT url, next_at, asked_at FROM registered_list_addresses WHERE authority_id = $1");
/// What came of asking at the address before says nothing of this one.
pub(super) const PUT_ADDRESS: Sql = Sql::same(
    "INSERT INTO registered_list_addresses (authority_id, org_id, url, next_at, asked_at, fetched_at, failures, error, set_at, set_by) \
     VALUES ($1, $2, $3, $4, NULL, NULL, 0, '', $4, $5) ON CONFLICT (authority_id) DO UPDATE SET url = excluded.url, next_at = excluded.next_at, \
     asked_at = NULL, fetched_at = NULL, failures = 0, error = '', set_at = excluded.set_at, set_by = excluded.set_by, etag = '', last_modified = '', \
     of_list = NULL",
);
pub(super) const DELETE_ADDRESS: Sql = Sql::same("DELETE FROM registered_list_addresses WHERE authority_id = $1");
/// What is due at $1; what is to be asked after $2 was planned by a clock that was wrong. What came with a list says something as long as that one is here,
/// and holds.
pub(super) const DUE: Sql = Sql::same(
    "SELECT a.authority_id, a.org_id, a.url, a.failures, a.next_at, a.etag, a.last_modified, l.sha256 AS of_list FROM registered_list_addresses a \
     LEFT JOIN registered_lists l ON l.authority_id = a.authority_id AND l.sha256 = a.of_list AND l.next_update > $1 \
     WHERE a.next_at <= $1 OR a.next_at > $2 ORDER BY a.next_at LIMIT $3",
);
/// Asks for it at $2, unless it is due already, or was asked since $3.
pub(super) const ASK_NOW: Sql = Sql::same(
    "UPDATE registered_list_addresses SET next_at = $2 WHERE authority_id = $1 AND next_at > $2 AND (asked_at IS NULL OR asked_at <= $3 OR asked_at > $2)",
);
/// Asks for the list itself at $2, whatever came before.
pub(super) const ASK_ANEW: Sql =
    Sql::same("UPDATE registered_list_addresses SET next_at = $2, etag = '', last_modified = '', of_list = NULL WHERE authority_id = $1");
pub(super) const OLDEST: Sql = Sql::same("SELECT MIN(COALESCE(fetched_at, set_at)) FROM registered_list_addresses");
pub(super) const TAKE: Sql =
    Sql::same("UPDATE registered_list_addresses SET next_at = $3, asked_at = $4 WHERE authority_id = $1 AND next_at = $2");
pub(super) const GAVE: Sql = Sql::same(
    "UPDATE registered_list_addresses SET next_at = $3, fetched_at = $4, failures = 0, error = '', etag = $5, last_modified = $6, of_list = $7 \
     WHERE authority_id = $1 AND asked_at = $2",
);
pub(super) const GAVE_SAME: Sql = Sql::same(
    "UPDATE registered_list_addresses SET next_at = $3, fetched_at = $4, failures = 0, error = '' WHERE authority_id = $1 AND asked_at = $2",
);
pub(super) const GAVE_NONE: Sql =
    Sql::same("UPDATE registered_list_addresses SET next_at = $3, failures = $4, error = $5 WHERE authority_id = $1 AND asked_at = $2");
pub(super) const TROUBLED: Sql = Sql::same(
    "SELECT a.authority_id, r.label, a.failures, a.error, COALESCE(a.fetched_at, a.set_at) AS since, l.next_update \
     FROM registered_list_addresses a JOIN registered_authorities r ON r.id = a.authority_id \
     LEFT JOIN registered_lists l ON l.authority_id = a.authority_id WHERE a.org_id = $1 AND a.failures > 0 ORDER BY 5",
);

#[derive(sqlx::FromRow)]
struct AddressRow {
    authority_id: String,
    url: String,
    next_at: i64,
    asked_at: Option<i64>,
    fetched_at: Option<i64>,
    failures: i64,
    error: String,
    set_at: i64,
    set_by: String,
}

/// The addresses of the organization's authorities, by their ids.
pub(super) async fn addresses(on: &mut impl Conn, org: &OrgId) -> Result<HashMap<String, ListAddressStanding>, Error> {
    let shown = |row: AddressRow| {
        let standing = ListAddressStanding {
            url: row.url,
            set_at: Timestamp(row.set_at),
            set_by: row.set_by,
            next_at: Timestamp(row.next_at),
            asked_at: row.asked_at.map(Timestamp),
            fetched_at: row.fetched_at.map(Timestamp),
            failures: row.failures,
            error: row.error,
        };
        (row.authority_id, standing)
    };
    Ok(rows!(on, AddressRow, ADDRESSES, org.as_str())?.into_iter().map(shown).collect())
}

/// An address, and when it is asked.
#[derive(sqlx::FromRow)]
pub(super) struct AddressAt {
    pub url: String,
    pub next_at: i64,
    pub asked_at: Option<i64>,
}

/// The authority's address.
pub(super) async fn address(on: &mut impl Conn, authority: &AuthorityId) -> Result<Option<AddressAt>, Error> {
    row!(on, AddressAt, ADDRESS, authority.as_str())
}

/// Makes it due now; `false` when it is due, or was asked since `then`.
pub(super) async fn ask_now(tx: &mut Tx, authority: &AuthorityId, now: Timestamp, then: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, ASK_NOW, authority.as_str(), now.0, then.0)? == 1)
}

/// Makes it due now, and forgets what came with the list before.
pub(super) async fn ask_anew(tx: &mut Tx, authority: &AuthorityId, now: Timestamp) -> Result<(), Error> {
    exec!(tx, ASK_ANEW, authority.as_str(), now.0).map(drop)
}

/// When the address that has given a list longest ago did so, or was set; none without any.
pub(super) async fn oldest(on: &mut impl Conn) -> Result<Option<Timestamp>, Error> {
    Ok(row!(on, (Option<i64>,), OLDEST)?.and_then(|(at,)| at).map(Timestamp))
}

/// Puts an address in the place of the one there is; it is due at once.
pub(super) async fn put_address(tx: &mut Tx, authority: &AuthorityId, org: &OrgId, url: &str, set: (Timestamp, &str)) -> Result<(), Error> {
    exec!(tx, PUT_ADDRESS, authority.as_str(), org.as_str(), url, set.0.0, set.1).map(drop)
}

pub(super) async fn delete_address(tx: &mut Tx, authority: &AuthorityId) -> Result<(), Error> {
    exec!(tx, DELETE_ADDRESS, authority.as_str()).map(drop)
}

#[derive(sqlx::FromRow)]
pub(super) struct DueRow {
    pub authority_id: String,
    pub org_id: String,
    pub url: String,
    pub failures: i64,
    pub etag: String,
    pub last_modified: String,
    pub of_list: Option<Vec<u8>>,
    next_at: i64,
}

/// At most so many that are due now, or planned for after `latest`.
pub(super) async fn due(on: &mut impl Conn, now: Timestamp, latest: Timestamp, most: i64) -> Result<Vec<DueRow>, Error> {
    rows!(on, DueRow, DUE, now.0, latest.0, most)
}

/// Takes one that was due, so that nobody else does until `next`; `false` when somebody has.
pub(super) async fn take(tx: &mut Tx, due: &DueRow, next: Timestamp, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, TAKE, due.authority_id.as_str(), due.next_at, next.0, now.0)? == 1)
}

/// The list with this SHA-256 came, and with it these, unless another address was named meanwhile.
pub(super) async fn gave(
    tx: &mut Tx,
    due: &DueList,
    (next, now): (Timestamp, Timestamp),
    sha256: &[u8],
    validators: &Validators,
) -> Result<(), Error> {
    let (etag, last_modified) = (validators.etag().unwrap_or_default(), validators.last_modified().unwrap_or_default());
    exec!(tx, GAVE, due.authority.as_str(), due.asked_at.0, next.0, now.0, etag, last_modified, sha256).map(drop)
}

/// It has said that there is no other one.
pub(super) async fn gave_same(tx: &mut Tx, due: &DueList, next: Timestamp, now: Timestamp) -> Result<(), Error> {
    exec!(tx, GAVE_SAME, due.authority.as_str(), due.asked_at.0, next.0, now.0).map(drop)
}

/// None came.
pub(super) async fn gave_none(tx: &mut Tx, due: &DueList, next: Timestamp, failures: i64, why: &str) -> Result<(), Error> {
    exec!(tx, GAVE_NONE, due.authority.as_str(), due.asked_at.0, next.0, failures, why).map(drop)
}

/// An authority whose list did not come the last time.
#[derive(sqlx::FromRow)]
pub(super) struct TroubledRow {
    pub authority_id: String,
    pub label: String,
    pub failures: i64,
    pub error: String,
    pub since: i64,
    pub next_update: Option<i64>,
}

/// The organization's, longest first.
pub(super) async fn troubled(on: &mut impl Conn, org: &OrgId) -> Result<Vec<TroubledRow>, Error> {
    rows!(on, TroubledRow, TROUBLED, org.as_str())
}

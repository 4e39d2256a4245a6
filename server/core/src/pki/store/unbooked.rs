//! Authorities that a token makes while no transaction is open, until they are booked or their keys destroyed.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

pub(super) const UNBOOKED_RESERVE: Sql =
    Sql::same("INSERT INTO unbooked_authorities (id, org_id, token, subject, given_up, reserved_at) VALUES ($1, $2, $3, $4, $5, $6)");
pub(super) const UNBOOKED_TAKE: Sql = Sql::same("DELETE FROM unbooked_authorities WHERE id = $1 AND given_up = 0");
pub(super) const UNBOOKED_GIVE_UP: Sql = Sql::same("UPDATE unbooked_authorities SET given_up = 1 WHERE id = $1");
/// Those without a key on a token are anybody's.
pub(super) const UNBOOKED: Sql = Sql::same(
    "SELECT id, org_id, token, subject, given_up, reserved_at FROM unbooked_authorities WHERE (given_up = 1 OR reserved_at <= $1) AND token IN ($2, '') \
     AND (reserved_at > $3 OR (reserved_at = $3 AND id > $4)) ORDER BY reserved_at, id LIMIT 20",
);
/// Authorities, and open requests, that have this name or this key.
pub(super) const KEY_IN_USE: Sql = Sql::same(
    "SELECT (SELECT COUNT(*) FROM authorities WHERE id = $1 OR spki_sha256 = $2) \
     + (SELECT COUNT(*) FROM authority_requests WHERE (id = $1 OR spki_sha256 = $2) AND state = 'open')",
);
pub(super) const UNBOOKED_DROP: Sql = Sql::same("DELETE FROM unbooked_authorities WHERE id = $1 AND given_up = 1");

/// Writes one down that is about to be made on the token of this label, or without one; or one whose key is to be destroyed.
pub(in crate::pki) async fn reserve_unbooked(
    tx: &mut Tx,
    id: &AuthorityId,
    org: &OrgId,
    (token, subject): (&str, &str),
    (given_up, now): (bool, Timestamp),
) -> Result<(), Error> {
    exec!(tx, UNBOOKED_RESERVE, id.as_str(), org.as_str(), token, subject, i64::from(given_up), now.0)?;
    Ok(())
}

/// Takes one that is booked now; `false` when somebody else has, or it was given up.
pub(in crate::pki) async fn take_unbooked(tx: &mut Tx, id: &AuthorityId) -> Result<bool, Error> {
    Ok(exec!(tx, UNBOOKED_TAKE, id.as_str())? == 1)
}

/// Nobody books this one any more; `false` when somebody has, or it is dropped.
pub(in crate::pki) async fn give_up_unbooked(tx: &mut Tx, id: &AuthorityId) -> Result<bool, Error> {
    Ok(exec!(tx, UNBOOKED_GIVE_UP, id.as_str())? == 1)
}

/// One that nobody has come back for.
#[derive(sqlx::FromRow)]
pub(in crate::pki) struct Unbooked {
    pub id: String,
    pub org_id: String,
    pub token: String,
    pub subject: String,
    pub given_up: i64,
    pub reserved_at: i64,
}

/// The oldest 20 behind this one that are given up, or were written down before then, and whose key is on the token of this label or on none.
pub(in crate::pki) async fn unbooked(
    on: &mut impl Conn,
    (before, token): (Timestamp, &str),
    (reserved_at, id): (i64, &str),
) -> Result<Vec<Unbooked>, Error> {
    rows!(on, Unbooked, UNBOOKED, before.0, token, reserved_at, id)
}

/// Whether an authority or an open request has this name, or the public key with this digest.
pub(in crate::pki) async fn key_in_use(on: &mut impl Conn, id: &str, spki_sha256: Option<&[u8; 32]>) -> Result<bool, Error> {
    let digest = spki_sha256.map_or(&[][..], |digest| &digest[..]);
    Ok(row!(on, (i64,), KEY_IN_USE, id, digest)?.is_some_and(|(users,)| users > 0))
}

/// Drops one that was given up; `false` when somebody else has.
pub(in crate::pki) async fn drop_unbooked(tx: &mut Tx, id: &str) -> Result<bool, Error> {
    Ok(exec!(tx, UNBOOKED_DROP, id)? == 1)
}

//! Serial numbers that are reserved for what a token signs (P-2), until the certificate is booked or the number is dropped.

use crate::db::{Bytes, Conn, Error, Sql, Tx, column, list, many, row, rows};
use serde::Serialize;
use wire::{Timestamp, ids::CertificateId};

pub(super) const SERIALS_RESERVE: Sql = many!(
    "INSERT INTO reserved_serials (id, org_id, issuer_id, serial, subject, spki_sha256, reserved_at) \
     SELECT r.id, r.org, r.issuer, r.serial, r.subject, r.spki_sha256, r.reserved_at FROM (SELECT ",
    [text id, text org, text issuer, bytes serial, text subject, bytes spki_sha256, int reserved_at],
    ") AS r WHERE NOT EXISTS (SELECT 1 FROM certificates c WHERE c.issuer_id = r.issuer AND c.serial = r.serial) \
     ON CONFLICT (issuer_id, serial) DO NOTHING RETURNING id"
);
pub(super) const SERIALS_TAKE: Sql =
    many!("DELETE FROM reserved_serials WHERE id IN (SELECT w.id FROM (SELECT ", [text id], ") AS w) RETURNING id");
pub(super) const SERIALS_OLD: Sql = Sql::same("SELECT COUNT(*) FROM reserved_serials WHERE reserved_at <= $1");
pub(super) const SERIALS_DROP: Sql = Sql::same(
    "DELETE FROM reserved_serials WHERE id IN (SELECT o.id FROM reserved_serials o WHERE o.reserved_at <= $1 ORDER BY o.reserved_at, o.id LIMIT 200) \
     RETURNING id, org_id, issuer_id, serial, subject, spki_sha256, reserved_at",
);

/// A serial number about to be signed for.
#[derive(Serialize)]
pub(in crate::pki) struct ReservedSerial<'a> {
    pub id: &'a str,
    pub org: &'a str,
    pub issuer: &'a str,
    pub serial: Bytes<'a>,
    pub subject: &'a str,
    pub spki_sha256: Bytes<'a>,
    pub reserved_at: i64,
}

/// Takes serials under their unique index; gives the ids of those that were free, among the reserved as among the booked.
pub(in crate::pki) async fn reserve_serials(tx: &mut Tx, serials: &[ReservedSerial<'_>]) -> Result<Vec<(String,)>, Error> {
    rows!(tx, (String,), SERIALS_RESERVE, list(serials)?)
}

/// Takes reservations, for certificates that are booked now or were never signed; gives those that were still there. Each is taken once.
pub(in crate::pki) async fn take_serials(tx: &mut Tx, ids: &[&CertificateId]) -> Result<Vec<(String,)>, Error> {
    rows!(tx, (String,), SERIALS_TAKE, column("id", ids.iter().copied().map(CertificateId::as_str))?)
}

/// A reservation that nobody has come back for.
#[derive(sqlx::FromRow)]
pub(in crate::pki) struct DroppedSerial {
    pub id: String,
    pub org_id: String,
    pub issuer_id: String,
    pub serial: Vec<u8>,
    pub subject: String,
    pub spki_sha256: Vec<u8>,
    pub reserved_at: i64,
}

/// How many were reserved before then.
pub(in crate::pki) async fn old_serials(on: &mut impl Conn, before: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), SERIALS_OLD, before.0)?.map_or(0, |(old,)| old))
}

/// Drops the oldest of those, 200 at most.
pub(in crate::pki) async fn drop_serials(tx: &mut Tx, before: Timestamp) -> Result<Vec<DroppedSerial>, Error> {
    rows!(tx, DroppedSerial, SERIALS_DROP, before.0)
}

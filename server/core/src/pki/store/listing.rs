//! Certificates as lists and pages show them: in their orders, narrowed, counted, by the weeks they end in, and one with all that is kept of it.

use crate::db::{Conn, Error, Sql, row, rows};
use wire::{
    Timestamp,
    ids::{CertificateId, OrgId},
    pki::CertificateSort,
    states::CertificateState,
};

/// A certificate `c` of an authority `a` as it is shown: one whose authority is not believed, or that is on its owner's
/// list (E-10), is not called active, and the reason says why.
macro_rules! shown_columns {
    () => {
        "SELECT c.id, c.subject, c.serial, c.fingerprint, a.subject AS issuer, c.issuer_id, c.key_alg, c.not_before, c.not_after, \
         CASE WHEN c.state = 'active' AND a.state NOT IN ('staged', 'active', 'retiring') THEN 'untrusted' \
         WHEN c.state = 'active' AND c.owner_listed_at IS NOT NULL THEN 'revoked' ELSE c.state END AS state, \
         CASE WHEN c.state = 'active' AND a.state NOT IN ('staged', 'active', 'retiring') THEN 'authority_' || a.state \
         WHEN c.state = 'active' AND c.owner_listed_at IS NOT NULL THEN 'owners_list' ELSE c.reason END AS reason, \
         c.first_used_at, c.key_origin, c.revoked_at, c.owner_listed_at, c.renew_ordered_at, c.renew_due_at"
    };
}
macro_rules! joined {
    () => {
        " FROM certificates c JOIN authorities a ON a.id = c.issuer_id "
    };
}
/// What a list may be narrowed by: state ($2), a window of ends ($3, $4], in which only what has no successor in use counts ($5), a part of the
/// device's id ($6), the beginning of serial number or fingerprint ([$7, $8)), the authority that issued it ($9). Whose organization and which end it looks
/// at is said by the list, because that decides which index an engine takes: a column with a `+` in front has none.
macro_rules! narrowed {
    () => {
        narrowed!("c.org_id", "c.not_after")
    };
    ($org:literal, $end:literal) => {
        concat!(
            "WHERE ",
            $org,
            " = $1 AND c.device IS NOT NULL AND c.fingerprint IS NOT NULL \
             AND ($2 = '' OR CASE WHEN c.state = 'active' AND c.issuer_id IN ",
            unbelieved!(),
            " THEN 'untrusted' WHEN c.state = 'active' AND c.owner_listed_at IS NOT NULL THEN 'revoked' ELSE c.state END = $2) AND ",
            $end,
            " > $3 AND ",
            $end,
            " <= $4 AND ($5 = 0 OR (c.state = 'active' AND c.owner_listed_at IS NULL AND c.usable_until = c.not_after AND c.issuer_id NOT IN ",
            unbelieved!(),
            ")) AND ($6 = '' OR LOWER(c.subject) LIKE $6 ESCAPE '\\' OR (c.serial >= $7 AND c.serial < $8) \
             OR (c.fingerprint >= $7 AND c.fingerprint < $8)) AND ($9 = '' OR c.issuer_id = $9)"
        )
    };
}
pub(super) const PAGE: Sql = Sql::same(concat!(
    shown_columns!(),
    joined!(),
    narrowed!(),
    " AND (c.not_after > $10 OR (c.not_after = $10 AND c.id > $11)) ORDER BY c.not_after, c.id LIMIT $12"
));
pub(super) const PAGE_DESC: Sql = Sql::same(concat!(
    shown_columns!(),
    joined!(),
    narrowed!(),
    " AND (c.not_after < $10 OR (c.not_after = $10 AND c.id < $11)) ORDER BY c.not_after DESC, c.id DESC LIMIT $12"
));
/// In the order of devices, which lead (`CROSS JOIN`: SQLite keeps that order): each one's certificates by when they were issued. For lists of most
/// certificates: what a filter leaves out is met on the way.
macro_rules! by_device {
    ($than:literal, $direction:literal) => {
        Sql::same(concat!(
            shown_columns!(),
            ", d.device_id_lower AS place, c.issued_at \
             FROM devices d CROSS JOIN certificates c JOIN authorities a ON a.id = c.issuer_id ",
            narrowed!("d.org_id", "+c.not_after"),
            " AND c.device = d.number AND d.device_id_lower ",
            $than,
            "= $10 AND (d.device_id_lower ",
            $than,
            " $10 OR c.issued_at ",
            $than,
            " $11 OR (c.issued_at = $11 AND c.id ",
            $than,
            " $12)) ORDER BY d.device_id_lower ",
            $direction,
            ", c.issued_at ",
            $direction,
            ", c.id ",
            $direction,
            " LIMIT $13"
        ))
    };
}
pub(super) const PAGE_BY_DEVICE: Sql = by_device!(">", "");
pub(super) const PAGE_BY_DEVICE_DESC: Sql = by_device!("<", "DESC");
/// The same rows in the same order where the filter leaves few: certificates lead, found by their end or their revocation, and are sorted then. A device's
/// place is an expression here that no index has, or PostgreSQL might walk the devices all the same.
macro_rules! few_by_device {
    ($end:literal, $found:literal, $than:literal, $direction:literal) => {
        Sql::same(concat!(
            shown_columns!(),
            ", d.device_id_lower AS place, c.issued_at \
             FROM certificates c CROSS JOIN devices d JOIN authorities a ON a.id = c.issuer_id ",
            narrowed!("c.org_id", $end),
            $found,
            " AND c.device = d.number AND (d.device_id_lower || '' ",
            $than,
            " $10 OR (d.device_id_lower || '' = $10 AND (c.issued_at ",
            $than,
            " $11 OR (c.issued_at = $11 AND c.id ",
            $than,
            " $12)))) ORDER BY d.device_id_lower || '' ",
            $direction,
            ", c.issued_at ",
            $direction,
            ", c.id ",
            $direction,
            " LIMIT $13"
        ))
    };
    ($than:literal, $direction:literal) => {
        few_by_device!("c.not_after", "", $than, $direction)
    };
    (revoked, $than:literal, $direction:literal) => {
        few_by_device!(
            "+c.not_after",
            " AND c.state <> 'superseded' AND COALESCE(c.revoked_at, c.owner_listed_at) IS NOT NULL",
            $than,
            $direction
        )
    };
}
pub(super) const FEW_BY_DEVICE: Sql = few_by_device!(">", "");
pub(super) const FEW_BY_DEVICE_DESC: Sql = few_by_device!("<", "DESC");
pub(super) const FEW_REVOKED_BY_DEVICE: Sql = few_by_device!(revoked, ">", "");
pub(super) const FEW_REVOKED_BY_DEVICE_DESC: Sql = few_by_device!(revoked, "<", "DESC");
/// In the order of their revocation. The conditions without parameters are those of the index.
macro_rules! by_revocation {
    ($than:literal, $direction:literal) => {
        Sql::same(concat!(
            shown_columns!(),
            joined!(),
            narrowed!("c.org_id", "+c.not_after"),
            " AND c.state <> 'superseded' AND COALESCE(c.revoked_at, c.owner_listed_at) IS NOT NULL AND COALESCE(c.revoked_at, c.owner_listed_at) ",
            $than,
            "= $10 AND (COALESCE(c.revoked_at, c.owner_listed_at) ",
            $than,
            " $10 OR c.id ",
            $than,
            " $11) ORDER BY COALESCE(c.revoked_at, c.owner_listed_at) ",
            $direction,
            ", c.id ",
            $direction,
            " LIMIT $12"
        ))
    };
}
pub(super) const PAGE_BY_REVOCATION: Sql = by_revocation!(">", "");
pub(super) const PAGE_BY_REVOCATION_DESC: Sql = by_revocation!("<", "DESC");
pub(super) const COUNT: Sql = Sql::same(concat!("SELECT COUNT(*) FROM certificates c ", narrowed!()));
/// In use, and without a successor in use: their ends are what matters.
macro_rules! ending {
    ($head:literal, $tail:literal) => {
        Sql::same(concat!(
            $head,
            " FROM certificates WHERE org_id = $1 AND device IS NOT NULL AND state = 'active' AND owner_listed_at IS NULL AND usable_until = not_after AND issuer_id NOT IN ",
            unbelieved!(),
            $tail
        ))
    };
}
pub(super) const ENDS_BY_WEEK: Sql =
    ending!("SELECT (not_after - $2) / 604800000 AS week, COUNT(*)", " AND not_after >= $2 AND not_after < $3 GROUP BY 1 ORDER BY 1");
pub(super) const DETAIL: Sql = Sql::same(concat!(
    shown_columns!(),
    ", c.der, c.issued_at, c.enrolled_by, c.usable_until, c.replaces_id, c.revoked_by, \
     c.invalidity_date, c.revocation_note, c.raised_at, c.raised_by, c.validity_profile, c.owner_list, \
     (SELECT s.id FROM certificates s WHERE s.device = c.device AND s.replaces_id = c.id AND s.fingerprint IS NOT NULL \
     ORDER BY s.issued_at DESC, s.id DESC LIMIT 1) AS replaced_by",
    joined!(),
    "WHERE c.id = $1 AND c.org_id = $2 AND c.device IS NOT NULL AND c.der IS NOT NULL"
));
pub(super) const OF_DEVICE: Sql = Sql::same(concat!(
    shown_columns!(),
    joined!(),
    "WHERE c.device = $1 AND c.fingerprint IS NOT NULL ORDER BY c.issued_at DESC, c.id DESC LIMIT 50"
));
pub(super) const EXPIRING: Sql = ending!("SELECT COUNT(*)", " AND not_after > $2 AND not_after <= $3");

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct ListRecord {
    pub id: String,
    pub subject: String,
    pub serial: Vec<u8>,
    pub fingerprint: Vec<u8>,
    pub issuer: String,
    pub issuer_id: String,
    pub key_alg: String,
    pub not_before: i64,
    pub not_after: i64,
    pub state: String,
    pub reason: String,
    pub first_used_at: Option<i64>,
    pub key_origin: String,
    pub revoked_at: Option<i64>,
    pub owner_listed_at: Option<i64>,
    pub renew_ordered_at: Option<i64>,
    pub renew_due_at: Option<i64>,
}

/// The same where devices lead, with its place among them.
#[derive(sqlx::FromRow)]
struct ByDevice {
    #[sqlx(flatten)]
    listed: ListRecord,
    place: String,
    issued_at: i64,
}

/// A row's place in a list that is in some order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pki) struct Place {
    /// When it ends, was revoked or was issued: what the order looks at, behind the device where that comes first.
    pub at: i64,
    pub id: String,
    /// The device's place; empty where devices do not lead.
    pub device: String,
}

impl Place {
    /// In front of every row in this order.
    pub const fn start(sort: CertificateSort) -> Self {
        Self { at: if sort.descends() { i64::MAX } else { i64::MIN }, id: String::new(), device: String::new() }
    }
}

/// Behind every device id there can be.
const LAST_DEVICE: &str = "\u{10ffff}";

/// What a list is narrowed by; see [`PAGE`].
pub(in crate::pki) struct Narrowed<'a> {
    pub org: &'a OrgId,
    pub state: &'a str,
    /// After the first, up to the second; and whether only what has no successor in use.
    pub ends: (i64, i64, bool),
    /// A pattern of device ids, empty for all.
    pub like: &'a str,
    /// From the first up to the second, both empty for none.
    pub hex: (&'a [u8], &'a [u8]),
    /// The authority that issued them, empty for any.
    pub authority: &'a str,
}

impl Narrowed<'_> {
    /// Whether it leaves anything out.
    const fn narrows(&self) -> bool {
        let (from, until, alone) = self.ends;
        let ends = from != i64::MIN || until != i64::MAX || alone;
        ends || !self.state.is_empty() || !self.like.is_empty() || !self.hex.0.is_empty() || !self.authority.is_empty()
    }
}

/// So many are sorted faster than they are met among the devices of a large fleet.
const FEW: i64 = 1000;

/// The way to a page of a list of `total` certificates. Each leads to the same rows in the same order, so it may be another one from page to page.
pub(in crate::pki) fn way(by: &Narrowed<'_>, sort: CertificateSort, total: i64) -> Sql {
    use CertificateSort as Sort;
    let few = by.narrows() && total <= FEW;
    let revoked = by.state == CertificateState::Revoked.as_str();
    match sort {
        Sort::Device if few && revoked => FEW_REVOKED_BY_DEVICE,
        Sort::DeviceDesc if few && revoked => FEW_REVOKED_BY_DEVICE_DESC,
        Sort::Device if few => FEW_BY_DEVICE,
        Sort::DeviceDesc if few => FEW_BY_DEVICE_DESC,
        Sort::Device => PAGE_BY_DEVICE,
        Sort::DeviceDesc => PAGE_BY_DEVICE_DESC,
        Sort::End => PAGE,
        Sort::EndDesc => PAGE_DESC,
        Sort::Revoked => PAGE_BY_REVOCATION,
        Sort::RevokedDesc => PAGE_BY_REVOCATION_DESC,
    }
}

/// Device certificates behind a place in this order, each with its own place. `total` is how many there are in all; it decides only how they are read.
pub(in crate::pki) async fn page(
    on: &mut impl Conn,
    by: &Narrowed<'_>,
    (sort, total): (CertificateSort, i64),
    after: &Place,
    limit: i64,
) -> Result<Vec<(ListRecord, Place)>, Error> {
    use CertificateSort as Sort;
    let (from, until, alone) = by.ends;
    let (org, alone, hex) = (by.org.as_str(), i64::from(alone), by.hex);
    let statement = way(by, sort, total);
    if matches!(sort, Sort::Device | Sort::DeviceDesc) {
        let device = if after.device.is_empty() && sort.descends() { LAST_DEVICE } else { after.device.as_str() };
        let (at, id) = (after.at, after.id.as_str());
        let found =
            rows!(on, ByDevice, statement, org, by.state, from, until, alone, by.like, hex.0, hex.1, by.authority, device, at, id, limit)?;
        let placed = |r: ByDevice| {
            let place = Place { at: r.issued_at, id: r.listed.id.clone(), device: r.place };
            (r.listed, place)
        };
        return Ok(found.into_iter().map(placed).collect());
    }
    // In the order of their ends an engine enters the index at the window, and would meet every page before this one again: the window begins at the place.
    let (from, until) = match sort {
        Sort::End => (from.max(after.at.saturating_sub(1)), until),
        Sort::EndDesc => (from, until.min(after.at)),
        _ => (from, until),
    };
    let (at, id) = (after.at, after.id.as_str());
    let found = rows!(on, ListRecord, statement, org, by.state, from, until, alone, by.like, hex.0, hex.1, by.authority, at, id, limit)?;
    let placed = |r: ListRecord| {
        let at = if sort.of_revoked() { r.revoked_at.or(r.owner_listed_at).unwrap_or(i64::MIN) } else { r.not_after };
        let place = Place { at, id: r.id.clone(), device: String::new() };
        (r, place)
    };
    Ok(found.into_iter().map(placed).collect())
}

/// How many there are in all.
pub(in crate::pki) async fn count(on: &mut impl Conn, by: &Narrowed<'_>) -> Result<i64, Error> {
    let (from, until, alone) = by.ends;
    let (org, alone) = (by.org.as_str(), i64::from(alone));
    Ok(row!(on, (i64,), COUNT, org, by.state, from, until, alone, by.like, by.hex.0, by.hex.1, by.authority)?.map_or(0, |(n,)| n))
}

/// Weeks from `from` on in which certificates end, and how many.
pub(in crate::pki) async fn ends_by_week(
    on: &mut impl Conn,
    org: &OrgId,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<(i64, i64)>, Error> {
    rows!(on, (i64, i64), ENDS_BY_WEEK, org.as_str(), from.0, until.0)
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct DetailRecord {
    #[sqlx(flatten)]
    pub listed: ListRecord,
    pub der: Vec<u8>,
    pub issued_at: i64,
    pub enrolled_by: String,
    pub usable_until: i64,
    pub replaces_id: Option<String>,
    pub replaced_by: Option<String>,
    pub revoked_by: String,
    pub invalidity_date: Option<i64>,
    pub revocation_note: String,
    pub raised_at: Option<i64>,
    pub raised_by: String,
    pub validity_profile: String,
    pub owner_list: String,
}

/// One device certificate with all that is kept of it.
pub(in crate::pki) async fn detail(on: &mut impl Conn, id: &CertificateId, org: &OrgId) -> Result<Option<DetailRecord>, Error> {
    row!(on, DetailRecord, DETAIL, id.as_str(), org.as_str())
}

/// A device's certificates, newest first.
pub(in crate::pki) async fn of_device(on: &mut impl Conn, device: i64) -> Result<Vec<ListRecord>, Error> {
    rows!(on, ListRecord, OF_DEVICE, device)
}

/// Active certificates without a used successor that end between the two instants.
pub(in crate::pki) async fn expiring(on: &mut impl Conn, org: &OrgId, from: Timestamp, until: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), EXPIRING, org.as_str(), from.0, until.0)?.map_or(0, |(n,)| n))
}

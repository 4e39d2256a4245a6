//! Trust bundles, who holds them, and roots that vouch for one another.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

pub(super) const BUNDLE_NEWEST: Sql =
    Sql::same("SELECT version, content FROM trust_bundles WHERE org_id = $1 ORDER BY version DESC LIMIT 1");
pub(super) const BUNDLES: Sql = Sql::same(
    "SELECT b.org_id, b.version, b.content FROM trust_bundles b \
     WHERE b.version = (SELECT MAX(n.version) FROM trust_bundles n WHERE n.org_id = b.org_id) ORDER BY b.org_id",
);
pub(super) const BUNDLES_BESIDE: Sql =
    Sql::same("SELECT org_id, version, content FROM trust_bundles WHERE org_id <> $1 ORDER BY org_id, version");
pub(super) const BUNDLE_RAISE: Sql = Sql::same("INSERT INTO trust_bundles (org_id, version, content, raised_at) VALUES ($1, $2, $3, $4)");
pub(super) const BUNDLE_FIRST: Sql = Sql::same("UPDATE authorities SET bundle = $2 WHERE org_id = $1 AND bundle = 0");
pub(super) const BUNDLE_HELD: Sql = Sql::same(
    "SELECT trust_bundle, COUNT(*) FROM devices WHERE org_id = $1 AND state = 'active' GROUP BY trust_bundle ORDER BY trust_bundle",
);
/// Active devices that don't hold the newest version, by id: one that never was is of another database.
pub(super) const BUNDLE_BEHIND: Sql = Sql::same(
    "SELECT device_id FROM devices WHERE org_id = $1 AND state = 'active' AND trust_bundle <> $2 AND device_id_lower > $3 \
     ORDER BY device_id_lower LIMIT $4",
);
/// Without a certificate that it may use, and without a word about any bundle.
pub(super) const BUNDLE_CANNOT_TELL: Sql = Sql::same(
    "SELECT COUNT(*) FROM devices d WHERE d.org_id = $1 AND d.state = 'active' AND d.trust_bundle = 0 \
     AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.device = d.number AND c.state = 'active')",
);
pub(super) const BUNDLE_HELD_BY: Sql = Sql::same("SELECT trust_bundle FROM devices WHERE number = $1");
pub(super) const BUNDLE_HOLD: Sql = Sql::same("UPDATE devices SET trust_bundle = $2 WHERE number = $1");
pub(super) const CROSS: Sql = Sql::same(
    "INSERT INTO cross_certificates (id, org_id, subject_id, issuer_id, serial, fingerprint, der, not_after, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
pub(super) const CROSSES: Sql =
    Sql::same("SELECT subject_id, issuer_id, fingerprint, der, not_after FROM cross_certificates ORDER BY created_at, id");

/// Version and content of the organization's newest bundle.
pub(in crate::pki) async fn newest_bundle(on: &mut impl Conn, org: &OrgId) -> Result<Option<(i64, String)>, Error> {
    row!(on, (i64, String), BUNDLE_NEWEST, org.as_str())
}

/// Every organization's newest bundle.
pub(in crate::pki) async fn bundles(on: &mut impl Conn) -> Result<Vec<(String, i64, String)>, Error> {
    rows!(on, (String, i64, String), BUNDLES)
}

/// Every bundle of every other organization: the organization, the version and the content, the oldest first.
pub(in crate::pki) async fn bundles_beside(on: &mut impl Conn, org: &OrgId) -> Result<Vec<(String, i64, String)>, Error> {
    rows!(on, (String, i64, String), BUNDLES_BESIDE, org.as_str())
}

/// A new version; authorities that were in none so far are in this one.
pub(in crate::pki) async fn raise_bundle(tx: &mut Tx, org: &OrgId, version: i64, content: &str, now: Timestamp) -> Result<(), Error> {
    exec!(tx, BUNDLE_RAISE, org.as_str(), version, content, now.0)?;
    exec!(tx, BUNDLE_FIRST, org.as_str(), version)?;
    Ok(())
}

/// How many active devices said that they hold which version.
pub(in crate::pki) async fn held(on: &mut impl Conn, org: &OrgId) -> Result<Vec<(i64, i64)>, Error> {
    rows!(on, (i64, i64), BUNDLE_HELD, org.as_str())
}

/// The active devices that don't hold the newest version, by id, behind this id in small letters.
pub(in crate::pki) async fn behind(on: &mut impl Conn, org: &OrgId, newest: i64, after: &str, limit: i64) -> Result<Vec<String>, Error> {
    Ok(rows!(on, (String,), BUNDLE_BEHIND, org.as_str(), newest, after, limit)?.into_iter().map(|(id,)| id).collect())
}

/// How many active devices never can tell which one they hold.
pub(in crate::pki) async fn cannot_tell(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), BUNDLE_CANNOT_TELL, org.as_str())?.map_or(0, |(devices,)| devices))
}

/// Which version the device holds as far as is known; none when there is no such device.
pub(in crate::pki) async fn bundle_held_by(on: &mut impl Conn, device: i64) -> Result<Option<i64>, Error> {
    Ok(row!(on, (i64,), BUNDLE_HELD_BY, device)?.map(|(version,)| version))
}

/// It holds this version from now on.
pub(in crate::pki) async fn hold_bundle(tx: &mut Tx, device: i64, version: i64) -> Result<(), Error> {
    exec!(tx, BUNDLE_HOLD, device, version)?;
    Ok(())
}

/// A new certificate of one root for another.
pub(in crate::pki) struct NewCross<'a> {
    pub id: &'a str,
    pub org: &'a OrgId,
    pub subject: &'a AuthorityId,
    pub issuer: &'a AuthorityId,
    pub serial: &'a [u8],
    pub fingerprint: &'a [u8],
    pub der: &'a [u8],
    pub not_after: Timestamp,
    pub now: Timestamp,
}

pub(in crate::pki) async fn insert_cross(tx: &mut Tx, c: &NewCross<'_>) -> Result<(), Error> {
    let (org, subject, issuer) = (c.org.as_str(), c.subject.as_str(), c.issuer.as_str());
    exec!(tx, CROSS, c.id, org, subject, issuer, c.serial, c.fingerprint, c.der, c.not_after.0, c.now.0)?;
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct CrossRecord {
    pub subject_id: String,
    pub issuer_id: String,
    pub fingerprint: Vec<u8>,
    pub der: Vec<u8>,
    pub not_after: i64,
}

/// Every certificate of one root for another, in the order they were made.
pub(in crate::pki) async fn crosses(on: &mut impl Conn) -> Result<Vec<CrossRecord>, Error> {
    rows!(on, CrossRecord, CROSSES)
}

//! Authorities and their sealed keys.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

pub(super) const SLUG: Sql = Sql::same("SELECT slug FROM organizations WHERE id = $1");
pub(super) const AUTHORITY: Sql = Sql::same(
    "INSERT INTO authorities (id, org_id, kind, generation, issuer_id, serial, subject, key_alg, sig_alg, profile_version, ski, spki_sha256, fingerprint, der, \
     sealed_key, base_url, not_before, not_after, state, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
);
pub(super) const AUTHORITIES: Sql = Sql::same(
    "SELECT a.id, a.org_id, o.slug, a.kind, a.issuer_id, a.subject, a.spki_sha256, a.fingerprint, a.der, a.sealed_key, a.base_url, a.not_before, a.not_after, a.state, a.serial, a.ended_at \
     FROM authorities a JOIN organizations o ON o.id = a.org_id ORDER BY o.created_at, o.id, a.created_at, a.id",
);
pub(super) const SEALED_KEYS: Sql =
    Sql::same("SELECT id, spki_sha256, sealed_key FROM authorities WHERE sealed_key IS NOT NULL ORDER BY id");
pub(super) const SET_SEALED_KEY: Sql = Sql::same("UPDATE authorities SET sealed_key = $2 WHERE id = $1");

/// The organization's slug.
pub(in crate::pki) async fn slug(on: &mut impl Conn, org: &OrgId) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), SLUG, org.as_str())?.map(|(slug,)| slug))
}

/// A new authority's row.
pub(in crate::pki) struct NewAuthority<'a> {
    pub id: &'a AuthorityId,
    pub org: &'a OrgId,
    pub kind: &'a str,
    pub generation: i64,
    pub issuer: &'a AuthorityId,
    pub serial: &'a [u8],
    pub subject: &'a str,
    pub profile_version: i64,
    pub ski: &'a [u8],
    pub spki_sha256: &'a [u8],
    pub fingerprint: &'a [u8],
    pub der: &'a [u8],
    pub sealed_key: &'a [u8],
    pub base_url: &'a str,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub now: Timestamp,
}

pub(in crate::pki) async fn insert_authority(tx: &mut Tx, a: &NewAuthority<'_>) -> Result<(), Error> {
    exec!(
        tx,
        AUTHORITY,
        a.id.as_str(),
        a.org.as_str(),
        a.kind,
        a.generation,
        a.issuer.as_str(),
        a.serial,
        a.subject,
        "P-256",
        SIG_ALG,
        a.profile_version,
        a.ski,
        a.spki_sha256,
        a.fingerprint,
        a.der,
        a.sealed_key,
        a.base_url,
        a.not_before.0,
        a.not_after.0,
        "active",
        a.now.0
    )?;
    Ok(())
}

/// How every authority of profile version 1 signs.
pub(in crate::pki) const SIG_ALG: &str = "ecdsa-with-SHA256";

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct AuthorityRecord {
    pub id: String,
    pub org_id: String,
    pub slug: String,
    pub kind: String,
    pub issuer_id: String,
    pub subject: String,
    pub spki_sha256: Vec<u8>,
    pub fingerprint: Vec<u8>,
    pub der: Vec<u8>,
    pub sealed_key: Option<Vec<u8>>,
    pub base_url: String,
    pub not_before: i64,
    pub not_after: i64,
    pub state: String,
    pub serial: Vec<u8>,
    pub ended_at: Option<i64>,
}

/// Every authority of the instance, the oldest organization's first.
pub(in crate::pki) async fn authorities(on: &mut impl Conn) -> Result<Vec<AuthorityRecord>, Error> {
    rows!(on, AuthorityRecord, AUTHORITIES)
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct SealedKey {
    pub id: String,
    pub spki_sha256: Vec<u8>,
    pub sealed_key: Vec<u8>,
}

/// Every authority's key that is on this machine.
pub(in crate::pki) async fn sealed_keys(on: &mut impl Conn) -> Result<Vec<SealedKey>, Error> {
    rows!(on, SealedKey, SEALED_KEYS)
}

pub(in crate::pki) async fn set_sealed_key(tx: &mut Tx, id: &AuthorityId, sealed: &[u8]) -> Result<(), Error> {
    exec!(tx, SET_SEALED_KEY, id.as_str(), sealed)?;
    Ok(())
}

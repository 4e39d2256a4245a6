//! Profiles of devices' certificates.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::OrgId,
    pki::{CertificateProfile, KeyType, MAX_PROFILE_HOURS, ProfileKeys, ProfileRules},
};

pub(super) const PROFILES: Sql = Sql::same(
    "SELECT p.name, p.hours, p.key_types, p.rekey, p.changed_at, p.changed_by, \
     (SELECT COUNT(*) FROM certificates c WHERE c.org_id = p.org_id AND c.validity_profile = p.name AND c.validity_profile <> '' \
     AND c.state = 'active') AS active \
     FROM certificate_profiles p WHERE p.org_id = $1 ORDER BY p.name",
);
pub(super) const PROFILE_KEYS: Sql = Sql::same("SELECT name, key_types FROM certificate_profiles WHERE org_id = $1 ORDER BY name");
pub(super) const PROFILE: Sql = Sql::same("SELECT hours, key_types, rekey FROM certificate_profiles WHERE org_id = $1 AND name = $2");
pub(super) const PROFILE_PUT: Sql = Sql::same(
    "INSERT INTO certificate_profiles (org_id, name, hours, key_types, rekey, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (org_id, name) DO UPDATE SET hours = excluded.hours, key_types = excluded.key_types, rekey = excluded.rekey, \
     changed_at = excluded.changed_at, changed_by = excluded.changed_by",
);
pub(super) const PROFILE_REMOVE: Sql = Sql::same("DELETE FROM certificate_profiles WHERE org_id = $1 AND name = $2");
/// $4 is now; what a token has let ask may be collected later, so those count that end after $3.
pub(super) const PROFILE_USERS: Sql = Sql::same(
    "SELECT (SELECT COUNT(*) FROM enrolment_tokens WHERE org_id = $1 AND profile = $2 AND revoked_at IS NULL AND expires_at > $3) AS tokens, \
     (SELECT COUNT(*) FROM claims WHERE org_id = $1 AND profile = $2 AND disabled_at IS NULL AND expires_at > $4) AS claims, \
     (SELECT COUNT(*) FROM enrolment_batches WHERE org_id = $1 AND profile = $2 AND state IN ('receiving', 'working', 'making_keys')) AS batches, \
     (SELECT COUNT(*) FROM organizations WHERE id = $1 AND open_profile = $2) AS settings, \
     (SELECT COUNT(*) FROM certificates WHERE org_id = $1 AND validity_profile = $2 AND validity_profile <> '' AND state = 'active') AS certificates",
);
/// The longest life in hours that a profile gives.
pub(super) const LONGEST_PROFILE: Sql = Sql::same("SELECT MAX(hours) FROM certificate_profiles WHERE org_id = $1");
/// The longest life of an active certificate of a profile, if it is longer than $2; a profile may have been made shorter since.
pub(super) const LONGEST_LEAF: Sql = Sql::same(
    "SELECT not_after - not_before FROM certificates WHERE org_id = $1 AND state = 'active' AND validity_profile <> '' \
     AND not_after - not_before > $2 ORDER BY not_after - not_before DESC LIMIT 1",
);

#[derive(sqlx::FromRow)]
struct ProfileRecord {
    name: String,
    hours: i64,
    key_types: String,
    rekey: String,
    changed_at: i64,
    changed_by: String,
    active: i64,
}

fn keys(types: &str) -> Result<Vec<KeyType>, Error> {
    types.split(' ').filter(|word| !word.is_empty()).map(|word| word.parse().map_err(Error::corrupt)).collect()
}

fn rules(hours: i64, key_types: &str, rekey: &str) -> Result<ProfileRules, Error> {
    let hours = u32::try_from(hours).map_err(Error::corrupt)?;
    Ok(ProfileRules {
        hours,
        // There is no other way to such a life.
        factory: hours > MAX_PROFILE_HOURS,
        keys: keys(key_types)?,
        rekey: Some(rekey).filter(|word| !word.is_empty()).map(|word| word.parse().map_err(Error::corrupt)).transpose()?,
    })
}

/// The organization's profiles, by name.
pub(in crate::pki) async fn profiles(on: &mut impl Conn, org: &OrgId) -> Result<Vec<CertificateProfile>, Error> {
    let shown = |r: ProfileRecord| {
        let rules = rules(r.hours, &r.key_types, &r.rekey)?;
        Ok(CertificateProfile { name: r.name, rules, active: r.active, changed_at: Timestamp(r.changed_at), changed_by: r.changed_by })
    };
    rows!(on, ProfileRecord, PROFILES, org.as_str())?.into_iter().map(shown).collect()
}

/// The organization's profiles and the types of keys they are for, by name.
pub(in crate::pki) async fn profile_keys(on: &mut impl Conn, org: &OrgId) -> Result<Vec<ProfileKeys>, Error> {
    let shown = |(name, types): (String, String)| Ok(ProfileKeys { name, keys: keys(&types)? });
    rows!(on, (String, String), PROFILE_KEYS, org.as_str())?.into_iter().map(shown).collect()
}

/// What the profile says; none when there is no such one.
pub(in crate::pki) async fn profile(on: &mut impl Conn, org: &OrgId, name: &str) -> Result<Option<ProfileRules>, Error> {
    row!(on, (i64, String, String), PROFILE, org.as_str(), name)?.map(|(hours, keys, rekey)| rules(hours, &keys, &rekey)).transpose()
}

/// Makes a profile, or changes it.
pub(in crate::pki) async fn put_profile(
    tx: &mut Tx,
    org: &OrgId,
    name: &str,
    rules: &ProfileRules,
    now: Timestamp,
    by: &str,
) -> Result<(), Error> {
    let keys = rules.keys.iter().map(|k| KeyType::as_str(*k)).collect::<Vec<_>>().join(" ");
    let rekey = rules.rekey.map_or("", wire::states::RekeyPolicy::as_str);
    exec!(tx, PROFILE_PUT, org.as_str(), name, i64::from(rules.hours), keys, rekey, now.0, by).map(drop)
}

/// Removes one; `false` when there is none.
pub(in crate::pki) async fn remove_profile(tx: &mut Tx, org: &OrgId, name: &str) -> Result<bool, Error> {
    Ok(exec!(tx, PROFILE_REMOVE, org.as_str(), name)? == 1)
}

/// What a profile is used by.
#[derive(Debug, Clone, Copy, Default, sqlx::FromRow)]
pub(in crate::pki) struct ProfileUsers {
    /// Enrolment tokens that may still give such certificates.
    pub tokens: i64,
    /// Claims that may.
    pub claims: i64,
    /// Batches that are under way.
    pub batches: i64,
    /// One when devices that ask without a token get such.
    pub settings: i64,
    /// Active certificates.
    pub certificates: i64,
}

/// What the profile is used by now; of tokens, those that end after `since`.
pub(in crate::pki) async fn profile_users(
    tx: &mut Tx,
    org: &OrgId,
    name: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<ProfileUsers, Error> {
    Ok(row!(tx, ProfileUsers, PROFILE_USERS, org.as_str(), name, since.0, now.0)?.unwrap_or_default())
}

/// The longest life in hours that a profile of the organization gives; none without profiles.
pub(in crate::pki) async fn longest_profile(on: &mut impl Conn, org: &OrgId) -> Result<Option<i64>, Error> {
    Ok(row!(on, (Option<i64>,), LONGEST_PROFILE, org.as_str())?.and_then(|(hours,)| hours))
}

/// The longest life of an active certificate of a profile, in milliseconds from its first to its last instant; none when no one's is longer than `than`.
pub(in crate::pki) async fn longest_leaf(on: &mut impl Conn, org: &OrgId, than: i64) -> Result<Option<i64>, Error> {
    Ok(row!(on, (i64,), LONGEST_LEAF, org.as_str(), than)?.map(|(life,)| life))
}

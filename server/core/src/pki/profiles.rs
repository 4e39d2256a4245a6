//! Profiles of devices' certificates that an organization has named (E-1, P-1, P-6, R-3): how long they hold, for which keys, and what a renewal
//! may bring. Owns the settings and their bounds; `issue.rs` and `renew.rs` apply them. What a certificate looks like is `profile.rs`'s business.

use super::{
    Error, Pki,
    csr::{Csr, KeyAlg},
    issue::NewLeaf,
    made,
    profile::{DAY, HOUR},
    store,
};
use crate::{
    access::{Act, Actor, audit, may},
    db::Conn,
};
use serde_json::json;
use std::collections::HashMap;
use wire::{
    ids::OrgId,
    pki::{CertificateProfile, KeyType, MAX_FACTORY_HOURS, MAX_PROFILE_HOURS, ProfileKeys, ProfileRules},
};

/// Most profiles of an organization.
const MOST: usize = 50;
/// For how long what a token has let ask may be collected after the token's end.
const COLLECTED: i64 = 14 * DAY;

/// The rules of the profiles that are asked for, by organization and name.
pub(super) type Asked = HashMap<(OrgId, String), ProfileRules>;

/// The word for a key's type.
pub(super) const fn key_type(key: KeyAlg) -> KeyType {
    match key {
        KeyAlg::P256 => KeyType::P256,
        KeyAlg::P384 => KeyType::P384,
        KeyAlg::Ed25519 => KeyType::Ed25519,
        KeyAlg::Rsa(_) => KeyType::Rsa,
    }
}

/// The life of certificates of a profile, in milliseconds.
pub(super) fn life(rules: &ProfileRules) -> i64 {
    i64::from(rules.hours) * HOUR
}

/// Refuses a key of a type that the profile is not for.
pub(super) fn takes(rules: &ProfileRules, csr: &Csr) -> Result<(), Error> {
    only(rules, csr.key_alg).map_or(Ok(()), |types| Err(Error::KeyType(types)))
}

/// The types that the profile is for, in words, when this key is of none of them.
fn only(rules: &ProfileRules, key: KeyAlg) -> Option<String> {
    let taken = rules.keys.is_empty() || rules.keys.contains(&key_type(key));
    (!taken).then(|| rules.keys.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", "))
}

/// What a profile is used by, in words; none when by nothing.
fn named(users: store::ProfileUsers) -> Option<String> {
    let counted = |n: i64, one: &str, many: &str| (n > 0).then(|| format!("{n} {}", if n == 1 { one } else { many }));
    let used = [
        counted(users.tokens, "enrolment token", "enrolment tokens"),
        counted(users.claims, "claim", "claims"),
        counted(users.batches, "batch that is under way", "batches that are under way"),
        (users.settings > 0).then(|| "the setting for devices that ask without a token".to_owned()),
        counted(users.certificates, "active certificate", "active certificates"),
    ];
    let used: Vec<String> = used.into_iter().flatten().collect();
    (!used.is_empty()).then(|| used.join(", "))
}

impl Pki {
    /// The organization's profiles, by name.
    pub async fn profiles(&self, actor: &Actor) -> Result<Vec<CertificateProfile>, Error> {
        may(actor, Act::Read)?;
        Ok(store::profiles(&mut self.db.read().await?, &actor.org).await?)
    }

    /// Their names and the keys they are for, for those who choose one.
    pub(crate) async fn profile_choices(&self, on: &mut impl Conn, org: &OrgId) -> Result<Vec<ProfileKeys>, Error> {
        Ok(store::profile_keys(on, org).await?)
    }

    /// Makes a profile of this name, or changes it: what is issued from now on follows it, renewals too.
    pub async fn set_profile(&self, actor: &Actor, name: &str, mut rules: ProfileRules) -> Result<(), Error> {
        may(actor, Act::Rules)?;
        let begins = name.bytes().next().is_some_and(|b| b != b'-');
        let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !begins || !letters || name.len() > 40 {
            return Err(Error::ProfileName);
        }
        // What holds for years is said twice, as hours and as a factory's: nobody gives ten years by a slip.
        let right = if rules.factory { MAX_PROFILE_HOURS + 1..=MAX_FACTORY_HOURS } else { 1..=MAX_PROFILE_HOURS };
        if !right.contains(&rules.hours) {
            return Err(if rules.factory { Error::FactoryHours } else { Error::ProfileHours });
        }
        rules.keys.sort_unstable();
        rules.keys.dedup();
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        store::put_profile(&mut tx, &actor.org, name, &rules, now, &actor.label()).await?;
        if store::profile_keys(&mut tx, &actor.org).await?.len() > MOST {
            return Err(Error::ProfilesFull);
        }
        audit::append(&mut tx, actor, now, "certificate_profile.set", name, &json!(rules)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes a profile that nothing is of: no active certificate, and nothing that may still give one. Whoever asks without a token is given one by
    /// the organization's setting, whether that is open now or not: what has asked may still be let in.
    pub async fn remove_profile(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        may(actor, Act::Rules)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // First, because it takes the row's lock: what is made meanwhile finds it or doesn't.
        if !store::remove_profile(&mut tx, &actor.org, name).await? {
            return Err(Error::NoProfile);
        }
        let users = store::profile_users(&mut tx, &actor.org, name, now.plus(-COLLECTED), now).await?;
        if let Some(users) = named(users) {
            return Err(Error::ProfileInUse(users));
        }
        audit::append(&mut tx, actor, now, "certificate_profile.remove", name, &json!(null)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Refuses a name that is no profile of the organization; an empty one is none and always right.
    pub(crate) async fn profile_is_there(&self, on: &mut impl Conn, org: &OrgId, name: &str) -> Result<(), Error> {
        if name.is_empty() || store::profile(on, org, name).await?.is_some() { Ok(()) } else { Err(Error::NoProfile) }
    }

    /// The types of keys that a profile is for; empty means every one, as without a profile.
    pub(crate) async fn profile_keys(&self, on: &mut impl Conn, org: &OrgId, name: &str) -> Result<Vec<KeyType>, Error> {
        Ok(store::profile(on, org, name).await?.map(|rules| rules.keys).unwrap_or_default())
    }

    /// Refuses a profile that is not for the keys that are made here (E-8). Whoever issues looks again: it may have changed by then.
    pub(crate) async fn profile_takes_made_keys(&self, on: &mut impl Conn, org: &OrgId, name: &str) -> Result<(), Error> {
        let types = store::profile(on, org, name).await?.and_then(|rules| only(&rules, made::KEY_ALG));
        types.map_or(Ok(()), |types| Err(Error::MadeKeys { profile: name.to_owned(), types }))
    }

    /// The profiles that these ask for; no question when none does. A renewal of a certificate whose profile is gone goes on without: its device must not
    /// be stranded.
    pub(super) async fn profiles_of(&self, on: &mut impl Conn, new: &[NewLeaf<'_>]) -> Result<Asked, Error> {
        let mut asked = Asked::new();
        for leaf in new.iter().filter(|leaf| !leaf.profile.is_empty()) {
            let key = (leaf.org.clone(), leaf.profile.to_owned());
            if asked.contains_key(&key) {
                continue;
            }
            match store::profile(on, leaf.org, leaf.profile).await? {
                Some(rules) => drop(asked.insert(key, rules)),
                None if leaf.replaces.is_some() => tracing::warn!(profile = leaf.profile, "a renewal's profile is gone"),
                None => {}
            }
        }
        Ok(asked)
    }
}

//! Key sets (U-1): documents, signed offline, that say which keys devices trust and how many of them must sign. Each follows on the one before
//! it; once there is one, keys and thresholds here are what it says. Revoking a key stays possible: that only ever trusts less.

use super::{
    Error, Releases, store,
    succession::{self, Before},
};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    db::{Conn, Tx},
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::OrgId,
    manifest::Envelope,
    releases::SigningKey,
    signing::{KeySet, KeySetRow},
};

impl Releases {
    /// Published key sets, newest first; at most 100.
    pub async fn key_sets(&self, actor: &Actor) -> Result<Vec<KeySetRow>> {
        may(actor, Act::Read)?;
        let mut out = Vec::new();
        for (envelope, published_at, published_by) in store::key_sets(&mut self.db.read().await?, &actor.org).await? {
            let set = kept(&envelope)?;
            let version = i64::try_from(set.version).unwrap_or(i64::MAX);
            let keys = set.keys.into_iter().map(|k| k.name).collect();
            out.push(KeySetRow { version, thresholds: set.thresholds, keys, expires: set.expires, published_at, published_by });
        }
        Ok(out)
    }

    /// Version, end and publication of the newest key set, if it ends until then or has ended.
    pub(crate) async fn key_set_ending(&self, org: &OrgId, until: Timestamp) -> Result<Option<(u64, Timestamp, Timestamp)>> {
        let Some((envelope, published_at, _)) = store::key_sets(&mut self.db.read().await?, org).await?.into_iter().next() else {
            return Ok(None);
        };
        let set = kept(&envelope)?;
        Ok(set.expires.filter(|end| *end <= until).map(|end| (set.version, end, published_at)))
    }

    /// The envelope of a key set as it was published.
    pub async fn key_set_file(&self, actor: &Actor, version: i64) -> Result<Vec<u8>> {
        may(actor, Act::Read)?;
        Ok(store::key_set(&mut self.db.read().await?, &actor.org, version).await?.ok_or(Error::NoKeySet)?)
    }

    /// The same for a device of the organization.
    pub async fn key_set_for_device(&self, org: &OrgId, version: i64) -> Result<Envelope> {
        let bytes = store::key_set(&mut self.db.read().await?, org, version).await?.ok_or(Error::NoKeySet)?;
        Ok(succession::open(&bytes).map_err(crate::db::Error::corrupt)?.0)
    }

    /// Publishes the next key set. It is signed by enough of the keys before it and by enough of its own; before the first one these are the keys and
    /// thresholds that hold here. Its keys are trusted from now on and no others, and its thresholds hold.
    pub async fn publish_key_set(&self, actor: &Actor, envelope: &[u8]) -> Result<KeySetRow> {
        may(actor, Act::Keys)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        let set = if let Some((_, before)) = store::newest_key_set(&mut tx, &actor.org).await? {
            let before = kept(&before)?;
            // As devices count: what was revoked here since is trusted there until this one comes.
            let (keys, quorum) = (succession::keys(&before), before.thresholds.quorum());
            succession::follows(envelope, &Before { keys: &keys, quorum, version: Some(before.version) })
        } else {
            let keys = store::active_keys(&mut tx, &actor.org).await?;
            let quorum = store::thresholds(&mut tx, &actor.org).await?.quorum();
            succession::follows(envelope, &Before { keys: &keys, quorum, version: None })
        };
        let set = set.map_err(Error::KeySet)?;
        // The one before may have ended: that must not keep the next one away. A set that has ended itself is of no use to any device.
        if let Some(end) = set.expires.filter(|_| set.ended(now)) {
            return Err(Error::KeySet(succession::KeySetError::Ended(end)).into());
        }
        let version = i64::try_from(set.version).unwrap_or(i64::MAX);
        if !store::insert_key_set(&mut tx, &actor.org, version, envelope, (&actor.label(), now)).await? {
            return Err(Error::KeySet(succession::KeySetError::Version { version: set.version, expected: set.version + 1 }).into());
        }
        let (added, revoked) = self.trust_exactly(&mut tx, actor, &set, now).await?;
        store::set_thresholds(&mut tx, &actor.org, &set.thresholds).await?;
        let detail =
            json!({ "version": version, "added": added, "revoked": revoked, "thresholds": set.thresholds, "expires": set.expires });
        audit::append(&mut tx, actor, now, "key_set.publish", &version.to_string(), &detail).await?;
        tx.commit().await?;
        self.policy_changed(actor).await;
        let keys = set.keys.into_iter().map(|k| k.name).collect();
        let (thresholds, expires) = (set.thresholds, set.expires);
        Ok(KeySetRow { version, thresholds, keys, expires, published_at: now, published_by: actor.label() })
    }

    /// Names of the keys that are new, and of those that are not trusted any more.
    async fn trust_exactly(&self, tx: &mut Tx, actor: &Actor, set: &KeySet, now: Timestamp) -> Result<(Vec<String>, Vec<String>)> {
        let (known, listed) = (store::keys(tx, &actor.org).await?, succession::keys(set));
        let (mut added, mut revoked) = (Vec::new(), Vec::new());
        for key in &listed {
            match known.iter().find(|k| k.keyid == key.keyid) {
                // Whoever signed the set may not know what was found out here.
                Some(k) if k.revoked_at.is_some() => return Err(Error::RevokedInSet(k.name.clone()).into()),
                Some(_) => {}
                None => {
                    let new = SigningKey {
                        id: self.entropy.id(now),
                        name: key.name.clone(),
                        keyid: key.keyid.clone(),
                        created_at: now,
                        created_by: actor.label(),
                        revoked_at: None,
                    };
                    store::insert_key(tx, &actor.org, &new, &key.public).await?;
                    added.push(new.name);
                }
            }
        }
        for key in known.iter().filter(|k| k.revoked_at.is_none() && listed.iter().all(|l| l.keyid != k.keyid)) {
            store::revoke_key(tx, &actor.org, &key.id, now).await?;
            revoked.push(key.name.clone());
        }
        Ok((added, revoked))
    }
}

/// A key set that was believed when it was published.
fn kept(envelope: &[u8]) -> Result<KeySet, crate::db::Error> {
    Ok(succession::open(envelope).map_err(crate::db::Error::corrupt)?.2)
}

/// Refuses where key sets decide: nobody trusts more, or asks for less, than the quorum has signed.
pub(super) async fn none_decides(on: &mut impl Conn, org: &OrgId) -> Result<(), Error> {
    match store::newest_key_set(on, org).await? {
        Some((version, _)) => Err(Error::KeySetDecides(version)),
        None => Ok(()),
    }
}

//! The public keys that manifests are checked against. Private keys never come here.

use super::{Error, Releases, label, signing, store};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
};
use serde_json::json;
use wire::{ids::SigningKeyId, releases::SigningKey};

impl Releases {
    /// Every key, newest first.
    pub async fn keys(&self, actor: &Actor) -> Result<Vec<SigningKey>> {
        may(actor, Act::Read)?;
        Ok(store::keys(&mut self.db.read().await?, &actor.org).await?)
    }

    /// Trusts a key, given as PEM, hex or base64. Uploads that wait in quarantine are looked at again.
    pub async fn add_key(&self, actor: &Actor, name: &str, public: &str) -> Result<SigningKey> {
        may(actor, Act::Keys)?;
        label::title(name, label::MAX_TITLE).map_err(|problem| Error::Value { field: "name", problem })?;
        let public = signing::parse_public(public).map_err(Error::BadKey)?;
        let now = self.clock.now();
        let key = SigningKey {
            id: self.entropy.id(now),
            name: name.to_owned(),
            keyid: signing::keyid(&public),
            created_at: now,
            created_by: actor.label(),
            revoked_at: None,
        };
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        super::key_sets::none_decides(&mut tx, &actor.org).await?;
        // Of two who add the same key at once the second waits here, and then finds it.
        if !store::insert_key(&mut tx, &actor.org, &key, &public).await? {
            let known = store::key_by_keyid(&mut tx, &actor.org, &key.keyid).await?;
            return Err(Error::KeyExists { revoked: known.is_some_and(|k| k.revoked_at.is_some()) }.into());
        }
        audit::append(&mut tx, actor, now, "key.add", key.id.as_str(), &json!({ "name": name, "keyid": key.keyid })).await?;
        tx.commit().await?;
        // The key is trusted, whatever becomes of this; a draft can be looked at again by hand.
        if let Err(e) = self.recheck_drafts(actor).await {
            tracing::warn!(key = %key.id, error = %e, "looking at quarantined releases again failed");
        }
        Ok(key)
    }

    /// Stops trusting a key for uploads and publications from now on: its signatures count no more. What was published with it stays; recall it if the
    /// key was stolen.
    pub async fn revoke_key(&self, actor: &Actor, id: &SigningKeyId) -> Result<()> {
        may(actor, Act::Keys)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        if !store::key_exists(&mut tx, &actor.org, id).await? {
            return Err(Error::NoKey.into());
        }
        if store::revoke_key(&mut tx, &actor.org, id, now).await? {
            audit::append(&mut tx, actor, now, "key.revoke", id.as_str(), &serde_json::Value::Null).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

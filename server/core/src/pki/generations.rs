//! One authority after another: made ahead and trusted, then issuing while its predecessor is still believed, until that one has no leaves
//! left. And the end of one whose key somebody else has. Refuses to replace the root: devices pin it.

use super::{
    Error, Pki,
    authorities::{self, Parent},
    profile::Kind,
    store,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::Tx,
};
use serde_json::json;
use wire::{
    ids::AuthorityId,
    pki::{AuthorityRow, AuthorityUse},
    states::AuthorityState::{self, Active, Compromised, Retired, Retiring, Staged},
};

/// What an authority for this use is.
const fn kind(purpose: AuthorityUse) -> Kind {
    match purpose {
        AuthorityUse::Device => Kind::DeviceAuthority,
        AuthorityUse::Server => Kind::ServerAuthority,
    }
}

impl Pki {
    /// The organization's authorities, root first.
    pub fn list_authorities(&self, actor: &Actor) -> Result<Vec<AuthorityRow>, Error> {
        may(actor, Act::Read)?;
        Ok(self.authorities_of(&actor.org))
    }

    /// Makes the next authority for this use: believed from now on, but it does not issue yet. There is one staged at a time.
    pub async fn stage_authority(&self, actor: &Actor, purpose: AuthorityUse) -> Result<AuthorityRow, Error> {
        may(actor, Act::Authorities)?;
        let kind = kind(purpose);
        let all = self.authorities.load_full();
        let root = authorities::active(&all, &actor.org, Kind::Root)?;
        let parent = Parent { id: &root.id, not_after: root.not_after, signer: root.signer()? };
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Of two who stage at once the second waits here and then finds the first one's.
        store::next_trust(&mut tx).await?;
        if store::in_state(&mut tx, &actor.org, kind.as_str(), Staged).await? > 0 {
            return Err(Error::AuthorityState("There is a staged authority for this use already. Activate or retire it first."));
        }
        let number = store::generation(&mut tx, &actor.org, kind.as_str()).await? + 1;
        // Every key has a name of its own (P-7): the root's generation and a number.
        let name = format!("{}-{number}", root.subject.rsplit(' ').next().unwrap_or("G1"));
        let forge = self.forge();
        let made = forge.make(kind, &root.slug, (&name, number), now, Some(parent))?;
        forge.insert(&mut tx, actor, &made, Staged, now).await?;
        tx.commit().await?;
        self.trust_changed().await?;
        self.authorities_of(&actor.org).into_iter().find(|a| a.id == made.id).ok_or(Error::NoSuchAuthority)
    }

    /// Lets a staged authority issue. The one that did so until now is retiring: its devices are believed and told to renew.
    pub async fn activate_authority(&self, actor: &Actor, id: &AuthorityId) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let mut tx = self.db.write().await?;
        let (kind, ..) = self.standing_of(&mut tx, actor, id).await?;
        store::retire_active(&mut tx, &actor.org, &kind).await?;
        if !store::set_state(&mut tx, id, &actor.org, Staged, Active, None).await? {
            return Err(Error::AuthorityState("Only a staged authority can be activated."));
        }
        audit::append(&mut tx, actor, self.clock.now(), "authority.activate", id.as_str(), &json!({ "kind": kind })).await?;
        tx.commit().await?;
        self.trust_changed().await
    }

    /// Stops believing an authority that does not issue any more, or that never did. While it has leaves in use this must be forced; their
    /// connections are cut then.
    pub async fn retire_authority(&self, actor: &Actor, id: &AuthorityId, force: bool) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let (_, state, seq) = self.standing_of(&mut tx, actor, id).await?;
        if !matches!(state, Retiring | Staged) {
            return Err(Error::AuthorityState("Only a retiring or staged authority can be retired. Activate its successor first."));
        }
        // Of a listener's certificates only the one that is presented counts: those before it went with their processes.
        let presented = self.server_identity().is_some_and(|identity| identity.issuer == *id);
        let leaves = store::unexpired(&mut tx, id, now).await? + i64::from(presented);
        if leaves > 0 && !force {
            return Err(Error::AuthorityInUse(leaves));
        }
        if !store::set_state(&mut tx, id, &actor.org, state, Retired, Some((now, seq))).await? {
            return Err(Error::AuthorityState("It has just been changed by somebody else. Look again."));
        }
        let detail = json!({ "was": state.as_str(), "leaves": leaves, "forced": force });
        audit::append(&mut tx, actor, now, "authority.retire", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.ended().await
    }

    /// Gives up an issuing authority whose key somebody else may have: nothing of it is believed from now on, its connections are cut, the root's
    /// list says so. When it was the one that issues, nothing is issued for its use until another one is active. Idempotent.
    pub async fn compromise_authority(&self, actor: &Actor, id: &AuthorityId) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let (_, state, seq) = self.standing_of(&mut tx, actor, id).await?;
        if state == Compromised {
            return Ok(());
        }
        if !store::set_state(&mut tx, id, &actor.org, state, Compromised, Some((now, seq))).await? {
            return Err(Error::AuthorityState("It has just been changed by somebody else. Look again."));
        }
        self.journal_compromised(&actor.org, id, now).await;
        audit::append(&mut tx, actor, now, "authority.compromise", id.as_str(), &json!({ "was": state.as_str() })).await?;
        tx.commit().await?;
        self.ended().await
    }

    /// Kind and state of an issuing authority, read while every other change of trust waits, and the number of this one.
    async fn standing_of(&self, tx: &mut Tx, actor: &Actor, id: &AuthorityId) -> Result<(String, AuthorityState, i64), Error> {
        let seq = store::next_trust(tx).await?;
        let (kind, state) = store::authority_state(tx, id, &actor.org).await?.ok_or(Error::NoSuchAuthority)?;
        if kind == Kind::Root.as_str() {
            return Err(Error::AuthorityState("The root can't be replaced: every device has pinned it."));
        }
        Ok((kind, state.parse().map_err(crate::db::Error::corrupt)?, seq))
    }

    async fn trust_changed(&self) -> Result<(), Error> {
        self.reload().await?;
        self.bus.tell(Event::Trust);
        Ok(())
    }

    /// What ended is refused from here on; the root's list follows, now or with the worker's next round.
    async fn ended(&self) -> Result<(), Error> {
        self.trust_changed().await?;
        if let Err(error) = self.publish_due().await {
            tracing::warn!(%error, "the root's list is not published yet; it is tried again");
        }
        Ok(())
    }
}

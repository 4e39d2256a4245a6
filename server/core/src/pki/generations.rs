//! One authority after another: made ahead and trusted, then issuing while its predecessor is still believed, until that one has no leaves
//! left. And the end of one whose key somebody else has. A root goes the way of `rollover.rs`.

use super::{
    Error, Pki, aftermath,
    authorities::{self, Blank, By, Plan},
    bundle,
    consents::Done,
    journal::Entry,
    names,
    profile::Kind,
    store,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::Tx,
};
use serde_json::json;
use std::sync::Arc;
use wire::{
    consents::Deed,
    ids::AuthorityId,
    pki::{
        AuthorityRow, AuthorityUse,
        steps::{CLAIMS_FOLLOW, ONE_STAGED, ONLY_STAGED, ROOT_IS_BELIEVED, SUCCESSOR_FIRST},
    },
    states::AuthorityState::{self, Active, Compromised, Retired, Retiring, Staged},
};

/// What an authority for this use is.
pub(super) const fn kind(purpose: AuthorityUse) -> Kind {
    match purpose {
        AuthorityUse::Device => Kind::DeviceAuthority,
        AuthorityUse::Server => Kind::ServerAuthority,
        AuthorityUse::Claim => Kind::ClaimAuthority,
        AuthorityUse::Root => Kind::Root,
    }
}

impl Pki {
    /// The organization's authorities, root first.
    pub fn list_authorities(&self, actor: &Actor) -> Result<Vec<AuthorityRow>, Error> {
        may(actor, Act::Read)?;
        Ok(self.authorities_of(&actor.org))
    }

    /// Makes the next authority for this use: believed from now on, but it does not issue yet. There is one staged at a time. A root brings its
    /// issuing authorities along.
    pub async fn stage_authority(&self, actor: &Actor, purpose: AuthorityUse) -> Result<AuthorityRow, Error> {
        let done = self.by_one(actor, &Deed::Stage { kind: purpose }).await?;
        self.authority_row(actor, &done.made.ok_or(Error::NoSuchAuthority)?)
    }

    pub(super) async fn stage_in(&self, tx: &mut Tx, actor: &Actor, purpose: AuthorityUse) -> Result<Done, Error> {
        self.time_is_right()?;
        let kind = kind(purpose);
        if kind == Kind::Root {
            return self.stage_root(tx, actor).await;
        }
        let all = self.authorities.load_full();
        let root = authorities::active(&all, &actor.org, Kind::Root)?;
        root.signer().map_err(|e| e.wanted_for(purpose))?;
        if kind == Kind::ClaimAuthority {
            return Err(Error::AuthorityState(CLAIMS_FOLLOW));
        }
        let now = self.clock.now();
        // Of two who stage at once the second waits here and then finds the first one's.
        store::next_trust(tx).await?;
        if store::in_state(tx, &actor.org, kind.as_str(), Staged).await? > 0 {
            return Err(Error::AuthorityState(ONE_STAGED));
        }
        // Every key has a name of its own (P-7): the root's generation and a number.
        let (name, number) = names::next(tx, &actor.org, (&root.slug, kind), Some(&root.name())).await?;
        let forge = self.forge();
        let life = self.next_life(tx, &actor.org, kind).await?;
        let new = Blank { life, ..forge.blank(kind, &root.slug, (&name, number), now) };
        let product = self.made(tx, &actor.org, Plan::Issuing { new, by: By(Arc::clone(root)) }).await?;
        let made = product.first()?;
        forge.insert(tx, actor, made, Staged, now).await?;
        bundle::raise(tx, actor, now).await?;
        Ok(Done { made: Some(made.id.clone()), ..Done::default() })
    }

    /// The same, by the authority that it will come after.
    pub async fn stage_after(&self, actor: &Actor, id: &AuthorityId) -> Result<AuthorityRow, Error> {
        let purpose = self.use_of(actor, id)?;
        self.stage_authority(actor, purpose).await
    }

    /// What the one that comes after this authority is for.
    pub(super) fn use_of(&self, actor: &Actor, id: &AuthorityId) -> Result<AuthorityUse, Error> {
        match self.authority_row(actor, id)?.kind.as_str() {
            "root" => Ok(AuthorityUse::Root),
            "server" => Ok(AuthorityUse::Server),
            "device" => Ok(AuthorityUse::Device),
            _ => Err(Error::AuthorityState(CLAIMS_FOLLOW)),
        }
    }

    pub(super) fn authority_row(&self, actor: &Actor, id: &AuthorityId) -> Result<AuthorityRow, Error> {
        self.authorities_of(&actor.org).into_iter().find(|a| a.id == *id).ok_or(Error::NoSuchAuthority)
    }

    /// Lets a staged authority issue. The one that did so until now is retiring: its devices are believed and told to renew. A root takes over
    /// when enough devices hold it, or when it is forced to; `force` means nothing for the others.
    pub async fn activate_authority(&self, actor: &Actor, id: &AuthorityId, force: bool) -> Result<(), Error> {
        self.by_one(actor, &Deed::Activate { authority: id.clone(), force }).await.map(drop)
    }

    pub(super) async fn activate_in(&self, tx: &mut Tx, actor: &Actor, id: &AuthorityId, force: bool) -> Result<Done, Error> {
        let (kind, state, _) = self.standing_of(tx, actor, id).await?;
        if kind == Kind::Root.as_str() {
            return self.activate_root(tx, actor, id, state, force).await;
        }
        if store::issuer_state(tx, id).await?.as_deref() == Some(Staged.as_str()) {
            return Err(Error::AuthorityState("Its root is staged. Activate the root: this one follows with it."));
        }
        store::retire_active(tx, &actor.org, &kind).await?;
        if !store::set_state(tx, id, &actor.org, Staged, Active, None).await? {
            return Err(Error::AuthorityState(ONLY_STAGED));
        }
        audit::append(tx, actor, self.clock.now(), "authority.activate", id.as_str(), &json!({ "kind": kind })).await?;
        Ok(Done::default())
    }

    /// Stops believing an authority that does not issue any more, or that never did. While it has leaves in use this must be forced; their
    /// connections are cut then.
    pub async fn retire_authority(&self, actor: &Actor, id: &AuthorityId, force: bool) -> Result<(), Error> {
        self.by_one(actor, &Deed::Retire { authority: id.clone(), force }).await.map(drop)
    }

    pub(super) async fn retire_in(&self, tx: &mut Tx, actor: &Actor, id: &AuthorityId, force: bool) -> Result<Done, Error> {
        let now = self.clock.now();
        let (kind, state, seq) = self.standing_of(tx, actor, id).await?;
        if kind == Kind::Root.as_str() {
            return self.retire_root(tx, actor, id, (state, seq), force).await;
        }
        if !matches!(state, Retiring | Staged) {
            return Err(Error::AuthorityState(SUCCESSOR_FIRST));
        }
        let leaves = store::unexpired(tx, id, now).await? + i64::from(self.presents(id));
        if leaves > 0 && !force {
            return Err(Error::AuthorityInUse(leaves));
        }
        if !store::set_state(tx, id, &actor.org, state, Retired, Some((now, seq))).await? {
            return Err(Error::AuthorityState("It has just been changed by somebody else. Look again."));
        }
        let detail = json!({ "was": state.as_str(), "leaves": leaves, "forced": force });
        audit::append(tx, actor, now, "authority.retire", id.as_str(), &detail).await?;
        bundle::raise(tx, actor, now).await?;
        Ok(Done { ended: true, ..Done::default() })
    }

    /// Whether the listeners' present certificate is of this authority. Those before it went with their processes.
    pub(super) fn presents(&self, id: &AuthorityId) -> bool {
        self.server_identity().is_some_and(|identity| identity.issuer == *id)
    }

    /// Gives up an issuing authority whose key somebody else may have: nothing of it is believed from now on, its connections are cut, the root's
    /// list says so. With a root everything that it has signed and that is still believed goes, too. When it was the one that issues, nothing is issued for its use until another one is active,
    /// and tokens and claims made so far are frozen (`aftermath.rs`). Idempotent.
    pub async fn compromise_authority(&self, actor: &Actor, id: &AuthorityId) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let (kind, state, seq) = self.standing_of(&mut tx, actor, id).await?;
        if state == Compromised {
            return Ok(());
        }
        if kind == Kind::Root.as_str() && state == Active {
            return Err(Error::AuthorityState(ROOT_IS_BELIEVED));
        }
        let given_up = |authority: AuthorityId| Entry::Compromised { org: actor.org.clone(), authority, at: now };
        let mut told = Vec::new();
        // Whoever has a root's key can vouch for anything below it, so nothing below it is believed either.
        for (child, was) in store::believed_under(&mut tx, id).await? {
            let child: AuthorityId = child.parse().map_err(crate::db::Error::corrupt)?;
            let was: AuthorityState = was.parse().map_err(crate::db::Error::corrupt)?;
            store::set_state(&mut tx, &child, &actor.org, was, Compromised, Some((now, seq))).await?;
            aftermath::freeze(&mut tx, &child, &actor.org, was, now).await?;
            let detail = json!({ "was": was.as_str(), "with": id });
            audit::append(&mut tx, actor, now, "authority.compromise", child.as_str(), &detail).await?;
            told.push(given_up(child));
        }
        if !store::set_state(&mut tx, id, &actor.org, state, Compromised, Some((now, seq))).await? {
            return Err(Error::AuthorityState("It has just been changed by somebody else. Look again."));
        }
        aftermath::freeze(&mut tx, id, &actor.org, state, now).await?;
        told.push(given_up(id.clone()));
        audit::append(&mut tx, actor, now, "authority.compromise", id.as_str(), &json!({ "was": state.as_str() })).await?;
        bundle::raise(&mut tx, actor, now).await?;
        self.journal_all(&told).await;
        tx.commit().await?;
        self.ended().await
    }

    /// Kind and state of an authority, read while every other change of trust waits, and the number of this one.
    pub(super) async fn standing_of(&self, tx: &mut Tx, actor: &Actor, id: &AuthorityId) -> Result<(String, AuthorityState, i64), Error> {
        let seq = store::next_trust(tx).await?;
        let (kind, state) = store::authority_state(tx, id, &actor.org).await?.ok_or(Error::NoSuchAuthority)?;
        Ok((kind, state.parse().map_err(crate::db::Error::corrupt)?, seq))
    }

    pub(super) async fn trust_changed(&self) -> Result<(), Error> {
        self.reload().await?;
        // Only a process that listens presents anything.
        if self.server_identity().is_some()
            && let Err(error) = self.renew_identity().await
        {
            tracing::warn!(%error, "the listeners' certificate does not follow yet; it is tried again");
        }
        self.introduce().await;
        self.bus.tell(Event::Trust);
        Ok(())
    }

    /// What ended is refused from here on; the root's list follows, now or with the worker's next round.
    pub(super) async fn ended(&self) -> Result<(), Error> {
        self.trust_changed().await?;
        if let Err(error) = self.publish_due().await {
            tracing::warn!(%error, "the root's list is not published yet; it is tried again");
        }
        Ok(())
    }
}

//! Two people for what concerns authorities (K-6, A-37): one asks, another one approves, and the approval does it. Owns the rule, the
//! requests and the doing; what a deed means is `consent.rs`'s, how it is done is the files' that have always done it.
//!
//! A deed is guarded by one line, [`Pki::alone`], at the beginning of its transaction. What an approval should be able to do is an arm of
//! [`Pki::carry_out`] besides.

use super::{
    Error, Pki,
    ahead::signed_ahead,
    consent::{self, ConsentError, LIFE_MS, MOST, Standing},
    store,
};
use crate::{
    access::{self, Act, Actor, Who, audit, may},
    bus::Event,
    db::Tx,
    text::unseen,
};
use serde_json::json;
use wire::{
    Timestamp,
    consents::{AskConsent, ConsentRow, ConsentState, Deed, MAX_REMARK, ServerKeyRule},
    ids::{AuthorityId, ConsentId, Digest, OrgId},
    states::AuthorityStep,
};

/// Why a request can't be carried out any more.
const CHANGED: &str = "What it was about has changed since it was asked for.";
const NO_ADMIN: &str = "Whoever asked for it is not an admin any more.";

/// What was done in a transaction, and has to follow its commit.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The authority that was made.
    pub made: Option<AuthorityId>,
    /// Whether something is not believed any more.
    pub ended: bool,
    /// Whether nothing about trust has changed.
    pub quiet: bool,
}

/// A deed that passed the guard: where two people are asked for and one does it, the log says so once it is done.
#[must_use = "the log says what was done on one person's word"]
#[derive(Debug, Default)]
pub(crate) struct Alone(Option<&'static str>);

impl Alone {
    /// Says it loudly. Belongs behind the commit: what was refused was not done.
    pub(crate) fn done(self) {
        if let Some(deed) = self.0 {
            tracing::warn!(deed, "done on one person's word at the command line, where two are asked for");
        }
    }
}

impl Pki {
    /// The guard before a deed: passes where one person is enough. Where two are asked for only the command line on the server's own machine
    /// passes, which is the way out when nobody else is there, and the log says so loudly ([`Alone::done`]). Takes the trust clock's lock first, as every
    /// change of trust does.
    pub(crate) async fn alone(&self, tx: &mut Tx, actor: &Actor, deed: &Deed) -> Result<Alone, Error> {
        store::next_trust(tx).await?;
        if !store::approvals(tx, &actor.org).await? {
            return Ok(Alone::default());
        }
        if actor.who != Who::Shell {
            return Err(ConsentError::Needed.into());
        }
        let object = deed.authority().map_or(actor.org.as_str(), AuthorityId::as_str);
        let detail = json!({ "deed": deed, "note": "on one person's word, at the command line" });
        audit::append(tx, actor, self.clock.now(), "authority.alone", object, &detail).await?;
        Ok(Alone(Some(deed.words())))
    }

    /// A deed on one person's word, where that is enough.
    pub(super) async fn by_one(&self, actor: &Actor, deed: &Deed) -> Result<Done, Error> {
        may(actor, Act::Authorities)?;
        let done = signed_ahead!(self, Box::pin(self.by_one_at_once(actor, deed)).await)?;
        self.follow_up(&done).await?;
        Ok(done)
    }

    async fn by_one_at_once(&self, actor: &Actor, deed: &Deed) -> Result<Done, Error> {
        let mut tx = self.db.write().await?;
        let alone = self.alone(&mut tx, actor, deed).await?;
        let done = self.carry_out(&mut tx, actor, deed).await?;
        tx.commit().await?;
        alone.done();
        Ok(done)
    }

    /// Does it, in the caller's transaction, with its audit entries.
    async fn carry_out(&self, tx: &mut Tx, actor: &Actor, deed: &Deed) -> Result<Done, Error> {
        match deed {
            Deed::Stage { kind } => self.stage_in(tx, actor, *kind).await,
            Deed::Activate { authority, force } => self.activate_in(tx, actor, authority, *force).await,
            Deed::Retire { authority, force } => self.retire_in(tx, actor, authority, *force).await,
            Deed::ClaimAuthority => self.claim_authority_in(tx, actor).await,
            Deed::ApprovalsOff => {
                store::set_approvals(tx, &actor.org, false).await?;
                let org = actor.org.as_str();
                audit::append(tx, actor, self.clock.now(), "authority.approvals", org, &json!({ "on": false })).await?;
                Ok(Done { quiet: true, ..Done::default() })
            }
            Deed::ServerKeys => {
                // What two have agreed to must not be there where one decides: it would hold when two do again.
                match self.server_key_rule(tx, actor.org.as_str()).await? {
                    ServerKeyRule::Off => return Err(ConsentError::KeysNowhere.into()),
                    ServerKeyRule::Configured => return Err(ConsentError::KeysConfigured.into()),
                    ServerKeyRule::Needed | ServerKeyRule::Agreed => {}
                }
                self.say_server_keys(tx, actor, true).await?;
                Ok(Done { quiet: true, ..Done::default() })
            }
        }
    }

    async fn say_server_keys(&self, tx: &mut Tx, actor: &Actor, on: bool) -> Result<(), Error> {
        store::set_server_keys(tx, &actor.org, on).await?;
        let org = actor.org.as_str();
        Ok(audit::append(tx, actor, self.clock.now(), "authority.server_keys", org, &json!({ "on": on })).await?)
    }

    async fn follow_up(&self, done: &Done) -> Result<(), Error> {
        match (done.quiet, done.ended) {
            (true, _) => Ok(()),
            (_, true) => self.ended().await,
            (_, false) => self.trust_changed().await,
        }
    }

    /// Lets two people decide on authorities from now on, which one admin may do as long as there is a second one; or one again, which takes two.
    pub async fn set_approvals(&self, actor: &Actor, on: bool) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        if !on {
            if store::approvals(&mut self.db.read().await?, &actor.org).await? {
                self.by_one(actor, &Deed::ApprovalsOff).await?;
                self.tell_consents(&actor.org);
            }
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        store::next_trust(&mut tx).await?;
        if access::admins_beside(&mut tx, &actor.org, "").await? < 2 {
            return Err(ConsentError::NoSecond.into());
        }
        if store::approvals(&mut tx, &actor.org).await? {
            return Ok(());
        }
        store::set_approvals(&mut tx, &actor.org, true).await?;
        let org = actor.org.as_str();
        audit::append(&mut tx, actor, self.clock.now(), "authority.approvals", org, &json!({ "on": true })).await?;
        tx.commit().await?;
        self.tell_consents(&actor.org);
        Ok(())
    }

    /// Who says whether keys are made for devices of this organization, and what was said (E-8, K-6).
    pub(crate) async fn server_key_rule(&self, on: &mut impl crate::db::Conn, org: &str) -> Result<ServerKeyRule, Error> {
        if !self.makes_keys() {
            return Ok(ServerKeyRule::Off);
        }
        Ok(store::server_key_rule(on, org).await?)
    }

    /// Lets keys be made for devices where two people decide, which takes two; or not any more, which one admin may say. Where one person is enough the
    /// configuration alone says so, and this is refused.
    pub async fn set_server_keys(&self, actor: &Actor, on: bool) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        if on {
            let rule = self.server_key_rule(&mut self.db.read().await?, actor.org.as_str()).await?;
            return match rule {
                ServerKeyRule::Off => Err(ConsentError::KeysNowhere.into()),
                ServerKeyRule::Configured => Err(ConsentError::KeysConfigured.into()),
                ServerKeyRule::Agreed => Ok(()),
                ServerKeyRule::Needed => {
                    self.by_one(actor, &Deed::ServerKeys).await?;
                    self.tell_consents(&actor.org);
                    Ok(())
                }
            };
        }
        let mut tx = self.db.write().await?;
        store::next_trust(&mut tx).await?;
        // Also where the installation makes none: it may again.
        match store::server_key_rule(&mut tx, actor.org.as_str()).await? {
            ServerKeyRule::Agreed => {}
            ServerKeyRule::Off | ServerKeyRule::Configured => return Err(ConsentError::KeysConfigured.into()),
            ServerKeyRule::Needed => return Ok(()),
        }
        self.say_server_keys(&mut tx, actor, false).await?;
        tx.commit().await?;
        self.tell_consents(&actor.org);
        Ok(())
    }

    /// Asks another admin for a deed. It waits a day; nothing happens until somebody approves.
    pub async fn ask_consent(&self, actor: &Actor, ask: AskConsent) -> Result<ConsentRow, Error> {
        may(actor, Act::Authorities)?;
        let remark = remark(&ask.remark)?;
        let (Some(user), Who::Session { name, .. } | Who::Token { person: name, .. }) = (actor.user(), &actor.who) else {
            return Err(ConsentError::Nobody.into());
        };
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Whoever else changes authorities, or asks, waits.
        store::next_trust(&mut tx).await?;
        if !store::approvals(&mut tx, &actor.org).await? {
            return Err(ConsentError::Off.into());
        }
        if access::admins_beside(&mut tx, &actor.org, user.as_str()).await? == 0 {
            return Err(ConsentError::NoSecond.into());
        }
        if ask.deed == Deed::ServerKeys {
            match self.server_key_rule(&mut tx, actor.org.as_str()).await? {
                ServerKeyRule::Off => return Err(ConsentError::KeysNowhere.into()),
                ServerKeyRule::Agreed => return Err(ConsentError::KeysAgreed.into()),
                ServerKeyRule::Needed | ServerKeyRule::Configured => {}
            }
        }
        let all = store::authority_standings(&mut tx, &actor.org).await?;
        let effects = consent::effects(&ask.deed, &all).map_err(Error::AuthorityState)?;
        let digest = consent::digest(&actor.org, &ask.deed, &effects);
        if store::consent_asked(&mut tx, &actor.org, digest.as_str(), now).await? {
            return Err(ConsentError::Asked.into());
        }
        if store::consents_for(&mut tx, &actor.org, "", now).await? >= MOST {
            return Err(ConsentError::Many.into());
        }
        let row = ConsentRow {
            id: self.entropy.id(now),
            deed: ask.deed,
            effects,
            digest,
            asked_by: user.clone(),
            asked_name: name.clone(),
            remark,
            asked_at: now,
            expires_at: now.plus(LIFE_MS),
            state: ConsentState::Waiting,
            decided_name: String::new(),
            decided_remark: String::new(),
            decided_at: None,
        };
        store::ask(&mut tx, &actor.org, &row).await?;
        let detail = json!({ "deed": row.deed, "digest": row.digest, "effects": row.effects, "remark": row.remark });
        audit::append(&mut tx, actor, now, "authority.ask", row.id.as_str(), &detail).await?;
        tx.commit().await?;
        self.tell_consents(&actor.org);
        Ok(row)
    }

    /// The same for a step of an authority's life, as its page offers it.
    pub async fn ask_step(
        &self,
        actor: &Actor,
        id: &AuthorityId,
        (step, force): (AuthorityStep, bool),
        why: &str,
    ) -> Result<ConsentRow, Error> {
        let authority = id.clone();
        let deed = match step {
            AuthorityStep::Stage => Deed::Stage { kind: self.use_of(actor, id)? },
            AuthorityStep::Activate => Deed::Activate { authority, force },
            AuthorityStep::Retire => Deed::Retire { authority, force },
            // Giving up what somebody else has the key of waits for nobody.
            AuthorityStep::Compromise => return Err(ConsentError::Off.into()),
        };
        self.ask_consent(actor, AskConsent { deed, remark: why.to_owned() }).await
    }

    /// Says yes to this digest, and does it: in one transaction with the decision and both audit entries, or nothing of it. Who asked can't, also
    /// not through an API token. When something it is about has changed since, the request is over and nothing is done.
    pub async fn approve_consent(&self, actor: &Actor, id: &ConsentId, digest: &Digest, why: &str) -> Result<ConsentRow, Error> {
        may(actor, Act::Authorities)?;
        let why = remark(why)?;
        let (row, done) = signed_ahead!(self, Box::pin(self.approve_at_once(actor, id, digest, &why)).await)?;
        self.tell_consents(&actor.org);
        self.follow_up(&done).await?;
        Ok(row)
    }

    async fn approve_at_once(&self, actor: &Actor, id: &ConsentId, digest: &Digest, why: &str) -> Result<(ConsentRow, Done), Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        store::next_trust(&mut tx).await?;
        let row = self.decidable(&mut tx, actor, id, now).await?;
        if row.digest != *digest {
            return Err(ConsentError::Digest.into());
        }
        let before = store::authority_standings(&mut tx, &actor.org).await?;
        if let Some(reason) = self.void(&mut tx, &actor.org, &row, &before).await? {
            self.decide(&mut tx, actor, &row, (ConsentState::Void, reason), now).await?;
            tx.commit().await?;
            self.tell_consents(&actor.org);
            return Err(ConsentError::Void(reason).into());
        }
        self.decide(&mut tx, actor, &row, (ConsentState::Done, why), now).await?;
        let done = self.carry_out(&mut tx, actor, &row.deed).await?;
        let after = store::authority_standings(&mut tx, &actor.org).await?;
        if consent::happened(&before, &after) != row.effects {
            return Err(Error::Build("an approved deed would have done something else than was approved".to_owned()));
        }
        let row = store::consent(&mut tx, &actor.org, id).await?.ok_or(ConsentError::NotFound)?;
        tx.commit().await?;
        Ok((row, done))
    }

    /// Says no. Nothing happens.
    pub async fn reject_consent(&self, actor: &Actor, id: &ConsentId, why: &str) -> Result<ConsentRow, Error> {
        may(actor, Act::Authorities)?;
        let why = remark(why)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        store::next_trust(&mut tx).await?;
        let row = self.decidable(&mut tx, actor, id, now).await?;
        self.end(tx, actor, &row, (ConsentState::Rejected, &why), now).await
    }

    /// Takes one's own request back.
    pub async fn withdraw_consent(&self, actor: &Actor, id: &ConsentId) -> Result<ConsentRow, Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        store::next_trust(&mut tx).await?;
        let row = store::consent(&mut tx, &actor.org, id).await?.ok_or(ConsentError::NotFound)?;
        if actor.user() != Some(&row.asked_by) {
            return Err(ConsentError::NotOwn.into());
        }
        if row.state != ConsentState::Waiting {
            return Err(ConsentError::Over(row.state).into());
        }
        self.end(tx, actor, &row, (ConsentState::Withdrawn, ""), now).await
    }

    async fn end(
        &self,
        mut tx: Tx,
        actor: &Actor,
        row: &ConsentRow,
        to: (ConsentState, &str),
        now: Timestamp,
    ) -> Result<ConsentRow, Error> {
        self.decide(&mut tx, actor, row, to, now).await?;
        let row = store::consent(&mut tx, &actor.org, &row.id).await?.ok_or(ConsentError::NotFound)?;
        tx.commit().await?;
        self.tell_consents(&actor.org);
        Ok(row)
    }

    /// A request that this actor may decide on now.
    async fn decidable(&self, tx: &mut Tx, actor: &Actor, id: &ConsentId, now: Timestamp) -> Result<ConsentRow, Error> {
        let row = store::consent(tx, &actor.org, id).await?.ok_or(ConsentError::NotFound)?;
        if row.state != ConsentState::Waiting {
            return Err(ConsentError::Over(row.state).into());
        }
        if row.expires_at <= now {
            return Err(ConsentError::Over(ConsentState::Expired).into());
        }
        match (&actor.who, actor.user()) {
            (_, Some(user)) if *user == row.asked_by => Err(ConsentError::Own.into()),
            (Who::Session { .. } | Who::Token { .. } | Who::Shell, _) => Ok(row),
            _ => Err(ConsentError::Nobody.into()),
        }
    }

    /// Why a request is worth nothing any more.
    pub(super) async fn void(
        &self,
        tx: &mut impl crate::db::Conn,
        org: &OrgId,
        row: &ConsentRow,
        all: &[Standing],
    ) -> Result<Option<&'static str>, Error> {
        let same = consent::effects(&row.deed, all).is_ok_and(|effects| consent::digest(org, &row.deed, &effects) == row.digest);
        if !same {
            return Ok(Some(CHANGED));
        }
        Ok((!access::is_admin(tx, org, &row.asked_by).await?).then_some(NO_ADMIN))
    }

    /// Ends a request, with its audit entry. Of two who decide at once one does.
    async fn decide(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        row: &ConsentRow,
        (to, why): (ConsentState, &str),
        now: Timestamp,
    ) -> Result<(), Error> {
        let by = actor.label();
        if !consent::legal(row.state, to) || !store::consent_decide(tx, &actor.org, &row.id, to, (&by, why), now).await? {
            return Err(ConsentError::Over(row.state).into());
        }
        let action = match to {
            ConsentState::Done => "authority.approve",
            ConsentState::Rejected => "authority.reject",
            ConsentState::Withdrawn => "authority.withdraw",
            ConsentState::Void => "authority.void",
            ConsentState::Expired => "authority.lapse",
            ConsentState::Waiting => "authority.ask",
        };
        let mut detail = json!({ "deed": row.deed, "digest": row.digest, "asked_by": row.asked_name, "remark": why });
        if actor.who == Who::Shell {
            detail["note"] = json!("at the command line, which does not say who it was: on one person's word");
        }
        Ok(audit::append(tx, actor, now, action, row.id.as_str(), &detail).await?)
    }

    /// Ends requests that nobody has decided on in time. Any instance may do it.
    pub(super) async fn lapse_consents(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let late = store::consents_late(&mut self.db.read().await?, now).await?;
        for (id, org) in late {
            let system = Actor::system(org);
            let mut tx = self.db.write().await?;
            store::next_trust(&mut tx).await?;
            // Somebody else may have been faster.
            if let Some(row) = store::consent(&mut tx, &system.org, &id).await?.filter(|row| row.state == ConsentState::Waiting) {
                self.decide(&mut tx, &system, &row, (ConsentState::Expired, ""), now).await?;
                tx.commit().await?;
                self.tell_consents(&system.org);
            }
        }
        Ok(())
    }

    fn tell_consents(&self, org: &OrgId) {
        self.bus.tell(Event::Consent { org: org.clone() });
    }
}

/// The step of an authority's life that a deed is.
pub(super) const fn step(deed: &Deed) -> Option<AuthorityStep> {
    match deed {
        Deed::Stage { .. } => Some(AuthorityStep::Stage),
        Deed::Activate { .. } => Some(AuthorityStep::Activate),
        Deed::Retire { .. } => Some(AuthorityStep::Retire),
        Deed::ClaimAuthority | Deed::ApprovalsOff | Deed::ServerKeys => None,
    }
}

/// One line without anything that controls a terminal or hides text: it is shown to whoever decides, also at the command line.
fn remark(text: &str) -> Result<String, ConsentError> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.chars().count() > MAX_REMARK || text.chars().any(unseen) { Err(ConsentError::Remark) } else { Ok(text) }
}

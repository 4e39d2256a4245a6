//! What pages, REST and the command line are told of requests for a second person: what waits, whom it would cut off, who may decide and why not.
//! Refuses to decide any of it.

use super::{Error, Pki, consent::ConsentError, consents::step, store};
use crate::access::{self, Act, Actor, allowed, may};
use wire::{
    consents::{ConsentCard, ConsentRow, ConsentsPage, Deed},
    ids::{ConsentId, OrgId, UserId},
};

impl Pki {
    /// What waits, what it would do, whom it cuts off, and what became of others; and the rule.
    pub async fn consents_page(&self, actor: &Actor) -> Result<ConsentsPage, Error> {
        may(actor, Act::Read)?;
        let now = self.clock.now();
        let may_decide = allowed(actor, Act::Authorities);
        let mut on = self.db.read().await?;
        let (approvals, admins) = (store::approvals(&mut on, &actor.org).await?, access::admins_beside(&mut on, &actor.org, "").await?);
        let server_keys = self.server_key_rule(&mut on, actor.org.as_str()).await?;
        let all = store::authority_standings(&mut on, &actor.org).await?;
        let mut waiting = Vec::new();
        for row in store::consents_waiting(&mut on, &actor.org, now).await? {
            let own = actor.user() == Some(&row.asked_by);
            let blocked = match self.void(&mut on, &actor.org, &row, &all).await? {
                Some(reason) => Some(reason.to_owned()),
                None if !may_decide => Some("Only an admin decides on it.".to_owned()),
                None => own.then(|| ConsentError::Own.fault().message),
            };
            waiting.push(ConsentCard { row, cut: 0, blocked, own });
        }
        let over = store::consents_over(&mut on, &actor.org).await?;
        drop(on);
        for card in &mut waiting {
            card.cut = self.cut_off_by(&actor.org, &card.row.deed).await?;
        }
        Ok(ConsentsPage { on: approvals, admins, server_keys, waiting, over, may_decide, at: now })
    }

    /// One request.
    pub async fn consent(&self, actor: &Actor, id: &ConsentId) -> Result<ConsentRow, Error> {
        may(actor, Act::Read)?;
        Ok(store::consent(&mut self.db.read().await?, &actor.org, id).await?.ok_or(ConsentError::NotFound)?)
    }

    /// How many devices a deed would cut off now.
    async fn cut_off_by(&self, org: &OrgId, deed: &Deed) -> Result<i64, Error> {
        let (Some(id), step) = (deed.authority(), step(deed)) else { return Ok(0) };
        match self.authority(&Actor::system(org.clone()), id).await {
            Ok(detail) => Ok(detail.actions.iter().find(|a| Some(a.step) == step).map_or(0, |a| a.cut)),
            Err(Error::NoSuchAuthority) => Ok(0),
            Err(e) => Err(e),
        }
    }

    /// How many requests wait for this admin, and not for themselves.
    pub async fn consents_waiting(&self, actor: &Actor) -> Result<i64, Error> {
        if !allowed(actor, Act::Authorities) {
            return Ok(0);
        }
        let user = actor.user().map_or("", UserId::as_str);
        Ok(store::consents_for(&mut self.db.read().await?, &actor.org, user, self.clock.now()).await?)
    }

    /// Those requests, the oldest first.
    pub(crate) async fn consents_to_decide(&self, actor: &Actor) -> Result<Vec<ConsentRow>, Error> {
        if !allowed(actor, Act::Authorities) {
            return Ok(Vec::new());
        }
        let mut waiting = store::consents_waiting(&mut self.db.read().await?, &actor.org, self.clock.now()).await?;
        waiting.retain(|row| actor.user() != Some(&row.asked_by));
        Ok(waiting)
    }
}

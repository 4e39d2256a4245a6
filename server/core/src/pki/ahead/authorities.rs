//! Authorities made ahead (K-4): keys on a token, and what roots sign on it. The same as with leaves: a transaction that lacks them is undone, whole; what
//! will be made is written down by its name; the token makes and signs while no transaction is open; and the same is decided anew and books what it finds
//! here, all or nothing. With keys of ours it is made in the transaction itself, which is a matter of microseconds.
//!
//! Owns what is made and not booked; its end is `dropping.rs`'s. Refuses to know who may have an authority.

use super::{
    super::{
        Error, Pki,
        authorities::{Plan, Product},
        store, turns,
    },
    FRESH, Lack, ToSign,
};
use crate::{db::Tx, pki::keys::KeyError};
use parking_lot::Mutex;
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

/// A plan, and in whose books it is told of when nothing comes of it.
pub(in crate::pki) struct Making {
    org: OrgId,
    pub(super) plan: Plan,
}

struct Waiting {
    plan: Plan,
    product: Arc<Product>,
    at: Timestamp,
}

/// What is made and not booked.
#[derive(Default)]
pub(in crate::pki) struct MadeAhead(Mutex<Vec<Waiting>>);

impl MadeAhead {
    /// What this plan came to, the newest, with the names it was reserved by.
    fn find(&self, plan: &Plan, now: Timestamp) -> Option<(Vec<AuthorityId>, Arc<Product>)> {
        let all = self.0.lock();
        let found = all.iter().rev().find(|one| (0..FRESH).contains(&now.since(one.at)) && one.plan == *plan)?;
        Some((found.plan.names().into_iter().map(|(id, _)| id.clone()).collect(), Arc::clone(&found.product)))
    }

    fn forget(&self, product: &Arc<Product>) {
        self.0.lock().retain(|one| !Arc::ptr_eq(&one.product, product));
    }

    fn keep(&self, plan: Plan, product: Product, now: Timestamp) {
        let mut all = self.0.lock();
        all.retain(|one| now.since(one.at) < FRESH);
        all.push(Waiting { plan, product: Arc::new(product), at: now });
    }
}

impl Pki {
    /// What this plan comes to, inside the caller's transaction, which writes it down. [`Error::ToSign`] where a token has to make or to sign it first: the
    /// transaction must be undone then, and done anew when it has (`signed_ahead!`). `org` is told when nothing comes of it.
    pub(in crate::pki) async fn made(&self, tx: &mut Tx, org: &OrgId, plan: Plan) -> Result<Arc<Product>, Error> {
        let now = self.clock.now();
        if plan.is_too_late(now) {
            return Err(Error::AuthorityExpiring);
        }
        if !plan.is_signed_slowly() && self.token_for(&plan).is_empty() {
            let product = self.forge().carry_out(&plan, now)?;
            self.journal_named(&plan.numbers()).await?;
            return Ok(Arc::new(product));
        }
        if let Some((names, product)) = self.made_ahead.find(&plan, now) {
            let mut taken = 0;
            for id in &names {
                taken += usize::from(store::take_unbooked(tx, id).await?);
            }
            if taken == names.len() {
                self.journal_named(&plan.numbers()).await?;
                return Ok(product);
            }
            // Booked by somebody else, or given up.
            self.made_ahead.forget(&product);
        }
        Err(Error::ToSign(Box::new(ToSign(Lack::Authorities(Box::new(Making { org: org.clone(), plan }))))))
    }

    /// The label of the token that makes this plan's keys; empty where none does.
    fn token_for(&self, plan: &Plan) -> &str {
        self.token.as_ref().filter(|_| !plan.keys().is_empty()).map_or("", |token| token.label())
    }

    /// Writes down what will be made, and has it made.
    pub(super) async fn make_ahead(&self, Making { org, plan }: Making) -> Result<(), Error> {
        // Before anything is written down that the token would be asked to undo.
        if let Some(trouble) =
            self.token.as_ref().filter(|_| !self.token_for(&plan).is_empty() || plan.is_signed_slowly()).and_then(|token| token.refusal())
        {
            return Err(KeyError::Token(trouble).into());
        }
        let now = self.clock.now();
        let names: Vec<AuthorityId> = plan.names().into_iter().map(|(id, _)| id.clone()).collect();
        let mut tx = self.db.write().await?;
        for (id, subject) in plan.names() {
            store::reserve_unbooked(&mut tx, id, &org, (self.token_for(&plan), &subject), (false, now)).await?;
        }
        tx.commit().await?;
        let (forge, ahead) = (self.forge(), Arc::clone(&self.made_ahead));
        let make = move || -> Result<(), Error> {
            let product = forge.carry_out(&plan, now)?;
            ahead.keep(plan, product, now);
            Ok(())
        };
        // What is late is kept when it has come, for whoever comes again.
        let outcome = self.turns.take(turns::LONGEST, make).await.map_err(|turns::Late| Error::TokenLate)?;
        if outcome.is_err()
            && let Err(error) = self.give_up(&names).await
        {
            tracing::debug!(%error, "what was not made is given up later");
        }
        outcome
    }

    async fn give_up(&self, names: &[AuthorityId]) -> Result<(), crate::db::Error> {
        let mut tx = self.db.write().await?;
        for id in names {
            store::give_up_unbooked(&mut tx, id).await?;
        }
        tx.commit().await
    }

    /// Has the key of this name destroyed on the token with this label: what it was made for came to nothing with the caller's transaction. It is not known
    /// of requests from before labels were written down; the token that is there is asked then.
    pub(in crate::pki) async fn give_up_key(
        &self,
        tx: &mut Tx,
        org: &OrgId,
        id: &AuthorityId,
        (label, subject): (&str, &str),
    ) -> Result<(), Error> {
        let ours = self.token.as_ref().map_or("", |token| token.label());
        let label = if label.is_empty() { ours } else { label };
        if !label.is_empty() {
            store::reserve_unbooked(tx, id, org, (label, subject), (true, self.clock.now())).await?;
        }
        Ok(())
    }
}

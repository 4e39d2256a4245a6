//! What the trust of an organization begins with: its root, its authorities for devices and listeners, its key of assignments and its first trust bundle; on
//! the first start, or with an organization that is made later. Owns that all of a new one's comes in the transaction of the organization itself. Refuses to
//! know what else that one has.

use super::{
    Error, Pki,
    ahead::signed_ahead,
    authorities::{Blank, ISSUING, Plan},
    names,
    profile::Kind,
    store,
};
use crate::{
    access::Actor,
    db::{Conn, Tx},
};
use wire::{
    Timestamp,
    ids::{OrgId, OrgSlug},
};

impl Pki {
    /// Makes the organization's root, device and server authority when it has none. Of instances that start at once one makes them.
    pub(super) async fn ensure_first_trust(&self, org: &OrgId) -> Result<(), Error> {
        if has_authorities(&mut self.db.read().await?, org).await? {
            return Ok(());
        }
        signed_ahead!(self, Box::pin(self.ensure_first_trust_at_once(org)).await)
    }

    async fn ensure_first_trust_at_once(&self, org: &OrgId) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Of two who start at once the second waits here and then finds the first one's. And a running server looks at it, and follows within a second.
        store::next_trust(&mut tx).await?;
        if has_authorities(&mut tx, org).await? {
            return Ok(());
        }
        let slug = store::slug(&mut tx, org).await?.ok_or(Error::NotFound)?;
        let forge = self.forge();
        let (root, under) = self.next_root(&mut tx, org, &slug, now).await?;
        let first = self.made(&mut tx, org, Plan::Root { root, under, before: None }).await?;
        forge.put_first(&mut tx, org, &first.made, now).await?;
        tx.commit().await?;
        forge.told(org);
        Ok(())
    }

    /// Takes the trust clock in the caller's transaction: before every other row that others may wait for.
    pub(crate) async fn hold_trust(&self, tx: &mut Tx) -> Result<(), Error> {
        store::next_trust(tx).await?;
        Ok(())
    }

    /// Makes the authorities of an organization with this slug and writes them down, behind [`Pki::hold_trust`], for an organization that the same
    /// transaction has put there. [`Error::ToSign`] where a token has to make them first; `actor` is whose books tell of what came to nothing.
    pub(crate) async fn put_first_trust(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        (org, slug): (&OrgId, &OrgSlug),
        now: Timestamp,
    ) -> Result<(), Error> {
        self.time_is_right()?;
        let forge = self.forge();
        let (root, under) = self.next_root(tx, org, slug.as_str(), now).await?;
        let first = self.made(tx, &actor.org, Plan::Root { root, under, before: None }).await?;
        // Before the first bundle, which has it.
        self.insert_assignment_key(tx, &Actor::system(org.clone())).await?;
        forge.put_first(tx, org, &first.made, now).await
    }

    /// A root that comes next, and under it an authority for devices and one for listeners: keys that are to be made, behind [`Pki::hold_trust`]. An
    /// organization's first are G1 and G1-1, unless the journal knows of others under its slug, of a database that was lost for example (P-7).
    pub(super) async fn next_root(&self, tx: &mut Tx, org: &OrgId, slug: &str, now: Timestamp) -> Result<(Blank, Vec<Blank>), Error> {
        let forge = self.forge();
        let (name, number) = names::next(tx, org, (slug, Kind::Root), None).await?;
        let root = forge.blank(Kind::Root, slug, (&name, number), now);
        let mut under = Vec::with_capacity(ISSUING.len());
        for kind in ISSUING {
            let (name, number) = names::next(tx, org, (slug, kind), Some(&name)).await?;
            under.push(forge.blank(kind, slug, (&name, number), now));
        }
        Ok((root, under))
    }

    /// Takes them into memory after the commit. A server in another process follows by the trust clock.
    pub(crate) async fn first_trust_is_there(&self, org: &OrgId) -> Result<(), Error> {
        self.forge().told(org);
        self.reload().await?;
        self.introduce().await;
        Ok(())
    }
}

async fn has_authorities(on: &mut impl Conn, org: &OrgId) -> Result<bool, Error> {
    Ok(store::authorities(on).await?.iter().any(|a| a.org_id == org.as_str()))
}

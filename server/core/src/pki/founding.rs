//! What the trust of a new organization begins with: its root, its authorities for devices and listeners, its key of assignments and its first trust bundle;
//! the same as the first start makes. Owns that all of it comes in the transaction of the organization itself. Refuses to know what else that one has.

use super::{Error, Pki, authorities::Made, store};
use crate::{access::Actor, db::Tx};
use wire::{Timestamp, ids::OrgId};

/// Authorities that are made and not written down yet.
pub(crate) struct FirstTrust(Box<[Made; 3]>);

impl Pki {
    /// Makes the authorities of an organization with this slug. Before the transaction that writes them down: keys take their time, on a token above all.
    pub(crate) fn first_trust(&self, slug: &str, now: Timestamp) -> Result<FirstTrust, Error> {
        self.time_is_right()?;
        Ok(FirstTrust(Box::new(self.forge().first(slug, now)?)))
    }

    /// Takes the trust clock in the caller's transaction: before every other row that others may wait for.
    pub(crate) async fn hold_trust(&self, tx: &mut Tx) -> Result<(), Error> {
        store::next_trust(tx).await?;
        Ok(())
    }

    /// Writes them down, behind [`Pki::hold_trust`], for an organization that the same transaction has put there.
    pub(crate) async fn put_first_trust(&self, tx: &mut Tx, org: &OrgId, first: &FirstTrust, now: Timestamp) -> Result<(), Error> {
        // Before the first bundle, which has it.
        self.insert_assignment_key(tx, &Actor::system(org.clone())).await?;
        self.forge().put_first(tx, org, first.0.as_slice(), now).await
    }

    /// Takes them into memory after the commit. A server in another process follows by the trust clock.
    pub(crate) async fn first_trust_is_there(&self, org: &OrgId) -> Result<(), Error> {
        self.forge().told(org);
        self.reload().await?;
        self.introduce().await;
        Ok(())
    }
}

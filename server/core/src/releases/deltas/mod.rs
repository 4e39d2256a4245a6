//! Deltas: a new file told as its difference from an older one, so that a device which has the older one downloads little. Owns which are made, when
//! they are worth it and how they are kept; refuses to know which device runs what (rollouts) and how bytes travel (the listeners).
//!
//! Nobody has to trust a delta: what a device makes of it is compared with the digest that was signed, as a whole file would be. So it is not
//! signed, and one that is wrong costs a download and nothing else.

mod codec;
mod making;

use super::{Error, Releases, store};
use crate::{
    Result,
    access::{Act, Actor, may},
};
use wire::{ids::ReleaseId, releases::DeltaRow};

/// How many releases before one are those that devices are expected to come from.
pub(super) const PREDECESSORS: i64 = 3;

impl Releases {
    /// The deltas to a release's files: which there are, which are being made, and why there is none.
    pub async fn deltas(&self, actor: &Actor, id: &ReleaseId) -> Result<Vec<DeltaRow>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        store::release(&mut on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        Ok(store::deltas_of(&mut on, &actor.org, id).await?)
    }

    /// Forgets deltas that lead to nothing a device may install, or come from what nobody has any more.
    pub(super) async fn forget_deltas(&self) -> Result<()> {
        for (target, base, own) in store::forgotten_deltas(&mut self.db.read().await?).await? {
            let mut tx = self.db.write().await?;
            store::forget_delta(&mut tx, &target, &base).await?;
            tx.commit().await?;
            if let Some(own) = own {
                self.discard_after(&own).await;
            }
        }
        Ok(())
    }
}

//! Which rollouts use a release, and who is to get it from them, for the release's page. Refuses to know who may see that, and what the release is.

use super::{Rollouts, store::uses};
use crate::Result;
use wire::{
    ids::{OrgId, ReleaseId},
    releases::ReleaseUse,
};

impl Rollouts {
    /// The rollouts that use a release, newest first; at most 50.
    pub(crate) async fn uses_of(&self, org: &OrgId, release: &ReleaseId) -> Result<Vec<ReleaseUse>> {
        Ok(uses::of(&mut self.db.read().await?, org, release).await?)
    }

    /// How many devices are to get it from rollouts that are under way.
    pub(crate) async fn assigned(&self, org: &OrgId, release: &ReleaseId) -> Result<i64> {
        Ok(uses::assigned(&mut self.db.read().await?, org, release).await?)
    }
}

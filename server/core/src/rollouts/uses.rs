//! Which and how many rollouts use a release, and who is to get it from them, for lists of releases and a release's page. Refuses to know who may see that, and what the release is.

use super::{Rollouts, store::uses};
use crate::{
    Result,
    db::{self, Conn},
};
use wire::{
    ids::{OrgId, ReleaseId, RolloutId},
    releases::{ReleaseRow, ReleaseUse},
};

/// Writes into rows of releases how many rollouts use each, in one statement for all of them.
pub(super) async fn count(on: &mut impl Conn, org: &OrgId, rows: &mut [&mut ReleaseRow]) -> Result<(), db::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let counted = uses::counted(on, org, &ids).await?;
    for row in rows {
        row.rollouts = counted.get(row.id.as_str()).copied().unwrap_or_default();
    }
    Ok(())
}

impl Rollouts {
    /// The rollouts that use a release, newest first; at most 50.
    pub(crate) async fn uses_of(&self, org: &OrgId, release: &ReleaseId) -> Result<Vec<ReleaseUse>> {
        Ok(uses::of(&mut self.db.read().await?, org, release).await?)
    }

    /// The rollouts of a recalled release whose request for approval is void, or will be in a moment, newest first; at most 50.
    pub(crate) async fn voided_by_recall(&self, org: &OrgId, release: &ReleaseId) -> Result<Vec<RolloutId>> {
        Ok(uses::asked_for(&mut self.db.read().await?, org, release).await?)
    }

    /// Writes into rows of releases how many rollouts use each.
    pub(crate) async fn count_uses(&self, org: &OrgId, rows: &mut [&mut ReleaseRow]) -> Result<()> {
        Ok(count(&mut self.db.read().await?, org, rows).await?)
    }

    /// How many devices are to get it from rollouts that are under way.
    pub(crate) async fn assigned(&self, org: &OrgId, release: &ReleaseId) -> Result<i64> {
        Ok(uses::assigned(&mut self.db.read().await?, org, release).await?)
    }
}

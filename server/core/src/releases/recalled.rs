//! Releases that were recalled: why, who runs them all the same, and what these can be brought to. Refuses to know which rollouts that halts.

use super::{
    Error, Releases,
    store::{self, StillRun},
};
use crate::{
    db::Conn,
    kept::{Kept, kept_or},
};
use std::sync::Arc;
use wire::{
    ids::OrgId,
    releases::{GoodRelease, Recalled, ReleaseRow},
    selector::{Field, Selector},
};

/// By organization, which recalled releases its devices run.
pub(super) type KeptRecalls = Arc<Kept<OrgId, Vec<StillRun>>>;
/// Most of them that are told.
const TOLD: i64 = 20;

/// The recall of a release, without the rollouts that it halts; none where it was not recalled.
pub(super) async fn of(on: &mut impl Conn, org: &OrgId, row: &ReleaseRow) -> Result<Option<Recalled>, Error> {
    let Some((at, by, reason)) = store::recall_of(on, org, &row.id).await? else { return Ok(None) };
    let good = store::good(on, org, (&row.device_type, row.sequence)).await?;
    let back = good.map(|(release, version, sequence)| GoodRelease { release, version, sign_again: sequence < row.sequence });
    Ok(Some(Recalled {
        at,
        by,
        reason,
        running: row.installed,
        selector: runners(&row.device_type, &row.version),
        halted: Vec::new(),
        voided: Vec::new(),
        stopped: Vec::new(),
        back,
    }))
}

/// The selector of the devices that run a version.
fn runners(device_type: &str, version: &str) -> String {
    let is = |field, value: &str| Selector::Is(field, vec![value.to_owned()]);
    Selector::all(vec![is(Field::Type, device_type), is(Field::Version, version)]).to_string()
}

impl Releases {
    /// Recalled releases that devices run all the same, those that most run first, for the overview of somebody who may read. Counted through the fleet, so it
    /// may be some moments old there.
    pub(crate) async fn still_run(&self, org: &OrgId) -> Result<Vec<StillRun>, Error> {
        let count = || {
            let (db, org) = (self.db.clone(), org.clone());
            async move { Ok::<_, Error>(store::still_run(&mut db.read().await?, &org, TOLD).await?) }
        };
        kept_or((&self.recalls, org.clone(), 0), (&self.db, &self.clock), count).await
    }
}

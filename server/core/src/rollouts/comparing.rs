//! What differs between a plan and the plan that was approved last for the same device type: what an approver has to look at.

use super::{
    Rollouts,
    difference::{Plan, between},
    drafting::release_back,
    store::{lists, records::Record},
};
use crate::{
    Result,
    db::{Conn, Read},
};
use wire::{
    Timestamp,
    ids::OrgId,
    rollouts::{ApprovedPlan, PlanChanges, RolloutSpec},
    states::RolloutState,
};

impl Rollouts {
    /// Against the plan of another rollout that was approved last, as it was approved. Nothing to compare with on the first plan of a type.
    pub(super) async fn changed(&self, on: &mut Read, record: &Record) -> Result<PlanChanges> {
        let open = matches!(record.state(), RolloutState::Draft | RolloutState::WaitingForApproval | RolloutState::Rejected);
        // Of a plan that is approved itself, what its last approver saw.
        let own = if open { Vec::new() } else { lists::decisions(on, &record.id).await? };
        let own = own.into_iter().find(|d| d.approved && !d.void && d.digest == record.digest);
        let before = own.map_or(Timestamp(i64::MAX), |d| d.at);
        let Some(last) = lists::approved_before(on, record, before).await? else {
            return Ok(PlanChanges { since: None, lines: Vec::new() });
        };
        let decisions = lists::decisions(on, &last.id).await?;
        let Some(decision) = decisions.into_iter().find(|d| d.approved && !d.void && d.digest == last.digest) else {
            return Ok(PlanChanges { since: None, lines: Vec::new() });
        };
        let (old, new) = (label(&last), label(record));
        let (old_back, new_back) = (back_label(on, &last.org, &last.spec).await?, back_label(on, &record.org, &record.spec).await?);
        let lines = between(
            Plan { spec: &last.spec, release: &old, back: old_back.as_deref() },
            Plan { spec: &record.spec, release: &new, back: new_back.as_deref() },
        );
        let since = ApprovedPlan {
            rollout: last.id,
            name: last.spec.name,
            version: last.version,
            approved_at: decision.at,
            approved_by: decision.by_name,
        };
        Ok(PlanChanges { since: Some(since), lines })
    }
}

/// The release that a plan goes back to, as people name it; none where it has no way back, or there is no such release any more.
pub(super) async fn back_label(on: &mut impl Conn, org: &OrgId, spec: &RolloutSpec) -> Result<Option<String>> {
    Ok(release_back(on, org, spec).await?.map(|r| format!("{} {}", r.row.device_type, r.row.version)))
}

/// A rollout's release as people name it.
fn label(record: &Record) -> String {
    format!("{} {}", record.device_type, record.version)
}

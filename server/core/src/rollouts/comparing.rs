//! What a plan does otherwise than the plan that was approved last for the same device type: what an approver has to look at.

use super::{
    Rollouts,
    difference::{Plan, between},
    store::{lists, records::Record},
};
use crate::{Result, db::Read};
use wire::{
    Timestamp,
    rollouts::{ApprovedPlan, PlanChanges},
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
        let lines = between(Plan { spec: &last.spec, release: &old }, Plan { spec: &record.spec, release: &new });
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

/// A rollout's release as people name it.
fn label(record: &Record) -> String {
    format!("{} {}", record.device_type, record.version)
}

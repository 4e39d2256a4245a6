//! A retry by hand of those that were chosen by how their updates ended, on both engines.

use super::{Scene, fault, stage};
use crate::{Result, db::EngineKind, rollouts::Saw};
use rstest::rstest;
use wire::{
    FaultKind,
    ids::RolloutId,
    rollouts::{EndClass, GateSpec, Reach, StageSpec, Verb},
    states::UpdateState,
};

impl Scene {
    /// Oli has those tried again whose updates ended like this.
    pub(super) async fn retry(&self, id: &RolloutId, classes: &[EndClass]) -> Result<()> {
        self.rollouts().act_on(&self.oli, id, Verb::Retry, Saw { classes: Some(classes), ..Saw::default() }, "").await
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_retry_is_of_those_whose_updates_ended_as_was_chosen(#[case] kind: EngineKind) {
    use {EndClass as E, UpdateState as U};
    let s = Scene::open(kind, 7).await;
    let gate = GateSpec { success_percent: 0.0, error_percent: 100.0, ..GateSpec::default() };
    let id = s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    // The last one stays under way, so that the stage runs on.
    for ((device, offer), ends) in offered.iter().zip([U::Failed, U::Failed, U::Reverted, U::Reverted, U::Rejected, U::Downloading]) {
        s.say(*device, &offer.update_id, ends).await.unwrap();
    }

    let nobody = fault(s.retry(&id, &[]).await);
    assert_eq!((nobody.kind, nobody.field.as_deref()), (FaultKind::Invalid, Some("classes")));
    assert!(nobody.message.ends_with("failed, timed_out, reverted, rejected, cancelled."), "{}", nobody.message);
    let silent = fault(s.retry(&id, &[E::TimedOut]).await);
    assert_eq!((silent.code.as_str(), silent.message.as_str()), ("not_now", "There is no device that fell silent."));
    let saw = Saw { classes: Some(&[E::Failed]), ..Saw::default() };
    let other = fault(s.rollouts().act_on(&s.oli, &id, Verb::Pause, saw, "").await);
    assert_eq!((other.kind, other.field.as_deref()), (FaultKind::Invalid, Some("classes")), "a pause is of nobody");
    assert_eq!(s.detail(&id).await.row.counts.waiting, 0, "nothing was changed");

    s.retry(&id, &[E::Rejected, E::Reverted, E::Reverted]).await.unwrap();
    let said = async |text: &str| s.detail(&id).await.history.iter().any(|e| e.text == text);
    assert!(said("3 devices to try again, of those that went back or refused it, by oli").await);
    let counts = s.checked(&id).await.totals();
    assert_eq!((counts.waiting, counts.failed, counts.reverted, counts.rejected, counts.total), (3, 2, 0, 0, 7));
    let again = fault(s.retry(&id, &[E::Rejected, E::Reverted]).await);
    assert_eq!(again.message, "There is no device that went back or refused it.", "they wait already");
    let entries = s.w.fleet.access().audit_page(&s.ada, None).await.unwrap().entries.items;
    let entry = entries.iter().find(|e| e.action == "rollout.retry").unwrap();
    assert!(entry.object == id.as_str() && entry.detail.contains("reverted") && entry.detail.contains("rejected"), "{entry:?}");
    assert!(!entry.detail.contains("failed"), "{entry:?}");

    // They are offered it under new ids; who failed is not.
    let now = s.poll_all().await;
    for (at, (device, before)) in offered.iter().enumerate() {
        let found = now.iter().find(|(d, _)| d == device).map(|(_, offer)| offer.update_id != before.update_id);
        assert_eq!(found, [None, None, Some(true), Some(true), Some(true), Some(false), Some(false)][at], "{at}");
    }
    // Where nobody chooses it is of those that failed or fell silent.
    s.rollouts().act(&s.oli, &id, Verb::Retry, None, "").await.unwrap();
    assert!(said("2 devices to try again, by oli").await);
    assert_eq!((s.everybody_updates().await, s.checked(&id).await.totals().succeeded), (7, 7));
    s.checked(&id).await;
}

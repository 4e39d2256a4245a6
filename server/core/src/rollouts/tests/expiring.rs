//! Requests that nobody decides on, and approvals of what does not begin.

use super::{Scene, fault, stage};
use crate::{access::Act, db::EngineKind};
use rstest::rstest;
use std::slice;
use wire::{
    FaultKind,
    access::AuditQuery,
    rollouts::{InboxQuery, InboxTab, NewApprovalTerms, Reach, RolloutSpec, Verb},
    states::{Role, RolloutState},
};

const DAY: i64 = 24 * 3_600_000;

const TERMS: NewApprovalTerms =
    NewApprovalTerms { request_days: 7, start_days: 30, review_hours: 24, break_glass: false, break_glass_from: None };

fn spec(s: &Scene) -> RolloutSpec {
    s.spec(vec![stage(Reach::Percent(100.0))])
}

impl Scene {
    /// The actions in the audit log, newest first.
    pub(super) async fn audited(&self) -> Vec<String> {
        let page = self.w.fleet.access().audit_page(&self.ada, None).await.unwrap();
        page.entries.items.into_iter().map(|e| e.action).collect()
    }

    /// What the audit log says of the newest entry of this action.
    pub(super) async fn booked(&self, action: &str) -> serde_json::Value {
        let query = AuditQuery { action: action.to_owned(), ..AuditQuery::default() };
        let entry = self.w.fleet.access().find_audit(&self.ada, &query).await.unwrap().entries.items.remove(0);
        serde_json::from_str(&entry.detail).unwrap()
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_request_that_nobody_decides_on_is_a_draft_again(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let (eve, _) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    room.set_quorum(&s.ada, 2).await.unwrap();
    let id = room.draft(&s.oli, spec(&s)).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    let sent = s.detail(&id).await;
    let left = s.inbox(&s.ada).await.waiting[0].standing.decide_by.unwrap();
    assert_eq!(left, s.w.clock_now().plus(7 * DAY));
    // One of two is no decision, and gives no more time.
    s.w.clock.advance(6 * DAY);
    room.approve(&eve, &id, &sent.digest, "fine").await.unwrap();
    s.w.clock.advance(DAY - 1);
    room.tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
    s.w.clock.advance(1);
    // Before any worker has come by, an approval is too late already.
    let refused = fault(room.approve(&s.ada, &id, &sent.digest, "just in time").await);
    assert!(refused.message.starts_with("The time to decide on it is over"), "{refused:?}");
    let blocked = s.detail(&id).await.actions.into_iter().find(|a| a.verb == Verb::Approve).unwrap().blocked;
    assert_eq!(blocked.as_deref(), Some(refused.message.as_str()), "the button says what the order answers");
    let (one, two) = tokio::join!(room.tick(), room.tick());
    assert!(one.is_ok() && two.is_ok());
    let expired = s.detail(&id).await;
    assert_eq!((expired.row.state, expired.row.summary.contains("has expired")), (RolloutState::Draft, true));
    assert!(expired.approvals.iter().all(|a| a.void), "what was given is void");
    assert_eq!(s.audited().await.iter().filter(|a| *a == "rollout.request_expired").count(), 1);
    // Sent again, it begins anew: with its own time, and without the old approval.
    room.submit(&s.oli, &id).await.unwrap();
    room.approve(&s.ada, &id, &sent.digest, "fine").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
    assert_eq!(s.detail(&id).await.standing.unwrap().decide_by, Some(s.w.clock_now().plus(7 * DAY)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_recall_ends_the_request_for_approval(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let (eve, _) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    room.set_quorum(&s.ada, 2).await.unwrap();
    let id = room.draft(&s.oli, spec(&s)).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    let sent = s.detail(&id).await;
    room.approve(&eve, &id, &sent.digest, "fine").await.unwrap();
    s.w.fleet.releases().recall(&s.ada, &s.release, "it burns").await.unwrap();
    let told = Box::pin(s.w.fleet.release_detail(&s.ada, &s.release)).await.unwrap().recalled.unwrap();
    assert_eq!((told.voided, told.halted, told.stopped), (vec![id.clone()], vec![], vec![]), "whoever recalls it is told");
    // Before any worker has come by, nobody can decide on it.
    let refused = fault(room.approve(&s.ada, &id, &sent.digest, "me too").await);
    assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Conflict, "not_now"), "{refused:?}");
    assert!(refused.message.starts_with("The release was recalled"), "{refused:?}");
    let card = s.inbox(&s.ada).await.waiting.remove(0);
    assert_eq!(card.blocked.as_deref(), Some(refused.message.as_str()), "the card says what the order answers");
    let (one, two) = tokio::join!(room.tick(), room.tick());
    assert!(one.is_ok() && two.is_ok());
    let voided = async || Box::pin(s.w.fleet.release_detail(&s.ada, &s.release)).await.unwrap().recalled.unwrap().voided;
    assert_eq!(voided().await, slice::from_ref(&id), "and whoever looks later is told as well");
    let void = s.detail(&id).await;
    let why = "The request for approval is void: the release was recalled";
    assert_eq!((void.row.state, void.row.summary.as_str(), void.history[0].text.as_str()), (RolloutState::Draft, why, why));
    assert!(void.approvals.iter().all(|a| a.void), "what was given is void");
    assert_eq!(s.audited().await.iter().filter(|a| *a == "rollout.request_void").count(), 1);
    let page = room.approvals(&s.ada, &InboxQuery { tab: InboxTab::Void, cursor: None }).await.unwrap();
    assert_eq!((page.counts.waiting, page.counts.void, page.asked[0].rollout.summary.as_str()), (0, 1, why));
    assert!(fault(room.approve(&s.ada, &id, &sent.digest, "me too").await).message.starts_with("It has not been sent"));
    // It is not sent again as it is, and goes out with another release.
    assert_eq!(fault(room.submit(&s.oli, &id).await).field.as_deref(), Some("release"));
    let release = s.publish("3.0.0", 3).await;
    room.edit(&s.oli, &id, void.generation, RolloutSpec { release, ..spec(&s) }).await.unwrap();
    assert_eq!(voided().await, [], "it has another release now");
    room.submit(&s.oli, &id).await.unwrap();
    room.tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_a_recall_and_the_last_approval_at_once_one_is_first(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    for n in 3..9_u64 {
        let release = s.publish(&format!("{n}.0.0"), n).await;
        let id = room.draft(&s.oli, RolloutSpec { release: release.clone(), ..spec(&s) }).await.unwrap();
        room.submit(&s.oli, &id).await.unwrap();
        let digest = s.detail(&id).await.digest;
        let releases = s.w.fleet.releases();
        let (yes, recalled) = tokio::join!(room.approve(&s.ada, &id, &digest, "yes"), releases.recall(&s.ada, &release, "it burns"));
        recalled.unwrap();
        for _ in 0..3 {
            room.tick().await.unwrap();
        }
        let state = s.state(&id).await;
        if yes.is_ok() {
            // Approved before the recall: it had begun by then, or never does.
            assert!(matches!(state, RolloutState::Halted | RolloutState::Stopped), "{state}");
        } else {
            assert_eq!((state, fault(yes).code.as_str()), (RolloutState::Draft, "not_now"));
        }
        assert_eq!(s.poll_all().await.len(), 0, "nobody is offered it");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_approval_of_what_does_not_begin_expires(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let at = s.w.clock_now().plus(20 * DAY);
    let late = RolloutSpec { start_at: Some(s.w.clock_now().plus(30 * DAY)), ..spec(&s) };
    let id = room.draft(&s.oli, late).await.unwrap();
    assert_eq!(fault(room.submit(&s.oli, &id).await).field.as_deref(), Some("start_at"), "its approval would expire before it begins");
    let id = s.approved(RolloutSpec { start_at: Some(at), ..spec(&s) }).await;
    let scheduled = s.detail(&id).await;
    assert_eq!((scheduled.row.state, scheduled.start_by), (RolloutState::Scheduled, Some(s.w.clock_now().plus(30 * DAY))));
    // The server was away at its time, and comes back behind the end of its approval.
    s.w.clock.advance(30 * DAY);
    let refused = fault(room.act(&s.ada, &id, Verb::Start, None, "").await);
    assert!(refused.message.contains("has expired"), "{refused:?}");
    assert_eq!(s.poll_all().await.len(), 0);
    room.tick().await.unwrap();
    let expired = s.detail(&id).await;
    assert_eq!((expired.row.state, expired.start_by), (RolloutState::Draft, None));
    assert!(expired.approvals.iter().all(|a| a.void));
    assert!(s.audited().await.contains(&"rollout.approval_expired".to_owned()));
    assert_eq!(s.poll_all().await.len(), 0, "what is not approved does not run");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_has_begun_never_expires_and_zero_is_for_ever(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let running = s.approved(spec(&s)).await;
    assert_eq!(fault(room.set_approval_terms(&s.oli, TERMS).await).kind, FaultKind::Forbidden);
    for (wrong, field) in [
        (NewApprovalTerms { request_days: 366, ..TERMS }, "request_days"),
        (NewApprovalTerms { start_days: 366, ..TERMS }, "start_days"),
        (NewApprovalTerms { review_hours: 0, ..TERMS }, "review_hours"),
    ] {
        assert_eq!(fault(room.set_approval_terms(&s.ada, wrong).await).field.as_deref(), Some(field));
    }
    let before = room.draft(&s.oli, spec(&s)).await.unwrap();
    room.submit(&s.oli, &before).await.unwrap();
    let terms = room.set_approval_terms(&s.ada, NewApprovalTerms { request_days: 0, start_days: 0, ..TERMS }).await.unwrap();
    assert_eq!((terms.request_days, terms.break_glass, terms.break_glass_from), (0, false, None));
    let waits = room.draft(&s.oli, spec(&s)).await.unwrap();
    room.submit(&s.oli, &waits).await.unwrap();
    assert_eq!(s.detail(&waits).await.standing.unwrap().decide_by, None);
    let at = s.w.clock_now().plus(300 * DAY);
    let scheduled = s.approved(RolloutSpec { start_at: Some(at), ..spec(&s) }).await;
    s.w.clock.advance(200 * DAY);
    room.tick().await.unwrap();
    assert_eq!(s.state(&waits).await, RolloutState::WaitingForApproval);
    assert_eq!(s.state(&scheduled).await, RolloutState::Scheduled);
    assert_eq!(s.state(&before).await, RolloutState::Draft, "it keeps the time that it was sent with");
    assert_ne!(s.state(&running).await, RolloutState::Draft);
    assert_eq!(Act::BreakGlass.least(), Role::Admin);
}

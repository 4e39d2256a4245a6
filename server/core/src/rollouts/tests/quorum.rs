//! Several approvals: how many it takes, from when on, and whose count.

use super::{Scene, approval::two_stages, fault};
use crate::db::EngineKind;
use rstest::rstest;
use wire::{
    FaultKind,
    rollouts::{InboxQuery, InboxTab, Verb},
    states::{Role, RolloutState},
};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn several_people_approve_where_the_organization_asks_for_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let room = s.rollouts();
    assert_eq!(fault(room.set_quorum(&s.oli, 2).await).kind, FaultKind::Forbidden);
    for wrong in [0, 6] {
        assert_eq!(fault(room.set_quorum(&s.ada, wrong).await).field.as_deref(), Some("needed"));
    }
    let refused = fault(room.set_quorum(&s.ada, 2).await);
    assert!(refused.message.contains("take 3 admins") && refused.message.contains("there is 1"), "{refused:?}");
    let (eve, max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    let waits = room.draft(&s.oli, s.spec(two_stages())).await.unwrap();
    room.submit(&s.oli, &waits).await.unwrap();
    assert_eq!(room.set_quorum(&s.ada, 2).await.unwrap().needed, 2);

    let id = room.draft(&s.oli, s.spec(two_stages())).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    room.approve(&eve, &id, &digest, "looks good").await.unwrap();
    let half = s.detail(&id).await;
    assert_eq!((half.row.state, half.row.stage), (RolloutState::WaitingForApproval, 0));
    assert!(half.row.summary.ends_with("; waits for somebody else"), "{}", half.row.summary);
    s.w.clock.advance(60_000);
    room.tick().await.unwrap();
    assert_eq!(s.poll_all().await.len(), 0, "half an approval is none");
    assert!(fault(room.approve(&eve, &id, &digest, "again").await).message.starts_with("You have approved it"));
    assert_eq!((room.nav_counts(&eve).await.unwrap().1, room.nav_counts(&max).await.unwrap().1), (1, 2));
    let inbox = s.inbox(&max).await;
    let card = inbox.waiting.iter().find(|c| c.rollout.id == id).unwrap();
    let names: Vec<_> = card.approved.iter().map(|a| (a.by_name.as_str(), a.remark.as_str())).collect();
    assert_eq!((card.standing.needed, names, card.blocked.clone()), (2, vec![("eve", "looks good")], None));
    let done = room.approvals(&max, &InboxQuery { tab: InboxTab::Done, cursor: None }).await.unwrap();
    assert!(done.asked.iter().all(|r| r.rollout.id != id));
    // Two at once: of one generation only one counts.
    let (one, two) = tokio::join!(room.approve(&max, &id, &digest, "and me"), room.approve(&s.ada, &id, &digest, "and me"));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
    let detail = s.detail(&id).await;
    assert_eq!((detail.row.state, detail.approvals.len()), (RolloutState::Running, 2));

    // Who waited already keeps the number.
    let digest = s.detail(&waits).await.digest;
    room.approve(&max, &waits, &digest, "fine").await.unwrap();
    assert_eq!(s.detail(&waits).await.row.state, RolloutState::Running);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn fewer_approvals_are_enough_a_day_later(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let room = s.rollouts();
    for name in ["eve", "max"] {
        s.w.person(name, Role::Admin).await;
    }
    room.set_quorum(&s.ada, 2).await.unwrap();
    let lowered = room.set_quorum(&s.ada, 1).await.unwrap();
    assert_eq!((lowered.needed, lowered.lowered.unwrap().needed), (2, 1));
    let needed = async || {
        let id = room.draft(&s.oli, s.spec(two_stages())).await.unwrap();
        room.submit(&s.oli, &id).await.unwrap();
        s.inbox(&s.ada).await.waiting.iter().find(|c| c.rollout.id == id).unwrap().standing.needed
    };
    assert_eq!(needed().await, 2);
    s.w.clock.advance(24 * 3_600_000 - 1);
    assert_eq!(needed().await, 2);
    s.w.clock.advance(1);
    assert_eq!(needed().await, 1);
    assert_eq!(room.quorum(&s.oli).await.unwrap().lowered, None);
    room.set_quorum(&s.ada, 3).await.unwrap_err();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_approval_of_somebody_who_may_not_approve_any_more_does_not_count(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let room = s.rollouts();
    let (eve, max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    room.set_quorum(&s.ada, 2).await.unwrap();
    let id = room.draft(&s.oli, s.spec(two_stages())).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    room.approve(&eve, &id, &digest, "looks good").await.unwrap();
    let shown = async || s.detail(&id).await.standing.unwrap();
    assert_eq!((shown().await.given, shown().await.missing), (1, 1));
    s.w.fleet.access().set_role(&s.ada, eve.user().unwrap(), Role::Operator).await.unwrap();
    assert_eq!((shown().await.given, shown().await.missing), (0, 2), "what is shown is what counts");
    let inbox = s.inbox(&max).await;
    assert_eq!(inbox.waiting[0].approved[0].uncounted.as_deref(), Some("not an admin any more"));
    room.approve(&max, &id, &digest, "me too").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
    // Nor does one who is switched off.
    s.w.fleet.access().disable_user(&s.ada, max.user().unwrap()).await.unwrap();
    assert!(shown().await.stuck.is_some(), "too few are left");
    s.w.fleet.access().set_role(&s.ada, eve.user().unwrap(), Role::Admin).await.unwrap();
    assert_eq!((shown().await.given, shown().await.stuck), (1, None), "eve is what she was");
    room.approve(&s.ada, &id, &digest, "and me").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_is_made_an_admin_afterwards_does_not_approve_what_was_sent_before(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let room = s.rollouts();
    let id = room.draft(&s.oli, s.spec(two_stages())).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    let puppet = s.w.person("puppet", Role::Admin).await;
    assert_eq!(room.nav_counts(&puppet).await.unwrap().1, 0);
    let refused = fault(room.approve(&puppet, &id, &digest, "fine").await);
    assert!(refused.message.starts_with("You became an admin after it was sent"), "{refused:?}");
    let action = |detail: &wire::rollouts::RolloutDetail, verb| detail.actions.iter().find(|a| a.verb == verb).unwrap().blocked.clone();
    let theirs = room.detail(&puppet, &id).await.unwrap();
    assert!(action(&theirs, Verb::Approve).is_some() && action(&theirs, Verb::Reject).is_none(), "a no needs no standing");
    // Also not through the author's second account, when the author's own was switched off meanwhile.
    s.w.fleet.access().disable_user(&puppet, s.ada.user().unwrap()).await.unwrap();
    assert!(s.detail(&id).await.standing.unwrap().stuck.is_some());
    assert_eq!(fault(room.approve(&puppet, &id, &digest, "fine").await).code, "not_now");
    // Sent again, it is theirs to decide.
    let detail = s.detail(&id).await;
    room.edit(&s.oli, &id, detail.generation, detail.spec.clone()).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    room.approve(&puppet, &id, &digest, "fine").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running);
}

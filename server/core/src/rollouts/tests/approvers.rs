//! Groups of approvers, rules that name them, and the ways around them.

use super::{Scene, fault, stage};
use crate::{
    access::{Actor, Who},
    db::EngineKind,
    entropy::{Entropy, SeededEntropy},
};
use rstest::rstest;
use wire::{
    FaultKind, Timestamp,
    ids::{ApproverGroupId, OrgId},
    rollouts::{ApprovalRule, NewApproverGroup, Reach, RolloutSpec, Share},
    states::{Role, RolloutState},
};

const DAY: i64 = 24 * 3_600_000;

fn spec(s: &Scene) -> RolloutSpec {
    s.spec(vec![stage(Reach::Percent(100.0))])
}

fn rule(needed: u32, from: &[(&ApproverGroupId, u32)]) -> ApprovalRule {
    ApprovalRule { needed, from: from.iter().map(|(g, n)| Share { group: (*g).clone(), at_least: *n }).collect() }
}

impl Scene {
    async fn group(&self, name: &str, members: &[&Actor]) -> ApproverGroupId {
        let members = members.iter().map(|a| a.user().unwrap().clone()).collect();
        self.rollouts().create_approver_group(&self.ada, NewApproverGroup { name: name.into(), members }).await.unwrap().id
    }

    async fn put(&self, group: &ApproverGroupId, members: &[&Actor]) {
        let members: Vec<_> = members.iter().map(|a| a.user().unwrap().clone()).collect();
        self.rollouts().set_approvers(&self.ada, group, &members).await.unwrap();
    }

    /// Something that oli has sent for approval.
    async fn sent(&self) -> (wire::ids::RolloutId, wire::ids::Digest) {
        let id = self.rollouts().draft(&self.oli, spec(self)).await.unwrap();
        self.rollouts().submit(&self.oli, &id).await.unwrap();
        let digest = self.detail(&id).await.digest;
        (id, digest)
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_approval_of_a_group_is_one_of_somebody_in_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    let (eve, max, sam) =
        (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await, s.w.person("sam", Role::Admin).await);
    assert_eq!(
        fault(room.create_approver_group(&s.oli, NewApproverGroup { name: "x".into(), members: vec![] }).await).kind,
        FaultKind::Forbidden
    );
    let hidden = NewApproverGroup { name: "saf\u{202e}ety".into(), members: vec![] };
    assert_eq!(fault(room.create_approver_group(&s.ada, hidden).await).field.as_deref(), Some("name"));
    assert_eq!(fault(room.set_rule(&s.ada, "rad\u{200b}io", ApprovalRule::plain(2)).await).field.as_deref(), Some("device_type"));
    let safety = s.group("safety", &[&sam]).await;
    for wrong in [rule(0, &[]), rule(6, &[]), rule(1, &[(&safety, 2)]), rule(2, &[(&safety, 0)]), rule(3, &[(&safety, 1), (&safety, 1)])] {
        assert_eq!(fault(room.set_rule(&s.ada, "", wrong).await).kind, FaultKind::Invalid);
    }
    let refused = fault(room.set_rule(&s.ada, "", rule(2, &[(&safety, 2)])).await);
    assert!(refused.message.contains("1 of them in safety"), "one is in it, two are asked for: {refused:?}");
    assert_eq!(fault(room.set_rule(&s.oli, "", rule(2, &[(&safety, 1)])).await).kind, FaultKind::Forbidden);
    let rows = room.set_rule(&s.ada, "", rule(2, &[(&safety, 1)])).await.unwrap();
    assert_eq!((rows[0].rule.clone(), rows[0].unfulfillable.clone()), (rule(2, &[(&safety, 1)]), None));
    assert!(room.approver_groups(&s.oli).await.unwrap()[0].named);

    let (id, digest) = s.sent().await;
    let standing = s.detail(&id).await.standing.unwrap();
    assert_eq!((standing.needed, standing.from[0].name.as_str(), standing.from[0].at_least), (2, "safety", 1));
    for approver in [&s.ada, &eve, &max] {
        room.approve(approver, &id, &digest, "fine").await.unwrap();
        assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval, "as many as there may be, and nobody of safety");
    }
    let standing = s.detail(&id).await.standing.unwrap();
    assert_eq!((standing.given, standing.missing, standing.from[0].given), (3, 1, 0));
    room.approve(&sam, &id, &digest, "safe").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_draft_says_which_approval_it_will_take_and_sending_asks_for_that(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    let (sam, _max) = (s.w.person("sam", Role::Admin).await, s.w.person("max", Role::Admin).await);
    let id = room.draft(&s.oli, spec(&s)).await.unwrap();
    let plain = s.detail(&id).await.ahead.unwrap();
    assert_eq!((plain.needed, plain.people, plain.from.len(), plain.unfulfillable), (1, 3, 0, None));

    // An admin's own draft: without its author one of the group is left.
    let safety = s.group("safety", &[&s.ada, &sam]).await;
    room.set_rule(&s.ada, "gateway", rule(2, &[(&safety, 2)])).await.unwrap();
    let own = room.draft(&s.ada, spec(&s)).await.unwrap();
    let ahead = s.detail(&own).await.ahead.unwrap();
    let why = ahead.unfulfillable.clone().unwrap();
    assert_eq!((ahead.needed, ahead.people, ahead.from[0].name.as_str(), ahead.from[0].people), (2, 2, "safety", 1));
    assert_eq!(fault(room.submit(&s.ada, &own).await).message, why, "said before in the words of the refusal");

    // For somebody else it is enough, and what was shown is what is asked for.
    let ahead = s.detail(&id).await.ahead.unwrap();
    assert_eq!((ahead.needed, ahead.people, ahead.from[0].at_least, ahead.unfulfillable), (2, 3, 2, None));
    assert!(ahead.approvers.iter().filter(|a| a.groups == ["safety"]).count() == 2, "{:?}", ahead.approvers);
    room.submit(&s.oli, &id).await.unwrap();
    let sent = s.detail(&id).await;
    let standing = sent.standing.unwrap();
    assert_eq!((sent.ahead, standing.needed, standing.from[0].at_least), (None, 2, 2));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn neither_an_author_in_a_group_nor_one_person_in_two_goes_around_a_rule(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    let (eve, max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    let (safety, legal) = (s.group("safety", &[&s.ada, &eve]).await, s.group("legal", &[&eve, &max]).await);
    room.set_rule(&s.ada, "", rule(2, &[(&safety, 1), (&legal, 1)])).await.unwrap();

    // The author is in the group, and can't approve for it.
    let id = room.draft(&s.ada, spec(&s)).await.unwrap();
    room.submit(&s.ada, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    assert_eq!(fault(room.approve(&s.ada, &id, &digest, "safe").await).code, "own_rollout");
    // One person in both groups is one person.
    room.approve(&eve, &id, &digest, "fine").await.unwrap();
    assert_eq!(s.detail(&id).await.standing.map(|t| (t.given, t.missing)), Some((1, 1)));
    assert!(fault(room.approve(&eve, &id, &digest, "and for legal").await).message.starts_with("You have approved it"));
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
    room.approve(&max, &id, &digest, "fine").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running, "eve for safety, max for legal");

    // Without eve nobody of safety is left beside its author: it is not even sent.
    s.w.fleet.access().set_role(&s.ada, eve.user().unwrap(), Role::Operator).await.unwrap();
    let id = room.draft(&s.ada, spec(&s)).await.unwrap();
    let refused = fault(room.submit(&s.ada, &id).await);
    assert!(
        refused.message.contains("2 approvals, 1 of them by") && refused.message.contains("0 of them in safety"),
        "{}",
        refused.message
    );
    let groups = room.approver_groups(&s.ada).await.unwrap();
    let shown = groups.iter().find(|g| g.name == "safety").unwrap();
    assert!(shown.members.iter().any(|m| m.name == "eve" && !m.approves), "she stays, and does not count: {shown:?}");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn nobody_puts_themselves_into_the_group_that_is_asked(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    let (eve, sam) = (s.w.person("eve", Role::Admin).await, s.w.person("sam", Role::Admin).await);
    let safety = s.group("safety", &[&sam]).await;
    room.set_rule(&s.ada, "", rule(1, &[(&safety, 1)])).await.unwrap();
    let (before, digest) = s.sent().await;
    s.put(&safety, &[&sam, &eve]).await;
    room.approve(&eve, &before, &digest, "as safety").await.unwrap();
    assert_eq!(s.state(&before).await, RolloutState::WaitingForApproval, "she was not in it when it was sent");
    // Not for one that is sent now either; a day later she is.
    let (now, digest_now) = s.sent().await;
    room.approve(&eve, &now, &digest_now, "as safety").await.unwrap();
    assert_eq!(s.state(&now).await, RolloutState::WaitingForApproval);
    s.w.clock.advance(DAY);
    assert_eq!(s.state(&now).await, RolloutState::WaitingForApproval, "what was sent keeps its people");
    let (later, digest_later) = s.sent().await;
    room.approve(&eve, &later, &digest_later, "as safety").await.unwrap();
    assert_eq!(s.state(&later).await, RolloutState::Running);
    // Who is taken out does not count at once.
    s.put(&safety, &[&eve]).await;
    room.approve(&sam, &now, &digest_now, "safe").await.unwrap();
    assert_eq!(s.state(&now).await, RolloutState::WaitingForApproval);
    assert!(s.detail(&now).await.standing.unwrap().stuck.is_some());

    // Nor is the rule, or the group, taken away in one go.
    assert_eq!(fault(room.delete_approver_group(&s.ada, &safety).await).code, "not_now");
    let rows = room.set_rule(&s.ada, "", ApprovalRule::plain(1)).await.unwrap();
    assert_eq!((rows[0].rule.from.len(), rows[0].weaker.is_some()), (1, true));
    let other = s.group("mine", &[&s.ada]).await;
    let rows = room.set_rule(&s.ada, "", rule(1, &[(&other, 1)])).await.unwrap();
    assert_eq!(rows[0].rule.from.len(), 2, "another group in its place: both until then");
    s.w.clock.advance(DAY);
    let rows = room.approval_rules(&s.oli).await.unwrap();
    assert_eq!((rows[0].rule.clone(), rows[0].weaker.clone()), (rule(1, &[(&other, 1)]), None));
    room.delete_approver_group(&s.ada, &safety).await.unwrap();
    assert_eq!(fault(room.set_rule(&s.ada, "", rule(1, &[(&safety, 1)])).await).field.as_deref(), Some("from"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rule_for_a_device_type_holds_beside_the_one_for_all(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    let (eve, max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    let safety = s.group("safety", &[&max]).await;
    room.set_rule(&s.ada, "radio", ApprovalRule::plain(2)).await.unwrap();
    let (id, digest) = s.sent().await;
    room.approve(&eve, &id, &digest, "fine").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running, "gateways are no radios");

    let (waits, before) = s.sent().await;
    room.set_rule(&s.ada, " gateway ", rule(1, &[(&safety, 1)])).await.unwrap();
    room.set_quorum(&s.ada, 2).await.unwrap();
    let (id, digest) = s.sent().await;
    let standing = s.detail(&id).await.standing.unwrap();
    assert_eq!((standing.needed, standing.from.len()), (2, 1), "all that either asks for");
    room.approve(&s.ada, &id, &digest, "fine").await.unwrap();
    room.approve(&eve, &id, &digest, "fine").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
    room.approve(&max, &id, &digest, "safe").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running);
    room.approve(&eve, &waits, &before, "fine").await.unwrap();
    assert_eq!(s.state(&waits).await, RolloutState::Running, "what waited keeps its rule");

    assert_eq!(fault(room.drop_rule(&s.ada, "").await).code, "not_now");
    assert_eq!(fault(room.drop_rule(&s.ada, "camera").await).kind, FaultKind::NotFound);
    let rows = room.drop_rule(&s.ada, "gateway").await.unwrap();
    let row = rows.iter().find(|r| r.device_type == "gateway").unwrap();
    assert_eq!(row.weaker.as_ref().map(|w| w.rule.clone()), Some(None), "it ends a day later");
    s.w.clock.advance(DAY);
    assert!(room.approval_rules(&s.ada).await.unwrap().iter().all(|r| r.device_type != "gateway"));
    let (id, _) = s.sent().await;
    assert_eq!(s.detail(&id).await.standing.unwrap().from.len(), 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_two_approvers_at_once_and_of_one_who_clicks_twice_each_counts_once(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    let (eve, max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    room.set_quorum(&s.ada, 2).await.unwrap();
    let (id, digest) = s.sent().await;
    let (one, two) = tokio::join!(room.approve(&eve, &id, &digest, "yes"), room.approve(&eve, &id, &digest, "yes"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert_eq!(s.detail(&id).await.standing.map(|t| (t.given, t.missing)), Some((1, 1)));
    // Whoever is demoted while the last approval comes: either counts before, or not at all.
    let access = s.w.fleet.access();
    let (approved, demoted) =
        tokio::join!(room.approve(&max, &id, &digest, "yes"), access.set_role(&s.ada, eve.user().unwrap(), Role::Viewer));
    demoted.unwrap();
    approved.unwrap();
    let detail = s.detail(&id).await;
    match detail.row.state {
        RolloutState::WaitingForApproval => assert_eq!(detail.standing.map(|t| (t.given, t.missing)), Some((1, 1))),
        state => assert_eq!(state, RolloutState::Running, "eve was an admin when max had approved"),
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn people_of_another_organization_find_nothing_here(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    let safety = s.group("safety", &[&s.ada]).await;
    let (id, digest) = s.sent().await;
    let entropy: &dyn Entropy = &SeededEntropy::new(77);
    let org: OrgId = entropy.id(Timestamp(0));
    let who = Who::Token {
        token: entropy.id(Timestamp(0)),
        user: entropy.id(Timestamp(0)),
        person: "Mallory".into(),
        name: "ci".into(),
        role: Role::Admin,
    };
    let theirs = Actor { who, ..Actor::system(org) };
    assert_eq!(fault(room.approve(&theirs, &id, &digest, "fine").await).kind, FaultKind::NotFound);
    assert_eq!(fault(room.reject(&theirs, &id, "no").await).kind, FaultKind::NotFound);
    assert_eq!(fault(room.break_glass(&theirs, &id, &digest, "now").await).kind, FaultKind::NotFound);
    assert!(room.approver_groups(&theirs).await.unwrap().is_empty());
    assert!(room.glass_breaks(&theirs, None, None).await.unwrap().items.is_empty());
    // And here nobody of theirs is put into a group.
    let stranger = vec![theirs.user().unwrap().clone()];
    assert_eq!(fault(room.set_approvers(&s.ada, &safety, &stranger).await).field.as_deref(), Some("members"));
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
}

//! Break glass: what it takes, what it leaves behind, and the ways around.

use super::{Scene, fault, stage};
use crate::{access::Actor, db::EngineKind};
use rstest::rstest;
use wire::{
    FaultKind,
    ids::{Digest, GlassId, RolloutId},
    overview::Matter,
    rollouts::{ApprovalRule, GlassStop, NewApprovalTerms, NewApproverGroup, NewGlassReview, Reach, RolloutSpec, Share, Verb},
    states::{Role, RolloutState},
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

const ON: NewApprovalTerms =
    NewApprovalTerms { request_days: 7, start_days: 30, review_hours: 24, break_glass: true, break_glass_from: None };

fn review(accept: bool, stop: bool) -> NewGlassReview {
    NewGlassReview { accept, remark: "looked at it".into(), stop }
}

/// A scene in which the glass may be broken, with three more admins.
struct Emergency {
    s: Scene,
    eve: Actor,
    max: Actor,
    sam: Actor,
}

impl Emergency {
    async fn open(kind: EngineKind) -> Self {
        let s = Box::pin(Scene::open(kind, 3)).await;
        let (eve, max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
        let sam = s.w.person("sam", Role::Admin).await;
        s.rollouts().set_approval_terms(&s.ada, ON).await.unwrap();
        s.w.clock.advance(DAY);
        Self { s, eve, max, sam }
    }

    fn spec(&self) -> RolloutSpec {
        self.s.spec(vec![stage(Reach::Count(1)), stage(Reach::Percent(100.0))])
    }

    async fn waiting(&self, author: &Actor, spec: RolloutSpec) -> (RolloutId, Digest) {
        let id = self.s.rollouts().draft(author, spec).await.unwrap();
        self.s.rollouts().submit(author, &id).await.unwrap();
        let digest = self.s.detail(&id).await.digest;
        (id, digest)
    }

    async fn broken(&self, by: &Actor) -> (RolloutId, GlassId) {
        let (id, digest) = self.waiting(by, self.spec()).await;
        let glass = self.s.rollouts().break_glass(by, &id, &digest, "the field burns").await.unwrap();
        (id, glass)
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn it_is_off_at_first_and_on_a_day_after_it_was_asked_for(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let refused = fault(room.set_approval_terms(&s.ada, ON).await);
    assert!(refused.message.contains("it takes 3; there are 1"), "{refused:?}");
    for name in ["eve", "max"] {
        s.w.person(name, Role::Admin).await;
    }
    let id = room.draft(&s.oli, s.spec(vec![stage(Reach::Percent(100.0))])).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    let detail = s.detail(&id).await;
    let blocked = detail.actions.iter().find(|a| a.verb == Verb::BreakGlass).unwrap().blocked.clone().unwrap();
    assert!(blocked.starts_with("Break glass is not switched on"), "{blocked}");
    let now = async || room.break_glass(&s.ada, &id, &detail.digest, "now").await;
    assert_eq!(fault(now().await).message, blocked);
    let asked = room.set_approval_terms(&s.ada, ON).await.unwrap();
    assert_eq!((asked.break_glass, asked.break_glass_from), (false, Some(s.w.clock_now().plus(DAY))));
    // What was read changes nothing when it is sent back, and nobody chooses the time.
    let back = NewApprovalTerms { break_glass: asked.break_glass, break_glass_from: asked.break_glass_from, ..ON };
    assert_eq!(room.set_approval_terms(&s.ada, back).await.unwrap(), asked);
    let sooner = NewApprovalTerms { break_glass_from: Some(s.w.clock_now()), ..ON };
    assert_eq!(fault(room.set_approval_terms(&s.ada, sooner).await).field.as_deref(), Some("break_glass_from"));
    assert_eq!(room.approval_terms(&s.oli).await.unwrap(), asked);
    s.w.clock.advance(DAY - 1);
    assert_eq!(fault(now().await).code, "not_now", "who switches it on does not break it in the same go");
    room.set_approval_terms(&s.ada, ON).await.unwrap();
    s.w.clock.advance(1);
    assert!(room.approval_terms(&s.oli).await.unwrap().break_glass, "asking again gives no other day");
    room.set_approval_terms(&s.ada, NewApprovalTerms { break_glass: false, ..ON }).await.unwrap();
    assert_eq!(fault(now().await).code, "not_now", "off at once");
    room.set_approval_terms(&s.ada, ON).await.unwrap();
    s.w.clock.advance(DAY);
    now().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_author_starts_it_alone_and_two_others_review_that(#[case] kind: EngineKind) {
    let e = Emergency::open(kind).await;
    let (s, room) = (&e.s, e.s.rollouts());
    let (id, digest) = e.waiting(&s.ada, e.spec()).await;
    assert_eq!(fault(room.break_glass(&s.oli, &id, &digest, "now").await).kind, FaultKind::Forbidden);
    assert_eq!(fault(room.break_glass(&Actor::system(s.w.org.clone()), &id, &digest, "now").await).code, "not_now", "only a person");
    assert_eq!(fault(room.break_glass(&s.ada, &id, &digest, "  ").await).field.as_deref(), Some("reason"));
    assert_eq!(fault(room.break_glass(&s.ada, &id, &Digest::from_bytes(&[7; 32]), "now").await).code, "other_digest");
    // Twice at once it is broken once.
    let (one, two) = tokio::join!(room.break_glass(&s.ada, &id, &digest, "fire"), room.break_glass(&e.eve, &id, &digest, "fire"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let eves = two.is_ok();
    let glass = one.or(two).unwrap();
    assert_eq!(fault(room.break_glass(&s.ada, &id, &digest, "again").await).code, "not_now");
    let detail = s.detail(&id).await;
    assert_eq!((detail.row.state, detail.glass.as_ref().map(|g| (g.given, g.needed, g.missing))), (RolloutState::Running, Some((0, 1, 2))));
    assert!(s.audited().await.contains(&"rollout.break_glass".to_owned()));
    let attention = s.w.fleet.overview(&s.oli).await.unwrap().attention;
    assert!(attention.iter().any(|a| matches!(&a.matter, Matter::GlassBroken { rollout, .. } if *rollout == id)));
    room.tick().await.unwrap();
    assert_eq!((room.glass_figures().open(), room.glass_figures().overdue()), (1, 0));

    // Neither who broke it, nor who wrote the plan, nor an operator, nor twice, nor without a word.
    let breaker = if eves { &e.eve } else { &s.ada };
    for (who, code) in [(breaker, "not_now"), (&s.ada, "not_now"), (&s.oli, "denied")] {
        let refused = fault(room.review_glass(who, &glass, &review(true, false)).await);
        assert!(refused.code == code || refused.kind == FaultKind::Forbidden, "{refused:?}");
    }
    let wordless = NewGlassReview { remark: " ".into(), ..review(true, false) };
    assert_eq!(fault(room.review_glass(&e.max, &glass, &wordless).await).field.as_deref(), Some("remark"));
    let puppet = s.w.person("puppet", Role::Admin).await;
    assert_eq!(fault(room.review_glass(&puppet, &glass, &review(true, false)).await).code, "not_now", "made an admin afterwards");
    assert_eq!(room.nav_counts(&e.max).await.unwrap().1, 1);
    room.review_glass(&e.max, &glass, &review(true, false)).await.unwrap();
    assert_eq!(room.nav_counts(&e.max).await.unwrap().1, 0);
    assert_eq!(fault(room.review_glass(&e.max, &glass, &review(true, false)).await).code, "not_now");
    let open = s.inbox(&e.sam).await.glass;
    assert_eq!((open[0].id.clone(), open[0].missing, open[0].blocked.clone()), (glass.clone(), 1, None));
    let settled = room.review_glass(&e.sam, &glass, &review(true, false)).await.unwrap();
    assert_eq!((settled.settled_at, settled.missing, settled.reviews.len()), (Some(s.w.clock_now()), 0, 2));
    assert!(s.w.fleet.overview(&s.oli).await.unwrap().attention.iter().all(|a| !matches!(a.matter, Matter::GlassBroken { .. })));
    assert_eq!(s.state(&id).await, RolloutState::Running, "a review does not touch what runs");
    // What went without approval is not what the next plan is compared with.
    let (next, _) = e.waiting(&s.oli, e.spec()).await;
    assert_eq!(s.detail(&next).await.changes.unwrap().since, None);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn it_is_kept_which_group_had_not_approved(#[case] kind: EngineKind) {
    let e = Emergency::open(kind).await;
    let (s, room) = (&e.s, e.s.rollouts());
    let safety = NewApproverGroup { name: "safety".into(), members: vec![e.sam.user().unwrap().clone()] };
    let safety = room.create_approver_group(&s.ada, safety).await.unwrap().id;
    let rule = ApprovalRule { needed: 2, from: vec![Share { group: safety, at_least: 1 }] };
    room.set_rule(&s.ada, "", rule).await.unwrap();
    let (id, digest) = e.waiting(&s.oli, e.spec()).await;
    for approver in [&e.eve, &e.max] {
        room.approve(approver, &id, &digest, "fine").await.unwrap();
    }
    room.break_glass(&s.ada, &id, &digest, "the field burns").await.unwrap();
    let kept = s.detail(&id).await.glass.unwrap();
    assert_eq!(kept.approvals(), "2 of 2, missing 1 of safety");
    assert_eq!((kept.release.as_str(), kept.selector.as_str(), kept.devices), ("gateway 2.0.0", "", Some(3)));
    let booked = s.booked("rollout.break_glass").await;
    assert_eq!((booked["approvals"].as_str(), booked["approvals_missing"].as_u64()), (Some("2 of 2, missing 1 of safety"), Some(1)));
    // From a draft nobody was asked.
    let (drafted, release) = (e.spec(), s.publish("3.0.0", 3).await);
    let drafted = room.draft(&s.oli, RolloutSpec { release, ..drafted }).await.unwrap();
    let digest = s.detail(&drafted).await.digest;
    room.break_glass(&s.ada, &drafted, &digest, "still").await.unwrap();
    assert_eq!(s.detail(&drafted).await.glass.unwrap().approvals(), "0 of 2, missing 1 of safety");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_review_of_somebody_who_is_no_admin_any_more_does_not_settle_it(#[case] kind: EngineKind) {
    let e = Emergency::open(kind).await;
    let (s, room) = (&e.s, e.s.rollouts());
    let (_, glass) = e.broken(&s.ada).await;
    room.review_glass(&e.eve, &glass, &review(true, false)).await.unwrap();
    s.w.fleet.access().set_role(&s.ada, e.eve.user().unwrap(), Role::Operator).await.unwrap();
    assert_eq!(room.review_glass(&e.max, &glass, &review(true, false)).await.unwrap().settled_at, None);
    // Fewer than two of those who were admins then are left: those who came later may, and still not who broke it.
    s.w.fleet.access().disable_user(&s.ada, e.sam.user().unwrap()).await.unwrap();
    let late = s.w.person("late", Role::Admin).await;
    assert_eq!(fault(room.review_glass(&s.ada, &glass, &review(true, false)).await).code, "not_now");
    assert!(room.review_glass(&late, &glass, &review(true, false)).await.unwrap().settled_at.is_some());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_nobody_reviews_in_time_is_overdue_and_stays_on_top(#[case] kind: EngineKind) {
    let e = Emergency::open(kind).await;
    let (s, room) = (&e.s, e.s.rollouts());
    let (id, first) = e.broken(&s.ada).await;
    room.stop(&s.oli, &id, "enough").await.unwrap();
    s.w.clock.advance(DAY - HOUR);
    let (_, second) = e.broken(&s.ada).await;
    room.review_glass(&e.max, &second, &review(true, false)).await.unwrap();
    room.review_glass(&e.eve, &second, &review(true, false)).await.unwrap();
    s.w.clock.advance(HOUR - 1);
    room.tick().await.unwrap();
    assert!(!s.inbox(&s.oli).await.glass[0].overdue);
    s.w.clock.advance(1);
    let (one, two) = tokio::join!(room.tick(), room.tick());
    assert!(one.is_ok() && two.is_ok());
    room.tick().await.unwrap();
    let newest = room.glass_breaks(&s.oli, None, Some(1)).await.unwrap();
    assert_eq!((newest.items[0].id.clone(), newest.total), (second.clone(), 2));
    let rest = room.glass_breaks(&s.oli, newest.next.as_deref(), Some(1)).await.unwrap();
    assert_eq!((rest.items[0].id.clone(), rest.next), (first.clone(), None));
    let shown = s.inbox(&s.oli).await.glass;
    assert_eq!(shown.iter().map(|g| (g.id.clone(), g.overdue)).collect::<Vec<_>>(), [(first.clone(), true), (second, false)]);
    assert_eq!(s.audited().await.iter().filter(|a| *a == "rollout.break_glass_overdue").count(), 1);
    assert_eq!((room.glass_figures().open(), room.glass_figures().overdue()), (1, 1));
    // Late is not too late, also when the rollout has ended meanwhile.
    for who in [&e.max, &e.eve] {
        room.review_glass(who, &first, &review(true, false)).await.unwrap();
    }
    room.tick().await.unwrap();
    assert_eq!((room.glass_figures().open(), room.glass_figures().overdue()), (0, 0));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_objection_halts_it_and_who_is_concerned_does_not_resume_it(#[case] kind: EngineKind) {
    let e = Emergency::open(kind).await;
    let (s, room) = (&e.s, e.s.rollouts());
    let (id, glass) = e.broken(&s.ada).await;
    let offered = s.poll_all().await;
    assert_eq!(offered.len(), 1);
    assert_eq!(fault(room.review_glass(&e.max, &glass, &review(true, true)).await).field.as_deref(), Some("stop"));
    let said = room.review_glass(&e.max, &glass, &review(false, true)).await.unwrap();
    assert_eq!((said.rollout_state, said.settled_at), (RolloutState::Halted, None), "halted at once, and one more person is to look");
    s.checked(&id).await;
    assert_eq!(s.poll_all().await.len(), 0, "the offer that was not begun is taken back");
    let refused = fault(room.resume(&s.ada, &id, "it burns still").await);
    assert!(refused.message.starts_with("Somebody objected"), "{refused:?}");
    let blocked = s.detail(&id).await.actions.into_iter().find(|a| a.verb == Verb::Resume).unwrap().blocked;
    assert_eq!(blocked, Some(refused.message));
    // A second objection has nothing left to stop.
    assert_eq!(fault(room.review_glass(&e.eve, &glass, &review(false, true)).await).code, "not_now");
    room.review_glass(&e.eve, &glass, &review(false, false)).await.unwrap();
    // Without a token the command line is nobody; and an operator could not have reviewed it.
    for (who, part) in [(&Actor::shell(s.w.org.clone()), "give --token-file"), (&s.oli, "An admin has to resume it")] {
        let refused = fault(room.resume(who, &id, "anonymous").await);
        assert!(refused.code == "not_now" && refused.message.contains(part), "{refused:?}");
    }
    room.resume(&e.sam, &id, "we looked at it together").await.unwrap();
    let detail = s.booked("rollout.resume").await;
    let over = detail["in_spite_of"].as_array().unwrap();
    assert_eq!(over.len(), 2, "both objections: {detail}");
    assert!(over.iter().all(|o| o["objection_to"].as_str() == Some(glass.as_str())), "{detail}");
    assert!(["max", "eve"].iter().all(|by| over.iter().any(|o| o["by"].as_str() == Some(by))), "{detail}");
    assert_eq!(s.state(&id).await, RolloutState::Running);
    s.everybody_updates().await;
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn it_goes_around_approvals_and_around_nothing_else(#[case] kind: EngineKind) {
    let e = Emergency::open(kind).await;
    let (s, room) = (&e.s, e.s.rollouts());
    let later = s.w.clock_now().plus(6 * HOUR);
    let (id, digest) = e.waiting(&s.oli, RolloutSpec { start_at: Some(later), ..e.spec() }).await;
    // The plan's time holds, and nobody starts it earlier.
    let glass = room.break_glass(&s.ada, &id, &digest, "the field burns").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Scheduled);
    assert_eq!(fault(room.act(&e.eve, &id, Verb::Start, None, "").await).code, "not_now");
    // An edit voids it.
    let detail = s.detail(&id).await;
    assert_eq!(detail.glass.as_ref().map(|g| (g.holds, g.stops)), Some((true, Some(GlassStop::Draft))));
    let soon = RolloutSpec { start_at: Some(later.plus(HOUR)), ..e.spec() };
    room.edit(&s.oli, &id, detail.generation, soon).await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Draft);
    s.w.clock.advance(8 * HOUR);
    room.tick().await.unwrap();
    assert_eq!(s.poll_all().await.len(), 0, "the glass was broken for another plan");
    assert_eq!(fault(room.break_glass(&s.ada, &id, &digest, "once more").await).code, "other_digest");
    let detail = s.detail(&id).await;
    assert_eq!(detail.glass.as_ref().map(|g| (g.holds, g.settled_at)), Some((false, None)), "it is to be reviewed all the same");
    room.edit(&s.oli, &id, detail.generation, e.spec()).await.unwrap();
    assert_eq!(fault(room.break_glass(&s.ada, &id, &digest, "once more").await).code, "other_digest");

    // A freeze holds.
    let until = s.w.clock_now().plus(HOUR / 2);
    let freeze = wire::rollouts::NewFreeze { name: "end of year".into(), reason: String::new(), from: s.w.clock_now(), until };
    room.freeze(&s.ada, freeze).await.unwrap();
    let digest = s.detail(&id).await.digest;
    let again = room.break_glass(&s.ada, &id, &digest, "from the draft").await.unwrap();
    assert_ne!(again, glass);
    assert_eq!(s.state(&id).await, RolloutState::Running, "a draft that could be sent");
    assert_eq!(s.poll_all().await.len(), 0, "it runs, and the freeze holds");
    s.w.clock.advance(HOUR / 2);
    room.tick().await.unwrap();
    assert_eq!(s.poll_all().await.len(), 1, "then the first stage, and no more");

    // So does a recall.
    s.w.fleet.releases().recall(&s.ada, &s.release, "bad").await.unwrap();
    room.tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Halted);

    // What was rejected is not started.
    let release = s.publish("3.0.0", 3).await;
    let (id, digest) = e.waiting(&s.oli, RolloutSpec { release, ..e.spec() }).await;
    room.reject(&e.eve, &id, "no").await.unwrap();
    assert_eq!(fault(room.break_glass(&s.ada, &id, &digest, "anyway").await).code, "not_now");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_objection_before_the_start_takes_it_back(#[case] kind: EngineKind) {
    let e = Emergency::open(kind).await;
    let (s, room) = (&e.s, e.s.rollouts());
    let spec = RolloutSpec { start_at: Some(s.w.clock_now().plus(6 * HOUR)), ..e.spec() };
    let (id, digest) = e.waiting(&s.oli, spec).await;
    let glass = room.break_glass(&s.ada, &id, &digest, "the field burns").await.unwrap();
    let said = room.review_glass(&e.max, &glass, &review(false, true)).await.unwrap();
    assert_eq!((said.rollout_state, said.holds), (RolloutState::Draft, false));
    s.w.clock.advance(7 * HOUR);
    room.tick().await.unwrap();
    assert_eq!((s.state(&id).await, s.poll_all().await.len()), (RolloutState::Draft, 0));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn without_two_people_to_review_it_nobody_breaks_it(#[case] kind: EngineKind) {
    let e = Emergency::open(kind).await;
    let (s, room) = (&e.s, e.s.rollouts());
    let (id, digest) = e.waiting(&e.eve, e.spec()).await;
    s.w.fleet.access().disable_user(&s.ada, e.sam.user().unwrap()).await.unwrap();
    let refused = fault(room.break_glass(&s.ada, &id, &digest, "fire").await);
    assert!(refused.message.ends_with("there are 1."), "max alone is neither its breaker nor its author: {refused:?}");
    assert_eq!(s.state(&id).await, RolloutState::WaitingForApproval);
}

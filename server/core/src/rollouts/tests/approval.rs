//! Four eyes: who may decide, on what, and what makes it worthless.

use super::{Scene, fault, key, stage};
use crate::{
    access::{Actor, Who},
    db::EngineKind,
    entropy::SeededEntropy,
    releases::{manifest::written, signing::SigningKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rstest::rstest;
use wire::{
    FaultKind, Timestamp,
    manifest::Envelope,
    rollouts::{InboxQuery, InboxTab, Reach, StageSpec, UpdateQuery, Verb},
    signing::{KEY_SET_TYPE, KeySet, ListedKey, Thresholds},
    states::{Role, RolloutState},
};

pub(super) fn two_stages() -> Vec<StageSpec> {
    vec![stage(Reach::Count(2)), stage(Reach::Percent(100.0))]
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn somebody_else_decides_on_exactly_what_will_run(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let room = s.rollouts();
    let id = room.draft(&s.ada, s.spec(two_stages())).await.unwrap();
    let digest = s.detail(&id).await.digest;
    assert_eq!(fault(room.approve(&s.ada, &id, &digest, "fine").await).code, "not_now", "a draft is not decided on");
    let refused = fault(room.submit(&s.ada, &id).await);
    assert!(refused.message.starts_with("It needs 1 approval; beside its author there are 0 admins."), "{refused:?}");
    let eve = s.w.person("eve", Role::Admin).await;
    room.submit(&s.ada, &id).await.unwrap();

    // The log finds it by what it is called and by why it is, in either case.
    let access = s.w.fleet.access();
    for q in [s.detail(&id).await.row.name.to_uppercase(), "BECAUSE".to_owned()] {
        let found = access.search_audit(&s.ada, &q, None).await.unwrap().entries.items;
        assert!(found.iter().any(|e| e.action == "rollout.draft" && e.object == id.as_str()), "{q}: {found:?}");
    }

    // The author can't, neither in person nor through a token of theirs.
    let inbox = s.inbox(&s.ada).await;
    assert_eq!(inbox.waiting[0].blocked.as_deref(), Some("You asked for this, someone else must decide."));
    assert_eq!(fault(room.approve(&s.ada, &id, &digest, "fine").await).code, "own_rollout");
    let user = s.ada.user().unwrap().clone();
    let who = Who::Token { token: s.w.entropy.id(s.w.clock_now()), user, person: "Ada".into(), name: "ci".into(), role: Role::Admin };
    let token = Actor { who, ..s.ada.clone() };
    let by_token = room.draft(&token, s.spec(two_stages())).await.unwrap();
    assert_eq!(s.detail(&by_token).await.row.author, s.ada.label(), "the person, not the token");
    assert_eq!(fault(room.approve(&token, &id, &digest, "fine").await).code, "own_rollout");
    // Nor can somebody without the right, nor the system.
    assert_eq!(fault(room.approve(&s.oli, &id, &digest, "fine").await).kind, FaultKind::Forbidden);
    assert_eq!(fault(room.approve(&Actor::system(s.w.org.clone()), &id, &digest, "fine").await).code, "not_now");

    assert_eq!(room.nav_counts(&eve).await.unwrap(), (0, 1));
    assert_eq!(room.nav_counts(&s.ada).await.unwrap(), (0, 0), "one's own is not waiting for oneself");
    assert_eq!(fault(room.approve(&eve, &id, &digest, "  ").await).field.as_deref(), Some("reason"));
    assert_eq!(fault(room.approve(&eve, &id, &digest, &"x".repeat(501)).await).field.as_deref(), Some("reason"));
    let other = wire::ids::Digest::from_bytes(&[7; 32]);
    assert_eq!(fault(room.approve(&eve, &id, &other, "fine").await).code, "other_digest");
    let inbox = s.inbox(&eve).await;
    assert_eq!((inbox.waiting[0].blocked.clone(), inbox.waiting[0].preview.total), (None, 5));
    assert_eq!(inbox.waiting[0].preview.stages.iter().map(|s| s.sample.len()).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(inbox.waiting[0].signed_by, ["build"]);

    // The rollout's own page shows the same dry run, to whoever reads it.
    let shown = room.page(&eve, &id, &UpdateQuery::default()).await.unwrap().preview;
    assert_eq!(shown.as_ref(), Some(&inbox.waiting[0].preview));

    let named: Vec<_> = inbox.waiting[0].preview.stages[0].sample.clone();
    room.approve(&eve, &id, &inbox.waiting[0].digest, "fine").await.unwrap();
    assert_eq!(room.page(&eve, &id, &UpdateQuery::default()).await.unwrap().preview, None, "what is drawn is no dry run");
    let detail = s.detail(&id).await;
    assert_eq!((detail.row.state, detail.row.stage), (RolloutState::Running, 1));
    assert!(detail.approvals[0].approved && !detail.approvals[0].void && detail.approvals[0].digest == digest);
    // Those who were shown to the approver are those who get it.
    let mut offered = Vec::new();
    for (device, _) in s.poll_all().await {
        let mut on = room.db.read().await.unwrap();
        offered.push(crate::devices::store::name(&mut on, device).await.unwrap().unwrap().1);
    }
    offered.sort();
    let mut named = named;
    named.sort();
    assert_eq!(offered, named);
    assert_eq!(s.inbox(&eve).await.waiting, []);
    let done = room.approvals(&eve, &InboxQuery { tab: InboxTab::Done, cursor: None }).await.unwrap();
    assert_eq!((&done.asked[0].rollout.id, done.asked[0].decisions[0].by_name.as_str()), (&id, "eve"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_edit_makes_every_decision_void(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 5).await;
    let later = s.w.clock_now().plus(3_600_000);
    let spec = wire::rollouts::RolloutSpec { start_at: Some(later), ..s.spec(two_stages()) };
    let id = s.approved(spec.clone()).await;
    let before = s.detail(&id).await;
    assert_eq!(before.row.state, RolloutState::Scheduled);

    let mut edited = spec;
    edited.stages[0].gate.max_errors = 1;
    assert_eq!(fault(s.rollouts().edit(&s.oli, &id, before.generation - 1, edited.clone()).await).code, "changed");
    s.rollouts().edit(&s.oli, &id, before.generation, edited.clone()).await.unwrap();
    let after = s.detail(&id).await;
    assert_eq!(after.row.state, RolloutState::Draft);
    assert!(after.approvals.iter().all(|a| a.void));
    assert_ne!(after.digest, before.digest);
    s.w.clock.advance(7_200_000);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.poll_all().await.len(), 0, "what is not approved does not run");

    // Its time is over by now, and nobody is asked for an approval of that.
    assert_eq!(fault(s.rollouts().submit(&s.oli, &id).await).field.as_deref(), Some("start_at"));
    let at_once = wire::rollouts::RolloutSpec { start_at: None, ..edited };
    s.rollouts().edit(&s.oli, &id, after.generation, at_once).await.unwrap();

    // The old digest is worth nothing, also when it waits again.
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    assert_eq!(fault(s.rollouts().approve(&s.ada, &id, &before.digest, "fine").await).code, "other_digest");
    s.rollouts().reject(&s.ada, &id, "not now").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Rejected);
    assert_eq!(fault(s.rollouts().submit(&s.oli, &id).await).code, "not_now");
    // Whoever edits is the author then.
    s.w.person("eve", Role::Admin).await;
    let rejected = s.detail(&id).await;
    s.rollouts().edit(&s.ada, &id, rejected.generation, rejected.spec.clone()).await.unwrap();
    s.rollouts().submit(&s.ada, &id).await.unwrap();
    assert_eq!(fault(s.rollouts().approve(&s.ada, &id, &rejected.digest, "fine").await).code, "own_rollout");
    s.join("late").await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn whoever_wrote_or_sent_any_of_it_does_not_approve_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let room = s.rollouts();
    let (eve, max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    let later = s.w.clock_now().plus(3_600_000);
    let spec = wire::rollouts::RolloutSpec { start_at: Some(later), ..s.spec(two_stages()) };
    let id = room.draft(&s.ada, spec.clone()).await.unwrap();
    let first = s.detail(&id).await;
    // Somebody's small edit, taken back by an edit of theirs, frees nobody; nor does sending it take an own part out.
    let other = wire::rollouts::RolloutSpec { reason: "another".into(), ..spec.clone() };
    for plan in [other.clone(), spec.clone()] {
        room.edit(&s.oli, &id, s.detail(&id).await.generation, plan).await.unwrap();
    }
    room.submit(&eve, &id).await.unwrap();
    let sent = s.detail(&id).await;
    assert_eq!(sent.digest, first.digest, "the plan is as ada wrote it");
    assert_eq!(room.nav_counts(&s.ada).await.unwrap().1, 0);
    let why = "You edited this plan or sent it for approval since it was approved last, so somebody else must approve it.";
    for writer in [&s.ada, &eve] {
        let refused = fault(room.approve(writer, &id, &sent.digest, "fine").await);
        assert_eq!((refused.code.as_str(), refused.message.as_str()), ("own_rollout", why));
        assert_eq!(s.inbox(writer).await.waiting[0].blocked.as_deref(), Some(why));
    }
    let button = sent.actions.iter().find(|a| a.verb == Verb::Approve).unwrap();
    assert_eq!(button.blocked.as_deref(), Some(why), "the disabled button says it to ada");
    room.approve(&max, &id, &sent.digest, "fine").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Scheduled);

    // What max has approved is nobody's part any more; what is written after that is.
    room.edit(&max, &id, s.detail(&id).await.generation, other).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    let again = s.detail(&id).await.digest;
    assert_eq!(fault(room.approve(&max, &id, &again, "fine").await).code, "own_rollout");
    room.approve(&s.ada, &id, &again, "fine").await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Scheduled);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_devices_refuse_for_its_signatures_is_said_before_it_goes_out(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let (sent, draft) = (room.draft(&s.oli, s.spec(two_stages())).await.unwrap(), room.draft(&s.oli, s.spec(two_stages())).await.unwrap());
    room.submit(&s.oli, &sent).await.unwrap();
    assert_eq!(room.preview(&s.oli, &s.spec(two_stages())).await.unwrap().problems, []);

    // A key set of two keys that asks for both: the release has the signature of one.
    let second = SigningKeyPair::generate(&SeededEntropy::new(2)).unwrap();
    let listed = |name: &str, key: &SigningKeyPair| ListedKey { name: name.into(), public: hex::encode(key.public()) };
    let keys = vec![listed("build", &key()), listed("second", &second)];
    let thresholds = Thresholds { threshold: 2, device_types: Vec::new() };
    let set = KeySet { schema: 1, version: 1, created: Timestamp(0), expires: None, keys, thresholds };
    let payload = serde_json::to_vec(&set).unwrap();
    let signatures = [&key(), &second].map(|key| key.signature(KEY_SET_TYPE, &payload).unwrap()).to_vec();
    let envelope = Envelope { payload_type: KEY_SET_TYPE.into(), payload: STANDARD.encode(&payload), signatures };
    s.w.fleet.releases().publish_key_set(&s.ada, &written(&envelope).unwrap()).await.unwrap();

    let problems = room.preview(&s.oli, &s.spec(two_stages())).await.unwrap().problems;
    assert_eq!((problems.len(), problems[0].field.as_str()), (1, "release"));
    assert!(problems[0].message.starts_with("The release has 1 of the 2 signatures"), "{}", problems[0].message);
    assert_eq!(fault(room.submit(&s.oli, &draft).await).message, problems[0].message);
    let digest = s.detail(&sent).await.digest;
    assert_eq!(fault(room.approve(&s.ada, &sent, &digest, "fine").await).message, problems[0].message);
    assert_eq!(s.state(&sent).await, RolloutState::WaitingForApproval);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn two_approvals_of_one_digest_at_once_both_count(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let (eve, _max) = (s.w.person("eve", Role::Admin).await, s.w.person("max", Role::Admin).await);
    room.set_quorum(&s.ada, 2).await.unwrap();
    let id = room.draft(&s.oli, s.spec(two_stages())).await.unwrap();
    room.submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    let (one, two) = tokio::join!(room.approve(&s.ada, &id, &digest, "yes"), room.approve(&eve, &id, &digest, "yes"));
    one.unwrap();
    two.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_two_decisions_at_once_one_counts(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let eve = s.w.person("eve", Role::Admin).await;
    let id = s.rollouts().draft(&s.oli, s.spec(two_stages())).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;
    let (yes, no) = tokio::join!(s.rollouts().approve(&s.ada, &id, &digest, "yes"), s.rollouts().reject(&eve, &id, "no"));
    assert_ne!(yes.is_ok(), no.is_ok(), "{yes:?} {no:?}");
    let refused = if yes.is_ok() { fault(no) } else { fault(yes) };
    assert_eq!(refused.kind, FaultKind::Conflict, "{refused:?}");
    assert_eq!(s.detail(&id).await.approvals.len(), 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_that_can_not_run_is_told_what_is_wrong(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let room = s.rollouts();
    for (spec, field) in [
        (s.spec(vec![]), "stages"),
        (s.spec(vec![stage(Reach::Percent(120.0))]), "stages.0.reach"),
        (s.spec(vec![stage(Reach::Percent(f64::NAN)), stage(Reach::Percent(100.0))]), "stages.0.reach"),
        (wire::rollouts::RolloutSpec { selector: "type:(".into(), ..s.spec(two_stages()) }, "selector"),
        (
            wire::rollouts::RolloutSpec { release: "rel_00000000000000000000000000000001".parse().unwrap(), ..s.spec(two_stages()) },
            "release",
        ),
    ] {
        let refused = fault(room.draft(&s.oli, spec.clone()).await);
        assert_eq!((refused.kind, refused.field.as_deref()), (FaultKind::Invalid, Some(field)));
        assert!(room.preview(&s.oli, &spec).await.unwrap().problems.iter().any(|p| p.field == field));
    }
    // Whom it reaches is looked at when it is submitted: tags may still be set after the draft.
    let nobody = wire::rollouts::RolloutSpec { selector: "tag:none".into(), ..s.spec(two_stages()) };
    assert_eq!(room.preview(&s.oli, &nobody).await.unwrap().problems[0].field, "selector");
    let id = room.draft(&s.oli, nobody).await.unwrap();
    assert_eq!(fault(room.submit(&s.oli, &id).await).field.as_deref(), Some("selector"));
    let empty = s.spec(vec![stage(Reach::Count(4)), stage(Reach::Percent(100.0))]);
    let id = room.draft(&s.oli, empty).await.unwrap();
    assert_eq!(fault(room.submit(&s.oli, &id).await).field.as_deref(), Some("stages.0.reach"));

    let viewer = s.w.viewer().await;
    assert_eq!(fault(room.draft(&viewer, s.spec(two_stages())).await).kind, FaultKind::Forbidden);
    let detail = room.page(&viewer, &id, &wire::rollouts::UpdateQuery::default()).await.unwrap().rollout;
    assert_eq!(detail.actions, [], "verbs the caller may never use are not listed");
    let mine = s.detail(&id).await.actions;
    let submit = mine.iter().find(|a| a.verb == Verb::Submit).unwrap();
    assert_eq!(submit.blocked, None);
    assert!(mine.iter().find(|a| a.verb == Verb::Pause).unwrap().blocked.is_some());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_approved_time_is_kept_and_only_a_second_person_may_begin_before_it(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let later = s.w.clock_now().plus(3_600_000);
    let spec = wire::rollouts::RolloutSpec { start_at: Some(later), ..s.spec(two_stages()) };
    let first = s.approved(spec.clone()).await;
    assert_eq!(s.poll_all().await.len(), 0);
    assert_eq!(fault(s.rollouts().act(&s.oli, &first, Verb::Start, None, "").await).code, "not_now");
    s.w.clock.advance(3_599_000);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.state(&first).await, RolloutState::Scheduled);
    s.w.clock.advance(1_000);
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.state(&first).await, RolloutState::Running);
    s.rollouts().stop(&s.oli, &first, "enough").await.unwrap();

    let later = s.w.clock_now().plus(3_600_000);
    let second = s.approved(wire::rollouts::RolloutSpec { start_at: Some(later), ..spec }).await;
    let nobody = fault(s.rollouts().act(&Actor::shell(s.w.org.clone()), &second, Verb::Start, None, "").await);
    assert!(nobody.message.contains("give --token-file"), "its author may sit there: {nobody:?}");
    s.rollouts().act(&s.ada, &second, Verb::Start, None, "the field is idle").await.unwrap();
    assert_eq!(s.state(&second).await, RolloutState::Running);
    let told = s.detail(&second).await.history;
    assert!(told.iter().any(|e| e.text == "Started before its time by ada: the field is idle"), "{told:?}");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_start_in_the_past_is_refused_and_one_that_passed_while_it_waited_is_not(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    let at = |ms: i64| wire::rollouts::RolloutSpec { start_at: Some(wire::Timestamp(ms)), ..s.spec(two_stages()) };
    let now = s.w.clock_now().0;
    let past = at(1_000);
    assert_eq!(fault(room.draft(&s.oli, past.clone()).await).field.as_deref(), Some("start_at"));
    let problems = async |spec: &wire::rollouts::RolloutSpec| {
        room.preview(&s.oli, spec).await.unwrap().problems.into_iter().map(|p| p.field).collect::<Vec<_>>()
    };
    assert_eq!(problems(&past).await, ["start_at"]);
    assert_eq!(problems(&at(now - 60_000)).await, [""; 0], "whoever types it may take a minute");

    let id = room.draft(&s.oli, at(now + 3_600_000)).await.unwrap();
    assert_eq!(fault(room.edit(&s.oli, &id, s.detail(&id).await.generation, past).await).field.as_deref(), Some("start_at"));
    room.submit(&s.oli, &id).await.unwrap();
    s.w.clock.advance(7_200_000);
    assert_eq!(s.inbox(&s.ada).await.waiting[0].preview.problems, [], "it waited, and nothing is wrong with it");
    let digest = s.detail(&id).await.digest;
    room.approve(&s.ada, &id, &digest, "fine").await.unwrap();
    room.tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Running);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_orders_of_what_was_stopped_before_it_began_say_so(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let id = s.rollouts().draft(&s.oli, s.spec(two_stages())).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    s.w.clock.advance(1_000);
    s.rollouts().stop(&s.ada, &id, "not this one").await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Stopped);
    let actions = s.rollouts().detail(&s.ada, &id).await.unwrap().actions;
    let why = |verb| actions.iter().find(|a| a.verb == verb).and_then(|a| a.blocked.clone()).unwrap();
    assert_eq!(why(Verb::Edit), "It was stopped before it began. Draft a new one.");
    for verb in [Verb::Start, Verb::Approve, Verb::Reject, Verb::RollBack] {
        assert_eq!(why(verb), "It was stopped before it began.", "{verb:?}");
    }
    assert_eq!(fault(s.rollouts().act(&s.ada, &id, Verb::Start, None, "").await).message, why(Verb::Start), "the order answers the same");
    let begun = s.approved(s.spec(two_stages())).await;
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.detail(&begun).await.row.stage, 1);
    s.rollouts().stop(&s.ada, &begun, "enough").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let actions = s.rollouts().detail(&s.ada, &begun).await.unwrap().actions;
    let why = |verb| actions.iter().find(|a| a.verb == verb).and_then(|a| a.blocked.clone()).unwrap();
    assert_eq!((why(Verb::Edit).as_str(), why(Verb::Start).as_str()), ("It has ended. Draft a new one.", "It has ended."));
}

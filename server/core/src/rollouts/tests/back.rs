//! Gates that pause and roll back, and the way back, on both engines.

use super::{Scene, fault, stage};
use crate::{
    db::EngineKind,
    devices::{DeviceNo, store as devices},
    rollouts::store::turns,
};
use rstest::rstest;
use std::collections::BTreeSet;
use wire::{
    device::Offer,
    ids::{ReleaseId, RolloutId, UpdateId},
    releases::ReleaseVerb,
    rollouts::{Call, GateAction, GateSpec, Reach, RolloutDetail, RolloutSpec, StageSpec, Verb},
    states::{RolloutState, StageState, UpdateState},
};

/// One error is enough.
fn strict(action: GateAction) -> StageSpec {
    let gate = GateSpec { max_errors: 1, action, ..GateSpec::default() };
    StageSpec { gate, ..stage(Reach::Percent(100.0)) }
}

impl Scene {
    /// The old firmware, signed again.
    async fn signed_again(&self) -> ReleaseId {
        self.publish("1.0.0+3", 3).await
    }

    async fn with_way_back(&self, action: GateAction) -> RolloutSpec {
        RolloutSpec { way_back: Some(self.signed_again().await), ..self.spec(vec![strict(action)]) }
    }

    /// All but the last two succeed, one of these is installing, the last fails.
    async fn go_wrong(&self, offered: &[(DeviceNo, Offer)]) {
        let (last, rest) = offered.split_last().unwrap();
        let (installing, rest) = rest.split_last().unwrap();
        for (device, offer) in rest {
            self.succeed(*device, &offer.update_id, "2.0.0", 2).await;
        }
        self.say(installing.0, &installing.1.update_id, UpdateState::Installing).await.unwrap();
        self.say(last.0, &last.1.update_id, UpdateState::Failed).await.unwrap();
        self.rollouts().tick().await.unwrap();
    }

    /// Everybody who is offered the way back takes it, until nobody is offered anything; gives who did.
    async fn all_go_back(&self) -> BTreeSet<DeviceNo> {
        let mut back = BTreeSet::new();
        for _ in 0..5 {
            self.rollouts().tick().await.unwrap();
            for (device, offer) in self.poll_all().await {
                assert!(back.insert(device), "{device} goes back twice");
                assert_eq!(self.succeed(device, &offer.update_id, "1.0.0+3", 3).await, UpdateState::Succeeded);
            }
        }
        back
    }

    async fn way_back_of(&self, id: &RolloutId) -> RolloutDetail {
        let link = self.detail(id).await.way_back.unwrap().rollout.expect("a way back");
        self.detail(&link.id).await
    }

    async fn stands(&self, device: DeviceNo, update: &UpdateId) -> Option<UpdateState> {
        turns::state_of(&mut self.rollouts().db.read().await.unwrap(), device, update).await.unwrap()
    }

    /// The device says that it runs this.
    pub(super) async fn runs(&self, device: DeviceNo, version: &str, sequence: i64) {
        let mut tx = self.rollouts().db.write().await.unwrap();
        devices::set_firmware(&mut tx, device, version, sequence).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn blocked(&self, id: &RolloutId) -> Option<String> {
        self.detail(id).await.actions.into_iter().find(|a| a.verb == Verb::RollBack).unwrap().blocked
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn where_plans_are_compared_a_way_back_is_named_as_people_name_a_release(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let later = Some(s.w.clock_now().plus(3_600_000));
    s.approved(RolloutSpec { start_at: later, ..s.spec(vec![stage(Reach::Percent(100.0))]) }).await;
    let plan = s.with_way_back(GateAction::RollBack).await;
    let told = |lines: Vec<wire::change::FieldChange>| {
        let line = lines.into_iter().find(|c| c.field == "way_back").unwrap();
        (line.before.unwrap(), line.after.unwrap())
    };
    let named = ("none".to_owned(), "gateway 1.0.0+3".to_owned());
    assert_eq!(told(s.rollouts().against(&s.oli, &plan).await.unwrap().unwrap().lines), named, "by a file");
    let id = s.rollouts().draft(&s.oli, plan).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let card = s.inbox(&s.ada).await.waiting.remove(0);
    assert_eq!(told(card.changes.lines), named, "in the inbox");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_gate_takes_a_bad_release_back_from_those_who_run_it(#[case] kind: EngineKind) {
    let mut s = Scene::open(kind, 8).await;
    let id = s.approved(s.with_way_back(GateAction::RollBack).await).await;
    let offered = s.poll_all().await;
    s.go_wrong(&offered[..7]).await;
    let detail = s.detail(&id).await;
    assert_eq!(
        (detail.row.state, detail.row.summary.as_str()),
        (RolloutState::RollingBack, "Rolling back after stage 1: 1 of 6 finished devices failed; the limit is 1 in all")
    );
    assert_eq!(detail.stages[0].verdict.errors, 1, "the numbers it saw are kept");
    // What had not begun to install is taken back; who installs finishes first, and nobody goes back before.
    let eighth = s.stands(offered[7].0, &offered[7].1.update_id).await;
    assert_eq!(eighth, Some(UpdateState::Cancelled));
    s.rollouts().tick().await.unwrap();
    assert_eq!((s.poll_all().await.len(), s.detail(&id).await.way_back.unwrap().rollout), (1, None), "only who installs has something");
    s.succeed(offered[5].0, &offered[5].1.update_id, "2.0.0", 2).await;
    s.rollouts().tick().await.unwrap();
    // A device that never had a part in it and runs the release does not belong.
    let stranger = s.join("gw-stranger").await;
    s.runs(stranger, "2.0.0", 2).await;
    let back = s.way_back_of(&id).await;
    assert_eq!((back.row.name.as_str(), back.row.author.as_str()), ("Way back of spring", "the system"));
    assert_eq!((back.back_of.unwrap().id, back.spec.stages.len()), (id.clone(), 2));
    let signed = s.detail(&id).await;
    assert_eq!(
        (back.approvals.len(), &back.approvals[0].digest, back.approvals[0].by_name.as_str()),
        (1, &signed.digest, signed.approvals[0].by_name.as_str())
    );
    assert!(back.actions.iter().all(|a| a.verb != Verb::Edit || a.blocked.is_some()), "it follows from the other plan");
    let gone = s.all_go_back().await;
    assert_eq!(gone, offered[..6].iter().map(|(device, _)| *device).collect());
    let (detail, back) = (s.detail(&id).await, s.way_back_of(&id).await);
    assert_eq!((back.row.state, back.row.counts.total, back.row.counts.succeeded), (RolloutState::Completed, 6, 6));
    assert_eq!(detail.row.summary, "Rolled back. Its way back: Completed: 6 of 6 succeeded");
    assert_eq!(detail.row.state, RolloutState::RolledBack);
    assert!(detail.history.iter().any(|e| e.text.starts_with("Way back begun")));
    s.checked(&id).await;
    s.checked(&back.row.id).await;
    assert_eq!(s.poll_all().await, [], "nobody is sent to and fro");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_gate_that_pauses_is_not_asked_twice_about_the_same(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 5).await;
    let id = s.approved(s.spec(vec![strict(GateAction::Pause)])).await;
    let offered = s.poll_all().await;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Failed).await.unwrap();
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.summary, "Paused in stage 1: 1 of 1 finished devices failed; the limit is 1 in all");
    assert_eq!((detail.row.state, detail.stages[0].state), (RolloutState::Paused, StageState::Running));
    assert_eq!((detail.stages[0].verdict.errors, detail.stages[0].verdict.finished), (1, 1));
    assert_eq!(s.poll_all().await.len(), 0);
    s.rollouts().resume(&s.oli, &id, "go on").await.unwrap();
    assert_eq!((s.state(&id).await, s.everybody_updates().await), (RolloutState::Running, 4));
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 4 of 5 succeeded, 1 failed");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stage_that_a_person_took_past_its_gate_keeps_what_the_gate_saw(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 8).await;
    let gate = GateSpec { success_percent: 80.0, error_percent: 20.0, min_sample: 3, action: GateAction::Pause, ..GateSpec::default() };
    let id = s.approved(s.spec(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }])).await;
    let offered = s.poll_all().await;
    for (device, offer) in &offered[..5] {
        s.succeed(*device, &offer.update_id, "2.0.0", 2).await;
    }
    for (device, offer) in &offered[5..7] {
        s.say(*device, &offer.update_id, UpdateState::Failed).await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    let first = s.detail(&id).await;
    assert_eq!((first.row.state, first.stages[0].verdict.errors, first.stages[0].verdict.finished), (RolloutState::Paused, 2, 7));
    // The two are tried again and fail once more, with the last one.
    s.rollouts().act(&s.oli, &id, Verb::Retry, None, "").await.unwrap();
    s.rollouts().resume(&s.oli, &id, "").await.unwrap();
    let again = s.poll_all().await;
    assert_eq!(again.len(), 3);
    for (device, offer) in &again {
        s.say(*device, &offer.update_id, UpdateState::Failed).await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    let second = s.detail(&id).await;
    let seen = second.stages[0].verdict.clone();
    assert_eq!((second.row.state, seen.call, seen.errors, seen.finished), (RolloutState::Paused, Call::Halt, 3, 3));
    s.w.clock.advance(60_000);
    s.rollouts().resume(&s.oli, &id, "known").await.unwrap();
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    let ended = s.detail(&id).await;
    let kept = &ended.stages[0].verdict;
    assert_eq!((ended.row.state, ended.stages[0].state), (RolloutState::Completed, StageState::Succeeded));
    assert_eq!((kept.call, kept.errors, kept.finished, kept.at), (Call::Wait, 3, 3, seen.at));
    assert_eq!(kept.text, format!("went on by oli in spite of the gate: {}", seen.text));
    let told: Vec<&str> = ended.history.iter().map(|e| e.text.as_str()).filter(|text| text.starts_with("Stage 1 ")).collect();
    assert!(told.contains(&format!("Stage 1 {}", kept.text).as_str()), "{told:?}");
    assert!(ended.history.iter().all(|e| !e.text.contains("passed")), "{told:?}");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_person_takes_it_back_and_a_way_back_that_fails_needs_one(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 6).await;
    let id = s.approved(s.with_way_back(GateAction::Halt).await).await;
    let offered = s.poll_all().await;
    assert_eq!(s.blocked(&id).await.as_deref(), Some("Pause it first."));
    s.go_wrong(&offered).await;
    s.succeed(offered[4].0, &offered[4].1.update_id, "2.0.0", 2).await;
    assert_eq!((s.state(&id).await, s.blocked(&id).await), (RolloutState::Halted, None));
    let viewer = s.w.viewer().await;
    assert_eq!(fault(s.rollouts().roll_back(&viewer, &id, "bad").await).kind, wire::FaultKind::Forbidden);
    s.rollouts().act(&s.oli, &id, Verb::RollBack, None, "it heats up").await.unwrap();
    assert!(s.detail(&id).await.history.iter().any(|e| e.text.contains("it heats up")));
    s.rollouts().tick().await.unwrap();
    // The first that is to go back fails: the rest waits for a person, and the first rollout says so.
    let (device, offer) = s.poll_all().await.remove(0);
    s.say(device, &offer.update_id, UpdateState::Failed).await.unwrap();
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    let (detail, back) = (s.detail(&id).await, s.way_back_of(&id).await);
    assert_eq!((detail.row.state, back.row.state), (RolloutState::RollingBack, RolloutState::Halted));
    assert!(detail.row.summary.starts_with("Rolling back, and its way back needs a person: Halted in stage 1"), "{}", detail.row.summary);
    s.rollouts().stop(&s.oli, &back.row.id, "no good").await.unwrap();
    for (device, offer) in s.poll_all().await {
        s.succeed(device, &offer.update_id, "1.0.0+3", 3).await;
    }
    s.rollouts().tick().await.unwrap();
    s.rollouts().tick().await.unwrap();
    assert_eq!(s.state(&id).await, RolloutState::Halted);
    assert!(s.blocked(&id).await.unwrap().contains("gone back once already"));
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn without_a_way_back_it_halts_and_says_so(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let refused = fault(s.rollouts().draft(&s.oli, s.spec(vec![strict(GateAction::RollBack)])).await);
    assert!(refused.field.as_deref() == Some("way_back") && refused.message.contains("--sequence N"), "{refused:?}");
    // Nobody runs it: there is nothing to take back.
    let id = s.approved(s.with_way_back(GateAction::RollBack).await).await;
    let offered = s.poll_all().await;
    s.say(offered[0].0, &offered[0].1.update_id, UpdateState::Reverted).await.unwrap();
    for (device, offer) in &offered[1..] {
        s.say(*device, &offer.update_id, UpdateState::Rejected).await.unwrap();
    }
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.state, RolloutState::Halted);
    assert!(
        detail.row.summary.ends_with("It can't be rolled back: no device runs it, so there is nothing to take back"),
        "{}",
        detail.row.summary
    );
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_recall_offers_the_way_back(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let id = s.approved(s.with_way_back(GateAction::Halt).await).await;
    let offered = s.poll_all().await;
    for (device, offer) in &offered[..2] {
        s.succeed(*device, &offer.update_id, "2.0.0", 2).await;
    }
    s.w.fleet.releases().act(&s.ada, &s.release, ReleaseVerb::Recall, "it heats up").await.unwrap();
    s.rollouts().tick().await.unwrap();
    let detail = s.detail(&id).await;
    assert_eq!(detail.row.state, RolloutState::Halted);
    assert!(detail.row.summary.contains("The plan has a way back"), "{}", detail.row.summary);
    s.rollouts().roll_back(&s.oli, &id, "recalled").await.unwrap();
    assert_eq!(s.all_go_back().await.len(), 2);
    assert_eq!(s.state(&id).await, RolloutState::RolledBack);
    // The release of the way back is part of what was approved: another one is another digest.
    let other = s.publish("1.0.0+4", 4).await;
    let draft = s
        .rollouts()
        .draft(
            &s.oli,
            RolloutSpec { way_back: Some(other), release: s.publish("3.0.0", 3_000).await, ..s.spec(vec![strict(GateAction::Halt)]) },
        )
        .await;
    assert_eq!(fault(draft).field.as_deref(), Some("way_back"), "its sequence is lower than the release's");
}

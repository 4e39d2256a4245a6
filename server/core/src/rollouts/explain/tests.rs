//! What a device is told, and what of it comes first.

use super::*;
use crate::{
    devices::Selector,
    rollouts::{
        admission::Check,
        stand::{Owed, Owes, UnderWay},
        testing::signed_by,
        throttle::Full,
    },
};
use proptest::prelude::*;
use wire::{
    device::{NO_KEYS, TRUSTED_KEYS},
    rollouts::Budget,
    states::RolloutState,
    updates::Pin,
};

/// A rollout that runs, and whose turn the device is in.
fn running() -> Concern {
    let target = Target {
        device_type: "gateway".into(),
        hardware: vec![],
        version: "1.2.0".into(),
        sequence: 5,
        min_sequence: 0,
        runs: None,
        selector: Selector::everything(),
        signed: None,
    };
    Concern {
        id: crate::rollouts::testing::rollout_id(1),
        name: "spring".into(),
        priority: 50,
        target,
        doors: Doors { state: RolloutState::Running, stage: 1, cut: i64::MAX, until: Timestamp(i64::MAX) },
        summary: String::new(),
        stage_state: Some(StageState::Running),
        last: false,
        device_stage: Some(1),
        place: 0,
        release: ReleaseState::Published,
        damaged: false,
        limited: false,
        full: None,
        turn: None,
        frees: String::new(),
        budgeted: false,
        over_budget: None,
        windowed: false,
        held: None,
        time: Time::Open,
        agreement: Agreement::NotAsked,
        download_only: false,
        begin_at: None,
        ended: None,
        had: Had::Nothing,
        attempts: 0,
    }
}

/// The same, which devices don't come to any more.
fn closed() -> Doors {
    Doors { until: Timestamp(0), ..running().doors }
}

/// The same in another state.
fn in_state(state: RolloutState) -> Doors {
    Doors { state, ..running().doors }
}

/// The same, in which the device had its turn.
fn ended(state: UpdateState, detail: &str) -> Concern {
    Concern { ended: Some((state, detail.to_owned())), had: Had::Turn(None), attempts: 1, ..running() }
}

proptest! {
    /// Whoever is told that nothing keeps it back is let in, and whoever is told a blocker is not.
    #[test]
    fn what_is_told_is_what_is_decided(
        state in proptest::sample::select(vec![RolloutState::Running, RolloutState::Running, RolloutState::Paused, RolloutState::Completed]),
        (stage, own) in (1_u32..3, proptest::option::of(1_u32..4)),
        (place, until) in (0_i64..4, 0_i64..3),
        (had, sequence) in (0_usize..5, 1_i64..7),
        release in proptest::sample::select(vec![ReleaseState::Published, ReleaseState::Deprecated, ReleaseState::Recalled]),
        (damaged, full, over) in (any::<bool>(), any::<bool>(), any::<bool>()),
        (shut, agreed) in (0_i64..3, 0_usize..4),
        (stage_state, last, selected) in (0_usize..3, any::<bool>(), any::<bool>()),
    ) {
        let now = Timestamp(1);
        let had = [Had::Nothing, Had::Again, Had::Turn(None), Had::Turn(Some(Timestamp(0))), Had::Turn(Some(Timestamp(2)))][had];
        let ended = matches!(had, Had::Turn(_)).then(|| (UpdateState::Failed, "flash error".to_owned()));
        let selector = if selected { Selector::everything() } else { Selector::parse("tag:lab").unwrap() };
        let concern = Concern {
            doors: Doors { state, stage, cut: 2, until: Timestamp(until) },
            place,
            device_stage: own,
            stage_state: Some([StageState::Running, StageState::Soaking, StageState::AwaitingPromotion][stage_state]),
            last,
            had,
            ended,
            target: Target { selector, ..running().target },
            release,
            damaged,
            limited: full,
            full: full.then(|| "full.".to_owned()),
            over_budget: over.then(|| ("over.".to_owned(), None)),
            held: (shut > 0).then(|| "shut.".to_owned()),
            time: if shut == 0 { Time::Open } else { Time::Shut((shut == 2).then_some(Timestamp(9))) },
            agreement: [Agreement::NotAsked, Agreement::AtDevice, Agreement::InConsole(true), Agreement::InConsole(false)][agreed],
            ..running()
        };
        let facts = Facts { device_type: "gateway".into(), state: "active".into(), online: true, sequence, ..Facts::default() };
        let decided = concern.known(&facts).let_in(&Check::ALL, now);
        let why = explain(&facts, &Stand::default(), &[concern], now);
        prop_assert_eq!(why.outlook == Outlook::Now, decided.is_ok(), "{:?}: {:?}", decided, why);
        prop_assert_eq!(why.rollouts[0].blocker().is_none(), decided.is_ok());
    }
}

#[test]
fn the_first_blocker_is_told() {
    let facts = Facts {
        device_id: "gw-1".into(),
        device_type: "gateway".into(),
        hardware: "A".into(),
        state: "active".into(),
        online: true,
        sequence: 1,
        attributes: [("site".to_owned(), "Berlin".to_owned())].into(),
        ..Facts::default()
    };
    let running = running();
    let halted = Concern { doors: in_state(RolloutState::Halted), summary: "Halted in stage 1: 3 of 4 failed".into(), ..running.clone() };
    let budget = Budget { attribute: "site".into(), at_most: Some(2), at_most_percent: None };
    let (at_once, of_a_site) = (Full::AtOnce(1), Full::Budget(&budget, 2));
    let full = |full: Full<'_>| full.words(&facts, None);
    let owes = |what| {
        let owes = Owes { rollout: "winter".into(), version: "1.1.0".into(), what, until: Timestamp(7 * 86_400_000) };
        Stand { owes: Some(owes), polls: true, ..Stand::default() }
    };
    let away = Facts { online: false, ..facts.clone() };
    let pin = Pin { at: Timestamp(0), by: "Oli".into(), reason: "it is on show until May.".into() };
    let says_keys = |keys: &str| Facts { attributes: [(TRUSTED_KEYS.to_owned(), keys.to_owned())].into(), ..facts.clone() };
    let signed = Target { signed: Some(signed_by(&["00000000000000aa"])), ..running.target.clone() };
    let signed = Concern { target: signed, ..running.clone() };
    let mut said = Vec::new();
    // More than a stack should hold.
    let cases = vec![
        ("nothing", facts.clone(), Stand::default(), vec![]),
        ("its turn", facts.clone(), Stand::default(), vec![running.clone()]),
        ("offline", away.clone(), Stand::default(), vec![running.clone()]),
        ("polls", away.clone(), Stand { polls: true, ..Stand::default() }, vec![running.clone()]),
        ("owes an answer", away.clone(), owes(Owed::Answer), vec![running.clone()]),
        ("goes on", away.clone(), owes(Owed::Stopping), vec![running.clone()]),
        ("owes an end", away.clone(), owes(Owed::Ending), vec![]),
        (
            "decommissioned",
            Facts { state: "decommissioned".into(), online: false, ..facts.clone() },
            owes(Owed::Answer),
            vec![running.clone()],
        ),
        ("later", facts.clone(), Stand::default(), vec![Concern { device_stage: Some(3), ..running.clone() }]),
        (
            "soaking",
            facts.clone(),
            Stand::default(),
            vec![Concern { stage_state: Some(StageState::Soaking), doors: closed(), ..running.clone() }],
        ),
        ("as many as may at once", facts.clone(), Stand::default(), vec![Concern { full: Some(full(at_once)), ..running.clone() }]),
        (
            "as many as may at once, and by when",
            facts.clone(),
            Stand::default(),
            vec![Concern {
                full: Some(Full::AtOnce(1).words(&facts, Some(Timestamp(7_200_000)))),
                turn: Some(Timestamp(7_200_000)),
                ..running.clone()
            }],
        ),
        (
            "as many as may begin in a minute",
            facts.clone(),
            Stand::default(),
            vec![Concern { full: Some(Full::Rate(10).words(&facts, Some(Timestamp(540_000)))), ..running.clone() }],
        ),
        (
            "as many of its site as may at once",
            facts.clone(),
            Stand::default(),
            vec![Concern { full: Some(full(of_a_site)), ..running.clone() }],
        ),
        (
            "waits for its window",
            facts.clone(),
            Stand::default(),
            vec![Concern {
                held: Some("its window opens Mon 30 Nov 02:00 (Europe/Berlin).".into()),
                time: Time::Shut(None),
                ..running.clone()
            }],
        ),
        ("has fetched", facts.clone(), Stand::default(), vec![Concern { download_only: true, ..ended(UpdateState::Succeeded, "") }]),
        ("halted", facts.clone(), Stand::default(), vec![halted]),
        ("newer", Facts { sequence: 5, ..facts.clone() }, Stand::default(), vec![running.clone()]),
        ("pinned", Facts { pin: Some(pin), sequence: 5, ..facts.clone() }, Stand::default(), vec![running.clone()]),
        ("trusts nobody", says_keys(NO_KEYS), Stand::default(), vec![signed.clone()]),
        ("trusts others", says_keys("00000000000000bb"), Stand::default(), vec![signed.clone()]),
        ("trusts who has signed", says_keys("00000000000000bb 00000000000000aa"), Stand::default(), vec![signed]),
        ("failed", facts.clone(), Stand::default(), vec![ended(UpdateState::Failed, "digest_mismatch")]),
        ("other type", Facts { device_type: "sensor".into(), ..facts.clone() }, Stand::default(), vec![running.clone()]),
        (
            "under way",
            facts.clone(),
            Stand {
                under_way: Some(UnderWay {
                    id: crate::rollouts::testing::rollout_id(1),
                    rollout: "spring".into(),
                    version: "1.2.0".into(),
                    state: UpdateState::Downloading,
                    deadline: Some(Timestamp(600_000)),
                    confirmable: false,
                    put_off: None,
                    denied: None,
                    unproven: None,
                }),
                ..owes(Owed::Answer)
            },
            vec![running],
        ),
    ];
    for (name, facts, stand, concerns) in cases {
        said.push(format!("{name}: {}", explain(&facts, &stand, &concerns, Timestamp(0)).answer));
    }
    insta::assert_snapshot!(said.join("\n"));
}
#[test]
fn who_waits_to_be_tried_again_is_told_when() {
    let facts = Facts { device_id: "gw-1".into(), device_type: "gateway".into(), sequence: 1, ..Facts::default() };
    let failed = Concern { had: Had::Turn(Some(Timestamp(3_600_000))), attempts: 2, ..ended(UpdateState::Failed, "flash error") };
    let said = |concern: Concern| explain(&facts, &Stand::default(), &[concern], Timestamp(0)).answer;
    let told = "“spring” brings 1.2.0: it could not be installed (flash error).";
    assert_eq!(
        said(failed.clone()),
        format!("{told} Tried 2 times; it is offered again in 1 h 00 min, while devices of its stage may come.")
    );
    let paused = Concern { doors: in_state(RolloutState::Paused), summary: "Paused: a moment".into(), ..failed.clone() };
    assert_eq!(
        said(paused),
        format!("{told} Tried 2 times; it is offered again once the rollout is resumed, in 1 h 00 min at the earliest.")
    );
    assert_eq!(said(Concern { doors: in_state(RolloutState::Stopped), ..failed }), told, "nothing comes after the end");
}

#[test]
fn who_is_done_is_not_kept_back() {
    let facts = |sequence, version: &str| Facts {
        device_id: "gw-1".into(),
        device_type: "gateway".into(),
        sequence,
        version: version.into(),
        ..Facts::default()
    };
    for state in [RolloutState::Running, RolloutState::Completed] {
        let done = Concern { doors: in_state(state), ..ended(UpdateState::Succeeded, "") };
        let said = |facts: &Facts| {
            let why = explain(facts, &Stand::default(), std::slice::from_ref(&done), Timestamp(0));
            assert!(why.rollouts.iter().all(|rollout| rollout.blocker().is_none() && rollout.outlook == why.outlook));
            (why.outlook, why.answer)
        };
        assert_eq!(said(&facts(5, "1.2.0")), (Outlook::Done, "“spring” brings 1.2.0: the device runs it.".to_owned()));
        let later = "“spring” brings 1.2.0: it succeeded, and the device runs 1.3.0 by now.";
        assert_eq!(said(&facts(6, "1.3.0")), (Outlook::Done, later.to_owned()));
    }
    let failed = Concern { doors: in_state(RolloutState::Completed), ..ended(UpdateState::Failed, "") };
    let why = explain(&facts(1, "1.0.0"), &Stand::default(), &[failed], Timestamp(0));
    let ended = why.rollouts[0].rules.iter().find(|r| r.rule == Rule::GoesOut).unwrap();
    assert_eq!((why.outlook, ended.fact.as_str()), (Outlook::Blocked, "it has ended."), "not without it");
}

#[test]
fn nobody_is_told_to_wait_for_what_can_not_come() {
    use RolloutState as R;
    let facts = Facts { device_id: "gw-1".into(), device_type: "gateway".into(), sequence: 1, ..Facts::default() };
    let again = |concern: Concern, rule: Rule| {
        let why = explain(&facts, &Stand::default(), &[concern], Timestamp(0));
        why.rollouts[0].rules.iter().find(|r| r.rule == rule).unwrap().again.clone()
    };
    let failed = |state| Concern { doors: in_state(state), ..ended(UpdateState::Failed, "") };
    for state in [R::Running, R::Paused, R::Halted] {
        assert_eq!(again(failed(state), Rule::OwnTurn), "When a person has it tried again.", "{state}");
        let recalled = Concern { release: ReleaseState::Recalled, ..failed(state) };
        assert_eq!(again(recalled, Rule::OwnTurn), "Never by this rollout. Draft one with another release.", "{state}");
    }
    for state in [R::Stopping, R::Stopped, R::Completed, R::RollingBack, R::RolledBack] {
        for rule in [Rule::OwnTurn, Rule::GoesOut] {
            assert!(again(failed(state), rule).starts_with("Never by this rollout"), "{state} {rule:?}");
        }
    }
    let halted = Concern { doors: in_state(R::Halted), ..running() };
    let rules = halted.rules(&facts, &Stand::default(), Timestamp(0));
    assert_eq!(rules.iter().find(|r| r.rule == Rule::Stage).map(|r| r.says), Some(Says::NotYet));
    assert_eq!(again(halted.clone(), Rule::GoesOut), "When a person resumes it.");
    let recalled = Concern { release: ReleaseState::Recalled, ..halted };
    assert_eq!(again(recalled, Rule::GoesOut), "Never by this rollout. Draft one with another release.");
}

#[test]
fn who_holds_the_place_says_when_it_is_looked_at_again() {
    let of = |frees: &str, turn| {
        let kept_back = Concern { full: Some("full.".into()), frees: frees.into(), turn, ..running() };
        let rules = kept_back.rules(&Facts::default(), &Stand::default(), Timestamp(0));
        rules.into_iter().find(|r| r.rule == Rule::AtOnce).map(|r| (r.again, r.again_at)).unwrap()
    };
    let window = "When sim-0001 may install, and is done.";
    assert_eq!(of(window, Some(Timestamp(5))), (window.to_owned(), Some(Timestamp(5))));
    assert_eq!(of("", None), ("When there is room beside the others.".to_owned(), None));
}

#[test]
fn a_later_stage_is_not_called_the_devices_own() {
    let facts = Facts { device_id: "gw-1".into(), device_type: "gateway".into(), sequence: 1, ..Facts::default() };
    let said = |stage| {
        let rules = Concern { doors: Doors { stage, ..running().doors }, ..running() }.rules(&facts, &Stand::default(), Timestamp(0));
        rules.into_iter().find(|r| r.rule == Rule::Stage).map(|r| (r.says, r.fact)).unwrap()
    };
    assert_eq!(said(1), (Says::Met, "stage 1 is running, and it is in it.".to_owned()));
    assert_eq!(said(2), (Says::Met, "it is in stage 1, whose turn has come; stage 2 is running.".to_owned()));
}

#[test]
fn who_does_not_say_whom_it_trusts_is_asked_nothing() {
    let signed = Target { signed: Some(signed_by(&["00000000000000aa"])), ..running().target };
    let signed = Concern { target: signed, ..running() };
    let rule = |keys: Option<&str>| {
        let attributes = keys.map(|keys| (TRUSTED_KEYS.to_owned(), keys.to_owned())).into_iter().collect();
        let facts = Facts { device_type: "gateway".into(), state: "active".into(), attributes, ..Facts::default() };
        let why = explain(&facts, &Stand::default(), std::slice::from_ref(&signed), Timestamp(0));
        why.rollouts[0].rules.iter().find(|r| r.rule == Rule::Signed).unwrap().clone()
    };
    assert_eq!(rule(None).says, Says::NoMatter);
    assert_eq!(rule(Some("00000000000000aa")).says, Says::Met);
    let kept_back = rule(Some(NO_KEYS));
    assert_eq!(kept_back.says, Says::Blocks);
    assert_eq!(kept_back.again, "When the device reports other keys, or one that it trusts has signed the release.");
}

#[test]
fn behind_the_last_stage_nobody_is_told_to_wait_for_another() {
    let (facts, held) = (Facts::default(), Concern { doors: closed(), ..running() });
    let of_stage = |concern: Concern| {
        let rules = concern.rules(&facts, &Stand::default(), Timestamp(1));
        rules.into_iter().find(|r| r.rule == Rule::Stage).map(|r| (r.fact, r.again)).unwrap()
    };
    for (state, what) in [
        (StageState::Soaking, "is being watched"),
        (StageState::AwaitingPromotion, "waits for a person to go on"),
        (StageState::Running, "takes no more devices"),
    ] {
        let now = Concern { stage_state: Some(state), ..held.clone() };
        assert_eq!(of_stage(Concern { last: true, ..now.clone() }).0, format!("stage 1 {what}; nobody comes any more."));
        let again =
            (format!("stage 1 {what}; a retry makes it go on with the device."), "When a person has devices tried again.".to_owned());
        for last in [true, false] {
            let ended = Some((UpdateState::Cancelled, "cancelled by oli".to_owned()));
            assert_eq!(of_stage(Concern { last, ended, ..now.clone() }), again, "it goes on with whom a person has tried again");
        }
        assert_eq!(of_stage(now), (format!("stage 1 {what}; it comes with the next stage."), "When the next stage begins.".to_owned()));
    }
}

#[test]
fn how_far_a_stage_is_says_for_whom_it_waits_and_who_is_left_out() {
    use crate::rollouts::testing::stage;
    use wire::rollouts::{Counts, Reach, Verdict};
    let told = |state, counts: Counts, verdict: Option<Call>, retries| {
        let verdict = verdict.map(|call| Verdict::new(call, ""));
        progress(1, 2, &Stage { state, counts, verdict, ..Stage::pending(stage(Reach::Count(3))) }, retries)
    };
    let failed = Counts { total: 3, failed: 3, ..Counts::default() };
    assert_eq!(told(StageState::Running, failed, None, true), "Stage 1 of 2 waits for retries: 3 of 3 devices finished, 3 failed");
    assert_eq!(told(StageState::Running, failed, None, false), "Stage 1 of 2 is running: 3 of 3 devices finished, 3 failed");
    let coming = Counts { failed: 2, updating: 1, ..failed };
    assert_eq!(told(StageState::Running, coming, None, true), "Stage 1 of 2 is running: 2 of 3 devices finished, 2 failed");
    let aside = Counts { total: 1, left_out: 1, ..Counts::default() };
    let asks = "waits for a person: 0 of 1 device finished, 1 left out";
    assert_eq!(told(StageState::AwaitingPromotion, aside, Some(Call::Wait), false), format!("Stage 1 of 2 {asks}"));
    let well = Counts { total: 3, succeeded: 3, ..Counts::default() };
    let passed = "Stage 1 of 2 passed and waits for a person to go on: 3 of 3 devices finished";
    assert_eq!(told(StageState::AwaitingPromotion, well, Some(Call::Pass), false), passed);
}

//! Seeded storms through the store: faulty devices, two controllers on one database, people who interfere. After every round the kept counts
//! are what counting gives and the course is sound; in the end everything has ended or halted.

use super::{Scene, says, stage};
use crate::{
    db::EngineKind,
    entropy::{Entropy, SeededEntropy},
    rollouts::{
        Rollouts, Saw,
        state::{ROLLOUT, ended},
    },
};
use rstest::rstest;
use wire::{
    device::{Running, StatusReport},
    ids::DeviceId,
    rollouts::{EndClass, GateSpec, Reach, StageSpec, Verb},
    states::{RolloutState, StageState, UpdateState},
};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_ends_in_order(#[values(EngineKind::Sqlite, EngineKind::Postgres)] kind: EngineKind, #[values(1, 2, 3)] seed: u64) {
    let s = Scene::open(kind, 40).await;
    let dice: &dyn Entropy = &SeededEntropy::new(seed);
    let gate = GateSpec {
        success_percent: 50.0,
        error_percent: [30.0, 50.0, 100.0][usize::try_from(seed).unwrap() % 3],
        min_sample: 3,
        max_errors: 0,
        ..GateSpec::default()
    };
    let of = |reach| StageSpec { gate: gate.clone(), soak_s: 30, ..stage(reach) };
    let id = s
        .approved(s.spec(vec![of(Reach::Count(5)), StageSpec { confirm: true, ..of(Reach::Percent(50.0)) }, of(Reach::Percent(100.0))]))
        .await;
    // A second instance over the same database.
    let second = Rollouts::new(
        s.rollouts().db.clone(),
        s.w.clock.clone(),
        s.w.entropy.clone(),
        s.w.fleet.bus().clone(),
        s.w.fleet.telemetry().means(),
        s.rollouts().draws.clone(),
    );
    let rooms = [s.rollouts(), &second];

    for round in 0..60u64 {
        // Devices: each does one thing, all at once, while somebody cancels the update of one, if it has one that can be.
        let room = || rooms[usize::try_from(dice.below(2)).unwrap()];
        let acts = s.devices.iter().map(|device| act(room(), *device, dice.below(1000)));
        let named: DeviceId = format!("gw-{}", dice.below(40) + 1).parse().unwrap();
        let cancels = Box::pin(room().cancel_update(&s.oli, &id, &named, None, "storm"));
        let (_, cancelled) = tokio::join!(futures::future::join_all(acts), cancels);
        drop(cancelled);
        if round % 7 == 3 {
            let reason = "storm";
            match dice.below(4) {
                0 => drop(rooms[0].pause(&s.oli, &id, reason).await),
                1 => {
                    let all = Saw { classes: Some(EndClass::ALL), ..Saw::default() };
                    drop(rooms[1].act_on(&s.oli, &id, Verb::Retry, all, reason).await);
                }
                _ => drop(rooms[1].resume(&s.oli, &id, reason).await),
            }
        }
        let (a, b) = tokio::join!(rooms[0].tick(), rooms[1].tick());
        a.unwrap();
        b.unwrap();
        s.w.clock.advance(i64::try_from(dice.below(90_000)).unwrap());
        s.checked(&id).await;
    }
    // Calm.
    for _ in 0..400 {
        let course = s.checked(&id).await;
        match course.state {
            state if ended(ROLLOUT, state) || state == RolloutState::Halted => return,
            RolloutState::Paused => s.rollouts().resume(&s.oli, &id, "go on").await.unwrap(),
            _ => {}
        }
        if course.current().is_some_and(|s| s.state == StageState::AwaitingPromotion) && course.state == RolloutState::Running {
            s.rollouts().act(&s.oli, &id, Verb::Promote, None, "").await.unwrap();
        }
        for device in &s.devices {
            act(s.rollouts(), *device, 500).await;
        }
        s.rollouts().tick().await.unwrap();
        s.w.clock.advance(6 * 3_600_000);
    }
    panic!("seed {seed}: it never ends: {:?}", s.checked(&id).await);
}

/// Some devices install what was taken back from them; that they are under way with it then holds unless all is over.
async fn goes_on(room: &Rollouts, device: i64) {
    use UpdateState as U;
    if device % 4 != 1 {
        return;
    }
    let updates = room.updates_of(device).await.unwrap();
    if let Some(last) = updates.first().filter(|last| last.state == U::Cancelled) {
        let now = room.report(device, says(&last.id, U::Installing)).await.unwrap();
        assert!(matches!(now, U::Installing | U::Cancelled), "{now}");
    }
}

/// One thing that a device does. `luck` in 0..1000 decides what; the device's number what is wrong with it.
async fn act(room: &Rollouts, device: i64, luck: u64) {
    use UpdateState as U;
    if luck < 100 {
        return;
    }
    let Some(offer) = room.poll(device).await.unwrap() else { return goes_on(room, device).await };
    let state = room.updates_of(device).await.unwrap()[0].state;
    let next = match state {
        U::Offered if device % 11 == 0 => U::Rejected,
        U::Offered => U::Downloading,
        U::Downloading => U::Installing,
        // Some never say another word.
        U::Installing if device % 13 == 0 => return,
        U::Installing if device % 5 == 0 && luck < 600 => U::Failed,
        U::Installing => U::Verifying,
        U::Verifying if device % 7 == 0 => U::Reverted,
        U::Verifying => U::Succeeded,
        _ => return,
    };
    let lies = device % 9 == 0;
    let runs = |version: &str, sequence| Running { version: version.into(), sequence, device_type: "gateway".into(), hardware: "A".into() };
    let firmware = (next == U::Succeeded).then(|| if lies { runs("1.0.0", 1) } else { runs("2.0.0", 2) });
    let report = StatusReport {
        update_id: offer.update_id,
        state: next,
        progress: None,
        code: None,
        detail: None,
        firmware,
        deferred_until: None,
        slots: None,
    };
    let now = room.report(device, report).await.unwrap();
    assert!(!(lies && now == U::Succeeded), "a lie was believed");
}

//! Windows, freezes and fetching only, on both engines.

use super::{Scene, fault, stage};
use crate::{
    bus::{Bus, Event},
    db::{EngineKind, Sql, exec},
    devices::DeviceNo,
    rollouts::Rollouts,
};
use rstest::rstest;
use wire::{
    FaultKind, Timestamp,
    rollouts::{NewFreeze, Reach, RolloutSpec, StageSpec, TimeOfDay, UpdateQuery, UpdateRow, Weekday, Window},
    states::{RolloutState, StageState, UpdateState},
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const ATTRIBUTE: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     VALUES ($1, $2, $3, $4, (SELECT device_id_lower FROM devices WHERE number = $1))
     ON CONFLICT (device, name) DO UPDATE SET value = excluded.value",
);

impl Scene {
    pub(super) async fn reports(&self, device: DeviceNo, name: &str, value: &str) {
        let mut tx = self.rollouts().db.write().await.unwrap();
        exec!(&mut tx, ATTRIBUTE, device, self.w.org.as_str(), name, value).unwrap();
        tx.commit().await.unwrap();
    }

    /// A window of every day that opens in so many minutes and is open for an hour, in UTC.
    pub(super) fn opens_in(&self, minutes: i64) -> Window {
        let now = self.w.clock_now().0 / MINUTE;
        let time = |at: i64| TimeOfDay::of_minutes(u16::try_from(at % 1440).unwrap()).unwrap();
        Window { days: Weekday::ALL.to_vec(), from: time(now + minutes), until: time(now + minutes + 60), zone: "UTC".into() }
    }

    pub(super) async fn launches(&self, spec: RolloutSpec) -> wire::ids::RolloutId {
        let id = self.approved(spec).await;
        self.rollouts().tick().await.unwrap();
        id
    }

    pub(super) fn all(&self) -> RolloutSpec {
        self.spec(vec![stage(Reach::Percent(100.0))])
    }

    fn later(&self, millis: i64) -> Timestamp {
        self.w.clock_now().plus(millis)
    }

    async fn pass(&self, millis: i64) {
        self.w.clock.advance(millis);
        self.rollouts().tick().await.unwrap();
    }
}

fn freeze(from: Timestamp, until: Timestamp) -> NewFreeze {
    NewFreeze { name: "year's end".into(), reason: "nobody is there".into(), from, until }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn nothing_is_offered_outside_the_window_of_a_device(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    // The memory of who has nothing to do must not outlast the opening.
    room.hears(None);
    s.reports(s.devices[1], "timezone", "Asia/Kathmandu").await;
    s.reports(s.devices[2], "timezone", "Mars/Phobos").await;
    let id = s.launches(RolloutSpec { window: Some(s.opens_in(5)), ..s.all() }).await;
    assert!(s.poll_all().await.is_empty());
    let why = room.explain(s.devices[0]).await.unwrap();
    assert!(why.contains("brings 2.0.0: its window opens ") && why.ends_with("(UTC)."), "{why}");
    assert!(room.explain(s.devices[1]).await.unwrap().ends_with("(Asia/Kathmandu)."));
    s.pass(5 * MINUTE - 1).await;
    assert!(s.poll_all().await.is_empty());
    s.pass(1).await;
    let first = room.poll(s.devices[2]).await.unwrap().expect("its window has opened");
    assert_eq!(first.install_from, Some(s.w.clock_now()));
    assert!(room.poll(s.devices[1]).await.unwrap().is_none(), "Nepal is elsewhere");
    assert_eq!(s.succeed(s.devices[2], &first.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    // One has not begun when the window closes: it does not find it again before the next, and does not time out while it asks.
    s.pass(45 * MINUTE).await;
    let late = room.poll(s.devices[0]).await.unwrap().expect("still open");
    s.pass(20 * MINUTE).await;
    for _ in 0..22 {
        assert!(room.poll(s.devices[0]).await.unwrap().is_none(), "closed");
        s.pass(HOUR).await;
    }
    s.pass(HOUR).await;
    let again = room.poll(s.devices[0]).await.unwrap().expect("open again");
    assert_eq!(again.update_id, late.update_id);
    let nepal = s.checked(&id).await;
    assert_eq!((nepal.totals().succeeded, nepal.totals().errors()), (1, 0));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_waits_by_itself_fetches_early_and_does_not_time_out(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    s.reports(device, "waits_for_window", "yes").await;
    let id = s.launches(RolloutSpec { window: Some(s.opens_in(6 * 60)), ..s.all() }).await;
    let offer = room.poll(device).await.unwrap().expect("early");
    assert_eq!((offer.install_from, offer.install_until), (Some(s.later(6 * HOUR)), Some(s.later(7 * HOUR))));
    assert_eq!(offer.deadline, s.later(7 * HOUR), "the time-out counts from the opening on");
    let update = &offer.update_id;
    s.say(device, update, UpdateState::Downloading).await.unwrap();
    s.say(device, update, UpdateState::Downloaded).await.unwrap();
    assert_eq!(s.say(device, update, UpdateState::AwaitingWindow).await.unwrap(), UpdateState::AwaitingWindow);
    let why = room.explain(device).await.unwrap();
    assert!(why.contains("the device waits for its maintenance window. It waits: its window opens"), "{why}");
    s.pass(6 * HOUR).await;
    assert_eq!(room.poll(device).await.unwrap().unwrap().update_id, *update);
    s.say(device, update, UpdateState::Installing).await.unwrap();
    assert_eq!(s.succeed(device, update, "2.0.0", 2).await, UpdateState::Succeeded);
    s.pass(0).await;
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    // Who falls silent in the installation times out as ever.
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stage_waits_until_every_window_of_a_week_has_opened(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 4).await;
    let window = Window { days: vec![Weekday::Mon], ..s.opens_in(0) };
    let stages = vec![stage(Reach::Percent(50.0)), stage(Reach::Percent(100.0))];
    let id = s.launches(RolloutSpec { window: Some(window), ..s.spec(stages) }).await;
    for _ in 0..7 {
        s.pass(24 * HOUR).await;
        assert_eq!(s.detail(&id).await.stages[0].state, StageState::Running);
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_only_fetched_succeeds_when_it_is_there(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let id = s.launches(RolloutSpec { download_only: true, ..s.all() }).await;
    let offer = room.poll(device).await.unwrap().unwrap();
    assert!(offer.download_only && !offer.soft);
    s.say(device, &offer.update_id, UpdateState::Downloading).await.unwrap();
    let download = &offer.downloads[0];
    s.sends(device, &download.sha256, 0..download.size).await;
    assert_eq!(s.say(device, &offer.update_id, UpdateState::Downloaded).await.unwrap(), UpdateState::Succeeded);
    assert_eq!(room.poll(device).await.unwrap(), None, "not again");
    let why = room.explain(device).await.unwrap();
    assert!(why.ends_with("brings 2.0.0: the device has fetched it."), "{why}");
    s.pass(0).await;
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    assert_eq!(s.checked(&id).await.totals().succeeded, 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_word_that_it_was_fetched_counts_for_what_was_sent(#[case] kind: EngineKind) {
    use UpdateState::{Failed, Succeeded};
    let s = Scene::open(kind, 6).await;
    let room = s.rollouts();
    let id = s.launches(RolloutSpec { download_only: true, ..s.all() }).await;
    let offered = s.poll_all().await;
    let file = offered[0].1.downloads[0].clone();
    let mut ends = Vec::new();
    for (n, (device, offer)) in offered.iter().enumerate() {
        let update = &offer.update_id;
        // The last one says nothing of it until it is done.
        if n < 5 {
            s.say(*device, update, UpdateState::Downloading).await.unwrap();
        }
        match n {
            // Over several connections, the last of which overlaps; and all but a byte amid it.
            0 => {
                s.sends(*device, &file.sha256, 3..file.size).await;
                s.sends(*device, &file.sha256, 0..4).await;
            }
            1 => {
                s.sends(*device, &file.sha256, 0..3).await;
                s.sends(*device, &file.sha256, 4..file.size).await;
            }
            5 => s.sends(*device, &file.sha256, 0..file.size).await,
            // Nothing: what another device was sent is not theirs.
            _ => {}
        }
        // That it succeeded is no better than that it has downloaded.
        let word = if n >= 4 { UpdateState::Succeeded } else { UpdateState::Downloaded };
        ends.push(s.say(*device, update, word).await.unwrap());
        assert_eq!(s.say(*device, update, word).await.unwrap(), ends[n], "said again it changes nothing");
    }
    assert_eq!(ends, [Succeeded, Failed, Failed, Failed, Failed, Succeeded]);
    let listed = room.page(&s.ada, &id, &UpdateQuery::default()).await.unwrap().updates.items;
    let told = |row: &UpdateRow| (row.state == Failed) == (row.code == "not_fetched");
    assert!(listed.len() == 6 && listed.iter().all(told), "{listed:?}");
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_installed_is_judged_by_what_runs_and_not_by_what_was_sent(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let device = s.devices[0];
    s.launches(s.all()).await;
    let offer = s.rollouts().poll(device).await.unwrap().unwrap();
    let fetching = s.rollouts().may_download(device, &offer.downloads[0].sha256).await.unwrap().unwrap();
    assert!(!fetching.counted, "nothing is written down of what is sent");
    assert_eq!(s.say(device, &offer.update_id, UpdateState::Downloaded).await.unwrap(), UpdateState::Downloaded);
    assert_eq!(s.say(device, &offer.update_id, UpdateState::Installing).await.unwrap(), UpdateState::Installing);
    assert_eq!(s.say(device, &offer.update_id, UpdateState::Succeeded).await.unwrap(), UpdateState::Failed, "it runs what it ran");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_freeze_holds_new_offers_until_it_ends(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    room.hears(None);
    let until = s.later(40 * 24 * HOUR);
    assert_eq!(fault(room.freeze(&s.oli, freeze(Timestamp(0), until)).await).kind, FaultKind::Forbidden);
    for (wrong, field) in [
        (NewFreeze { name: " ".into(), ..freeze(Timestamp(0), until) }, "name"),
        (NewFreeze { name: "\u{202e}abc".into(), ..freeze(Timestamp(0), until) }, "name"),
        (NewFreeze { name: "two\nlines".into(), ..freeze(Timestamp(0), until) }, "name"),
        (NewFreeze { reason: "\u{2066}nobody".into(), ..freeze(Timestamp(0), until) }, "reason"),
        (freeze(Timestamp(0), s.w.clock_now()), "until"),
        (freeze(s.later(HOUR), s.later(HOUR)), "until"),
        (freeze(Timestamp(0), s.later(400 * 24 * HOUR)), "until"),
    ] {
        assert_eq!(fault(room.freeze(&s.ada, wrong).await).field.as_deref(), Some(field));
    }
    let stages = vec![stage(Reach::Count(1)), stage(Reach::Percent(100.0))];
    let id = s.launches(s.spec(stages)).await;
    let begun = s.poll_all().await;
    assert_eq!(begun.len(), 1);
    s.say(begun[0].0, &begun[0].1.update_id, UpdateState::Downloading).await.unwrap();
    let made = room.freeze(&s.ada, freeze(Timestamp(0), until)).await.unwrap();
    room.hears(Some(&Event::Frozen { org: s.w.org.clone() }));
    let why = room.explain(begun[0].0).await.unwrap();
    assert!(why.contains("downloading.") && !why.contains("frozen"), "a freeze stops nothing that was begun: {why}");
    // What is installing goes on, and its stage ends; the next one begins and offers nothing.
    assert_eq!(s.succeed(begun[0].0, &begun[0].1.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    s.pass(0).await;
    assert!(s.poll_all().await.is_empty());
    let waiting = s.devices.iter().find(|d| **d != begun[0].0).unwrap();
    let why = room.explain(*waiting).await.unwrap();
    assert!(why.contains("frozen until ") && why.ends_with("year's end."), "{why}");
    // Longer than the patience of the last stage, and its doors are still open.
    for _ in 0..35 {
        s.pass(24 * HOUR).await;
    }
    assert_eq!(s.detail(&id).await.stages[1].state, StageState::Running);
    assert_eq!(room.freezes(&s.oli).await.unwrap().freezes, std::slice::from_ref(&made));
    assert!(s.poll_all().await.is_empty());
    assert_eq!(fault(room.end_freeze(&s.ada, &made.id, "\u{202e}").await).field.as_deref(), Some("reason"));
    for nothing in ["", " \n"] {
        let refused = fault(room.end_freeze(&s.ada, &made.id, nothing).await);
        assert_eq!((refused.field.as_deref(), refused.message.as_str()), (Some("reason"), "Say why: it stays in the audit log."));
    }
    assert_eq!(room.freezes(&s.oli).await.unwrap().freezes, std::slice::from_ref(&made), "it goes on");
    room.end_freeze(&s.ada, &made.id, " the fix is urgent ").await.unwrap();
    let log = s.w.fleet.access().audit_page(&s.ada, None).await.unwrap().entries.items;
    let lifted = log.iter().find(|e| e.action == "freeze.end" && e.object == made.id.as_str()).unwrap();
    assert!(lifted.actor.contains("ada") && lifted.detail.contains("\"lifted\":true"), "{lifted:?}");
    let reasons = [r#""reason":"nobody is there""#, r#""end_reason":"the fix is urgent""#];
    assert!(reasons.iter().all(|reason| lifted.detail.contains(reason)), "why it was made, and why it ended: {lifted:?}");
    room.hears(Some(&Event::Frozen { org: s.w.org.clone() }));
    assert_eq!(fault(room.end_freeze(&s.ada, &made.id, "").await).kind, FaultKind::Conflict);
    assert_eq!(s.everybody_updates().await, 2);
    assert_eq!(s.state(&id).await, RolloutState::Completed);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_may_go_on_in_a_freeze_and_the_next_device_waits_for_its_end(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let room = s.rollouts();
    room.hears(None);
    room.freeze(&s.ada, freeze(Timestamp(0), s.later(5 * MINUTE))).await.unwrap();
    let urgent = RolloutSpec { name: "urgent".into(), during_freeze: true, selector: "id:gw-1".into(), ..s.all() };
    s.launches(urgent).await;
    s.launches(RolloutSpec { selector: "-id:gw-1".into(), ..s.all() }).await;
    assert_eq!(s.poll_all().await.iter().map(|(device, _)| *device).collect::<Vec<_>>(), [s.devices[0]]);
    s.pass(5 * MINUTE).await;
    assert!(room.poll(s.devices[1]).await.unwrap().is_some(), "the memory of who has nothing ends with the freeze");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_preview_says_how_times_fall(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let room = s.rollouts();
    s.reports(s.devices[0], "timezone", "Asia/Tokyo").await;
    assert_eq!(room.preview(&s.oli, &s.all()).await.unwrap().times, None);
    let plan = RolloutSpec { window: Some(s.opens_in(30)), ..s.all() };
    let times = room.preview(&s.oli, &plan).await.unwrap().times.unwrap();
    assert_eq!((times.zoneless, times.first, times.conflicts.len()), (2, Some(s.later(30 * MINUTE)), 0));
    room.freeze(&s.ada, freeze(Timestamp(0), s.later(3 * HOUR))).await.unwrap();
    let times = room.preview(&s.oli, &plan).await.unwrap().times.unwrap();
    assert!(times.conflicts[0].contains("starts in the freeze"), "{:?}", times.conflicts);
    assert!(times.conflicts[1].contains("lies in the freeze “year's end”"), "{:?}", times.conflicts);
    let wrong = StageSpec { soak_s: 0, ..stage(Reach::Percent(100.0)) };
    let broken = RolloutSpec { window: Some(Window { zone: "Berlin".into(), ..s.opens_in(1) }), ..s.spec(vec![wrong]) };
    let problems = room.preview(&s.oli, &broken).await.unwrap().problems;
    assert_eq!(problems[0].field, "window.zone");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_freeze_that_another_process_ended_is_noticed_with_the_next_tick(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    room.hears(None);
    let elsewhere = Rollouts::new(
        room.db.clone(),
        s.w.clock.clone(),
        s.w.entropy.clone(),
        Bus::default(),
        s.w.fleet.telemetry().means(),
        room.draws.clone(),
    );
    let mut events = s.w.fleet.bus().listen();
    let hear = |events: &mut tokio::sync::broadcast::Receiver<Event>| {
        let told = Scene::told(events);
        for event in &told {
            room.hears(Some(event));
        }
        told.into_iter().filter(|event| matches!(event, Event::Frozen { .. })).count()
    };
    room.tick().await.unwrap();
    let freeze = elsewhere.freeze(&s.ada, freeze(Timestamp(0), s.later(40 * 24 * HOUR))).await.unwrap();
    room.tick().await.unwrap();
    assert_eq!(hear(&mut events), 1);
    s.launches(s.all()).await;
    hear(&mut events);
    assert!(room.poll(device).await.unwrap().is_none());
    elsewhere.end_freeze(&s.ada, &freeze.id, "the fix is urgent").await.unwrap();
    assert!(room.poll(device).await.unwrap().is_none(), "nobody has told it yet, and it is known to have nothing");
    room.tick().await.unwrap();
    assert_eq!(hear(&mut events), 1);
    assert!(room.poll(device).await.unwrap().is_some());
    room.tick().await.unwrap();
    assert_eq!(hear(&mut events), 0, "told once");
}

//! The slots that devices say: kept as they were said last, written where they changed.

use super::presence::hello;
use crate::{
    access::Actor,
    db::{EngineKind, Sql, counting, row},
    devices::{Connected, DeviceNo},
    testing::World,
};
use rstest::rstest;
use wire::{
    Timestamp,
    device::Hello,
    slots::{DeviceSlot, Slot, SlotState, Slots},
    states::DeviceStep,
};

fn slots(all: &[(&str, &str, SlotState)]) -> Slots {
    let slot = |(name, version, state): &(&str, &str, SlotState)| Slot {
        name: (*name).to_owned(),
        version: (!version.is_empty()).then(|| (*version).to_owned()),
        state: *state,
    };
    Slots::try_from(all.iter().map(slot).collect::<Vec<_>>()).unwrap()
}

fn up(w: &World, device: DeviceNo, slots: Option<Slots>) {
    let hello = Hello { slots, ..hello() };
    w.fleet.devices().connected(Connected { org: w.org.clone(), device, address: "::1".into(), hello });
}

/// What is shown of it once everything is written.
async fn shown(w: &World, device_id: &str) -> Vec<DeviceSlot> {
    w.fleet.devices().flush_presence(false).await.unwrap();
    let system = Actor::system(w.org.clone());
    w.fleet.devices().detail(&system, &device_id.parse().unwrap()).await.unwrap().1.slots
}

fn slot(name: &str, version: &str, state: SlotState, since: Timestamp) -> DeviceSlot {
    DeviceSlot { name: name.into(), version: (!version.is_empty()).then(|| version.to_owned()), state, since }
}

const RUNS_A: [(&str, &str, SlotState); 2] = [("a", "1.0.0", SlotState::Running), ("b", "", SlotState::Empty)];

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn slots_are_what_a_device_said_last_each_with_since_when(#[case] kind: EngineKind) {
    use SlotState::{Good, Running, Trying};
    let w = World::open(kind).await;
    let device = w.device("gw-1", "gateway").await;
    up(&w, device, None);
    assert!(shown(&w, "gw-1").await.is_empty(), "an old agent says none");

    let first = w.clock_now();
    up(&w, device, Some(slots(&RUNS_A)));
    assert_eq!(shown(&w, "gw-1").await, [slot("a", "1.0.0", Running, first), slot("b", "", SlotState::Empty, first)]);
    w.clock.advance(5000);
    let installed = w.clock_now();
    // What is said on a channel stands behind its hello, also when neither was written yet.
    up(&w, device, Some(slots(&RUNS_A)));
    w.fleet.devices().says_slots(&w.org, device, slots(&[("a", "1.0.0", Running), ("b", "2.0.0", Good)]));
    assert_eq!(shown(&w, "gw-1").await, [slot("a", "1.0.0", Running, first), slot("b", "2.0.0", Good, installed)]);
    w.clock.advance(5000);
    let tried = w.clock_now();
    up(&w, device, Some(slots(&[("a", "1.0.0", Good), ("b", "2.0.0", Trying)])));
    assert_eq!(shown(&w, "gw-1").await, [slot("a", "1.0.0", Good, tried), slot("b", "2.0.0", Trying, tried)]);
    w.clock.advance(5000);
    w.fleet.devices().says_slots(&w.org, device, slots(&[("a", "1.0.0", Good), ("b", "2.0.0", Running)]));
    assert_eq!(shown(&w, "gw-1").await, [slot("a", "1.0.0", Good, tried), slot("b", "2.0.0", Running, w.clock_now())]);

    up(&w, device, None);
    assert!(shown(&w, "gw-1").await.is_empty(), "it went back to an agent that says none");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn slots_that_are_said_again_are_read_once_for_all_and_not_written(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let mut numbers = Vec::new();
    for n in 1..=3 {
        numbers.push(w.device(&format!("gw-{n}"), "gateway").await);
    }
    let all_come = async || {
        for device in &numbers {
            up(&w, *device, Some(slots(&RUNS_A)));
        }
        let (flushed, ran) = counting::counted(w.fleet.devices().flush_presence(false)).await;
        flushed.unwrap();
        let of = |verb: &str| ran.iter().filter(|one| one.sql.contains("device_slots") && one.sql.starts_with(verb)).count();
        (of("SELECT"), of("INSERT"))
    };
    assert_eq!(all_come().await, (1, 3));
    let since = w.clock_now();
    w.clock.advance(5000);
    assert_eq!(all_come().await, (1, 0));
    assert_eq!(shown(&w, "gw-3").await, [slot("a", "1.0.0", SlotState::Running, since), slot("b", "", SlotState::Empty, since)]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_deleted_device_takes_its_slots_along(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let device = w.device("gw-1", "gateway").await;
    up(&w, device, Some(slots(&RUNS_A)));
    assert_eq!(shown(&w, "gw-1").await.len(), 2);
    let devices = w.fleet.devices();
    devices.change(&admin, &"gw-1".parse().unwrap(), DeviceStep::Delete).await.unwrap();
    let kept = row!(&mut devices.db.read().await.unwrap(), (i64,), Sql::same("SELECT COUNT(*) FROM device_slots")).unwrap();
    assert_eq!(kept, Some((0,)));
}

//! Devices that people pin to what they run: no draw has them, no offer reaches them, and what was offered is taken back. On both engines.

use super::{Scene, fault, stage};
use crate::{bus::Event, db::EngineKind, rollouts::store::turns};
use rstest::rstest;
use wire::{
    FaultKind,
    ids::DeviceId,
    rollouts::{Excluded, Outlook, PreviewQuery, Reach, Rule},
    states::{DeviceStep, UpdateState},
};

fn named(n: usize) -> DeviceId {
    format!("gw-{n}").parse().unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_pinned_device_is_in_no_draw_and_is_told_why(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 3).await;
    let (room, device, vic) = (s.rollouts(), s.devices[0], s.w.viewer().await);
    assert_eq!(fault(room.pin(&vic, &named(1), "on show").await).kind, FaultKind::Forbidden);
    assert_eq!(fault(room.pin(&s.oli, &named(1), " ").await).field.as_deref(), Some("reason"));
    assert_eq!(fault(room.pin(&s.oli, &named(9), "on show").await).kind, FaultKind::NotFound);
    let pin = room.pin(&s.oli, &named(1), " on show until May ").await.unwrap();
    assert_eq!((pin.by.as_str(), pin.at, pin.reason.as_str()), (s.oli.label().as_str(), s.w.clock_now(), "on show until May"));
    assert_eq!(s.w.fleet.device(&s.oli, &named(1)).await.unwrap().pin, Some(pin.clone()));

    // The dry run leaves it out, and says of it who, when and why.
    let spec = s.spec(vec![stage(Reach::Percent(100.0))]);
    let preview = room.preview(&s.oli, &spec).await.unwrap();
    assert_eq!((preview.total, preview.excluded), (2, vec![Excluded { reason: "pinned to what it runs".into(), devices: 1 }]));
    let draft = room.draft(&s.oli, spec.clone()).await.unwrap();
    let left_out = PreviewQuery { stage: Some(0), ..PreviewQuery::default() };
    let listed = room.preview_devices(&s.oli, &draft, &left_out).await.unwrap().items;
    assert_eq!(listed.iter().map(|d| (d.device_id.as_str(), d.reason.clone())).collect::<Vec<_>>(), [("gw-1", Some(pin.words()))]);

    let id = s.approved(spec).await;
    assert_eq!(s.poll_all().await.len(), 2);
    let why = room.explained(device).await.unwrap();
    let blocker = why.rollouts[0].blocker().unwrap();
    assert_eq!((why.outlook, blocker.rule, blocker.fact.as_str()), (Outlook::Blocked, Rule::Pinned, format!("{}.", pin.words()).as_str()));
    assert_eq!(s.everybody_updates().await, 2);
    assert_eq!(s.detail(&id).await.row.summary, "Completed: 2 of 2 succeeded");
    s.checked(&id).await;

    // Whoever pins it once more is who has pinned it, and it is in the books each time.
    let again = room.pin(&s.ada, &named(1), "a customer asks for it").await.unwrap();
    assert_eq!(s.w.fleet.device(&s.oli, &named(1)).await.unwrap().pin, Some(again));
    assert_eq!(fault(room.unpin(&vic, &named(1)).await).kind, FaultKind::Forbidden);
    for _ in 0..2 {
        room.unpin(&s.oli, &named(1)).await.unwrap();
    }
    assert_eq!(s.w.fleet.device(&s.oli, &named(1)).await.unwrap().pin, None);
    let booked: Vec<String> = s.audited().await.into_iter().filter(|action| action.ends_with("pin")).collect();
    assert_eq!(booked, ["device.unpin", "device.pin", "device.pin"], "what changes nothing is no entry");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_offer_that_has_not_begun_is_taken_back_and_comes_again(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 2).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    let first = room.poll(device).await.unwrap().expect("an offer");
    let mut events = s.w.fleet.bus().listen();
    room.pin(&s.oli, &named(1), "on show").await.unwrap();
    let cancelled = Event::Cancelled { org: s.w.org.clone(), device, update: first.update_id.clone() };
    assert!(Scene::told(&mut events).contains(&cancelled), "its channel is told");
    let standing = room.standing(device, Some(&first.update_id)).await.unwrap();
    assert!(standing.taken_back && standing.offer.is_none());
    let totals = s.checked(&id).await.totals();
    assert_eq!((totals.total, totals.waiting, totals.updating), (2, 2, 0));

    room.unpin(&s.oli, &named(1)).await.unwrap();
    // Ids of one millisecond have no order.
    s.w.clock.advance(1000);
    let second = room.poll(device).await.unwrap().expect("it is offered again");
    assert_ne!(second.update_id, first.update_id);
    let updates = room.updates_of(device).await.unwrap();
    assert_eq!((updates[0].attempt, updates[1].state), (1, UpdateState::Cancelled), "what was taken back was no attempt");
    s.checked(&id).await;

    // What it has begun goes on.
    s.say(device, &second.update_id, UpdateState::Downloading).await.unwrap();
    room.pin(&s.oli, &named(1), "on show").await.unwrap();
    assert_eq!(room.poll(device).await.unwrap().map(|offer| offer.update_id), Some(second.update_id.clone()));
    assert_eq!(s.succeed(device, &second.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
    s.checked(&id).await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn of_an_offer_and_a_pin_at_once_the_later_one_sees_the_other(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let (room, device) = (s.rollouts(), s.devices[0]);
    s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    for _ in 0..10 {
        let name = named(1);
        let (offered, pinned) = tokio::join!(room.poll(device), room.pin(&s.oli, &name, "on show"));
        offered.unwrap();
        pinned.unwrap();
        let open = turns::open_of(&mut room.db.read().await.unwrap(), device).await.unwrap();
        assert!(open.is_none(), "{open:?}");
        room.unpin(&s.oli, &name).await.unwrap();
    }
    assert!(room.poll(device).await.unwrap().is_some());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_leaves_the_fleet_is_pinned_no_longer(#[case] kind: EngineKind) {
    let s = Scene::open(kind, 1).await;
    let room = s.rollouts();
    room.pin(&s.oli, &named(1), "on show").await.unwrap();
    s.w.fleet.devices().change(&s.ada, &named(1), DeviceStep::Decommission).await.unwrap();
    assert_eq!(s.w.fleet.device(&s.oli, &named(1)).await.unwrap().pin, None);
    assert_eq!(fault(room.pin(&s.oli, &named(1), "on show").await).kind, FaultKind::Conflict);
}

//! Orders to many to renew that are cut short: another instance goes on with them, and nobody is asked twice.

use super::renewals::{enrol, gateways};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, exec},
    testing::{START, World, postgres},
};
use rstest::rstest;
use wire::{
    Timestamp,
    pki::{ManyRenewals, RenewalUnderWay},
    states::DeviceStep as Step,
};

const MINUTE: i64 = 60_000;
const ASKS: Sql = Sql::same("UPDATE renewal_parts SET devices = $2 WHERE order_id = $1");

/// When it was ordered of each of these devices that they renew, and when they are told.
async fn asked(w: &World, devices: &[i64]) -> Vec<(Option<Timestamp>, Option<Timestamp>)> {
    let mut of = Vec::new();
    for device in devices {
        let own = w.fleet.pki().certificates_of(&mut w.fleet.devices().db.read().await.unwrap(), *device).await.unwrap();
        of.push((own[0].renew_ordered_at, own[0].renew_due_at));
    }
    of
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_an_order_that_was_cut_short_is_carried_on_by_another_instance(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    let system = Actor::system(w.org.clone());
    let mut numbers = Vec::new();
    for n in 1..=7 {
        numbers.push(enrol(&w, &format!("gw-{n}")).await.device);
    }
    // Two at a time: the server ends after the first two.
    let (given, order) = w.fleet.devices().give_order(&system, &gateways(Some(7), 7)).await.unwrap();
    assert!(order.is_some());
    assert_eq!((given.asked, given.minutes), (7, 7));
    let due = |n: i64| (Some(START), Some(START.plus(n * MINUTE)));
    let nobody = (None, None);
    assert_eq!(asked(&w, &numbers).await, [due(0), due(1), nobody, nobody, nobody, nobody, nobody]);
    let under_way = RenewalUnderWay {
        about: "type:gateway".into(),
        authority: None,
        ordered_at: START,
        ordered_by: system.label(),
        asked: 7,
        reached: 2,
    };
    assert_eq!(w.fleet.devices().renewals_under_way(&w.viewer().await).await.unwrap(), std::slice::from_ref(&under_way));

    // Another order leaves out whom this one asks, reached or not, and nothing else is meant by it.
    let ManyRenewals { asked: more, already_asked, .. } = w.fleet.devices().order_renewals(&system, &gateways(None, 7)).await.unwrap();
    assert_eq!((more, already_asked), (0, 7));
    w.clock.advance(1000);
    let by_itself = w.clock_now();
    w.fleet.devices().order_renewal(&system, &"gw-4".parse().unwrap()).await.unwrap();
    w.fleet.devices().change(&system, &"gw-5".parse().unwrap(), Step::Suspend).await.unwrap();
    let folder = w.close().await;

    let later = START.plus(90_000);
    let w = World::open_when(folder, url, 2, later, |pki| pki).await.unwrap();
    let devices = w.fleet.devices();
    assert_eq!(devices.renewals_under_way(&system).await.unwrap(), [under_way]);
    let (one, other) = tokio::join!(devices.carry_on_renewals(), devices.carry_on_renewals());
    one.unwrap();
    other.unwrap();
    // As it was spread when it was given; whom somebody else has asked, or has suspended, is left as it is.
    let went_on = |n: i64| (Some(later), Some(START.plus(n * MINUTE)));
    let all = [due(0), due(1), went_on(2), (Some(by_itself), Some(by_itself)), nobody, went_on(5), went_on(6)];
    assert_eq!(asked(&w, &numbers).await, all);
    assert!(devices.renewals_under_way(&system).await.unwrap().is_empty());

    w.clock.advance(1000);
    devices.carry_on_renewals().await.unwrap();
    assert_eq!(asked(&w, &numbers).await, all, "nobody is asked twice");
    let log = w.fleet.access().search_audit(&system, "device.renew_many", None).await.unwrap().entries.items;
    assert_eq!(log.len(), 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_an_order_of_one_authority_is_carried_on_for_its_certificates_alone(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (system, devices) = (Actor::system(w.org.clone()), w.fleet.devices());
    let mut numbers = Vec::new();
    for n in 1..=3 {
        numbers.push(enrol(&w, &format!("gw-{n}")).await.device);
    }
    let authority = w.fleet.pki().list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    let many = wire::pki::RenewMany { authority: Some(authority.to_string()), ..gateways(Some(3), 3) };
    devices.give_order(&system, &many).await.unwrap();
    let under_way = devices.renewals_under_way(&system).await.unwrap();
    assert_eq!((under_way[0].authority.as_ref(), under_way[0].about.as_str()), (Some(&authority), authority.as_str()));
    // Of any authority's certificates more may be meant: whoever asks for those is not told that it is done.
    let would = devices.preview_renewals(&system, &gateways(Some(3), 3)).await.unwrap();
    assert_eq!((would.asked, would.already_asked), (1, 2));
    let would = devices.preview_renewals(&system, &many).await.unwrap();
    assert_eq!((would.asked, would.already_asked), (0, 3));
    devices.carry_on_renewals().await.unwrap();
    assert_eq!(asked(&w, &numbers[2..]).await, [(Some(START), Some(START.plus(2 * MINUTE)))]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_an_order_that_fails_keeps_no_younger_one_from_going_on(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (system, devices) = (Actor::system(w.org.clone()), w.fleet.devices());
    // Each asks two at once, and has one left.
    let (mut numbers, mut orders) = (Vec::new(), Vec::new());
    for all in [3, 6] {
        while numbers.len() < all {
            numbers.push(enrol(&w, &format!("gw-{}", numbers.len() + 1)).await.device);
        }
        w.clock.advance(1000);
        let (given, order) = devices.give_order(&system, &gateways(Some(3), i64::try_from(all).unwrap())).await.unwrap();
        assert_eq!(given.asked, 3);
        orders.push(order.unwrap());
    }
    let left = async |kept: &str| {
        let mut tx = devices.db.write().await.unwrap();
        assert_eq!(exec!(&mut tx, ASKS, orders[0].as_str(), kept).unwrap(), 1);
        tx.commit().await.unwrap();
    };
    let is_asked = async || asked(&w, &[numbers[2], numbers[5]]).await.into_iter().map(|(at, _)| at.is_some()).collect::<Vec<_>>();
    left("?").await;
    assert!(devices.carry_on_renewals().await.is_err(), "somebody has to look at it");
    assert_eq!(is_asked().await, [false, true]);
    left(&format!("[{}]", numbers[2])).await;
    devices.carry_on_renewals().await.unwrap();
    assert_eq!(is_asked().await, [true, true]);
}

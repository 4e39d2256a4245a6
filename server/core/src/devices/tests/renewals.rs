//! Many devices ordered to renew: whom an order asks and leaves out, when each is told, and that nothing of it is lost with a restart.

use super::{super::Error, SHIFT_CERTIFICATE};
use crate::{
    access::Actor,
    bus::Event,
    db::{EngineKind, exec},
    pki::DevicePeer,
    testing::{START, World, csr, postgres},
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use wire::{
    ids::AuthorityId,
    pki::{AuthorityUse, ManyRenewals, RenewMany, RenewalProgress},
    states::DeviceStep as Step,
};

const MINUTE: i64 = 60_000;

fn peer(w: &World, certificate: &str) -> DevicePeer {
    let leaf = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    w.fleet.pki().trust().check(&leaf).unwrap()
}

pub(super) async fn enrol(w: &World, id: &str) -> DevicePeer {
    let peer = peer(w, &w.enrol(id, "gateway", csr(id)).await.unwrap().certificate);
    w.channel(peer.device).await;
    peer
}

pub(super) fn gateways(minutes: Option<u32>, expected: i64) -> RenewMany {
    RenewMany { q: Some("type:gateway".into()), minutes, expected: Some(expected), ..RenewMany::default() }
}

/// The devices whose channels look, since this was asked last.
fn told(heard: &mut Receiver<Event>) -> Vec<i64> {
    let mut devices = Vec::new();
    while let Ok(event) = heard.try_recv() {
        if let Event::Device { device, .. } = event {
            devices.push(device);
        }
    }
    devices.sort_unstable();
    devices
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_many_are_asked_one_after_the_other_and_it_is_said_who_is_not(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, devices, pki) = (w.operator().await, w.fleet.devices(), w.fleet.pki());
    let mut peers = Vec::new();
    for n in 1..=12 {
        peers.push(enrol(&w, &format!("gw-{n:02}")).await);
    }
    w.device("cam-1", "camera").await;
    devices.change(&oli, &"gw-02".parse().unwrap(), Step::Suspend).await.unwrap();
    let mut tx = devices.db.write().await.unwrap();
    exec!(&mut tx, SHIFT_CERTIFICATE, "gw-03", -200 * super::DAY).unwrap();
    tx.commit().await.unwrap();
    devices.order_renewal(&oli, &"gw-04".parse().unwrap()).await.unwrap();
    w.clock.advance(1000);

    let now = w.clock_now();
    let would = ManyRenewals {
        devices: 12,
        asked: 7,
        suspended: 1,
        nothing_to_renew: 1,
        already_asked: 1,
        no_channel: 0,
        for_later: 2,
        minutes: 7,
        told_by: now.plus(6 * MINUTE),
    };
    let many = gateways(Some(7), 12);
    assert_eq!(devices.preview_renewals(&oli, &many).await.unwrap(), would);
    assert!(matches!(devices.preview_renewals(&w.viewer().await, &many).await, Err(Error::Access(_))));
    assert!(matches!(devices.order_renewals(&w.viewer().await, &many).await, Err(Error::Access(_))));
    let unsaid = devices.order_renewals(&oli, &RenewMany { expected: None, ..many.clone() }).await.unwrap_err();
    assert_eq!(unsaid.fault().field.as_deref(), Some("expected"));
    let too_long = devices.preview_renewals(&oli, &gateways(Some(10_081), 12)).await.unwrap_err();
    assert_eq!(too_long.fault().field.as_deref(), Some("minutes"));
    assert_eq!(devices.order_renewals(&oli, &gateways(Some(7), 11)).await.unwrap_err().fault().code, "other_count");
    assert_eq!(devices.preview_renewals(&oli, &many).await.unwrap(), would, "nobody was asked so far");

    let (trust, mut heard) = (pki.trust(), w.fleet.bus().listen());
    assert_eq!(devices.order_renewals(&oli, &many).await.unwrap(), would);
    // By their numbers, without those that are left out.
    let asked: Vec<&DevicePeer> = [0, 4, 5, 6, 7, 8, 9].map(|n| &peers[n]).into();
    assert_eq!(told(&mut heard), [asked[0].device], "the first one at once");
    for (n, peer) in asked.iter().enumerate().skip(1) {
        assert_eq!(trust.renewal_ordered(peer), None, "its time has not come");
        w.clock.advance(MINUTE);
        pki.reload().await.unwrap();
        assert_eq!(told(&mut heard), [peer.device], "{n}");
        assert_eq!(trust.renewal_ordered(peer), Some(now));
    }
    assert_eq!(trust.renewal_ordered(&peers[10]), None, "for another order");
    let shown = pki.certificates_of(&mut devices.db.read().await.unwrap(), peers[9].device).await.unwrap();
    assert_eq!((shown[0].renew_ordered_at, shown[0].renew_due_at), (Some(now), Some(now.plus(6 * MINUTE))));

    let rest = devices.order_renewals(&oli, &gateways(None, 12)).await.unwrap();
    assert_eq!((rest.asked, rest.already_asked, rest.for_later, rest.minutes), (2, 8, 0, 0), "a few are told at once");
    assert_eq!(told(&mut heard), [peers[10].device, peers[11].device]);
    let nobody = devices.order_renewals(&oli, &gateways(None, 12)).await.unwrap();
    assert_eq!((nobody.asked, nobody.already_asked), (0, 10));

    let log = w.fleet.access().search_audit(&w.admin().await, "device.renew_many", None).await.unwrap().entries.items;
    let booked: Vec<(String, Value)> =
        log.iter().map(|e| (e.object.clone(), serde_json::from_str::<Value>(&e.detail).unwrap()["order"]["asked"].clone())).collect();
    assert_eq!(booked, [("type:gateway".to_owned(), json!(2)), ("type:gateway".to_owned(), json!(7))], "one entry an order, newest first");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_who_never_had_a_channel_is_not_asked_and_keeps_no_order_open(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (oli, devices) = (w.operator().await, w.fleet.devices());
    enrol(&w, "gw-1").await;
    let est = w.device("est-1", "gateway").await;
    let done = devices.order_renewals(&oli, &gateways(None, 2)).await.unwrap();
    assert_eq!((done.devices, done.asked, done.no_channel), (2, 1, 1));
    let again = devices.preview_renewals(&oli, &gateways(None, 2)).await.unwrap();
    assert_eq!((again.asked, again.already_asked, again.no_channel), (0, 1, 1), "it was not ordered of");
    // Whoever orders it of this one alone means it: it may renew before its time from then on.
    devices.order_renewal(&oli, &"est-1".parse().unwrap()).await.unwrap();
    w.channel(est).await;
    let known = devices.preview_renewals(&oli, &gateways(None, 2)).await.unwrap();
    assert_eq!((known.already_asked, known.no_channel), (2, 0));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_the_devices_of_an_authority_are_asked_and_counted(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, devices, pki) = (w.admin().await, w.fleet.devices(), w.fleet.pki());
    let before = enrol(&w, "gw-1").await;
    enrol(&w, "gw-2").await;
    let old = pki.list_authorities(&admin).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    let next = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    pki.activate_authority(&admin, &next.id, false).await.unwrap();
    enrol(&w, "gw-3").await;

    let of = |id: &AuthorityId, expected| RenewMany {
        q: Some(String::new()),
        authority: Some(id.to_string()),
        expected: Some(expected),
        ..RenewMany::default()
    };
    let progress = async |id: &AuthorityId| pki.authority(&admin, id).await.unwrap().renewals;
    assert_eq!(progress(&old).await, Some(RenewalProgress { asked: 0, renewed: 0, told_by: None, may_ask: true }));
    let done = devices.order_renewals(&admin, &of(&old, 2)).await.unwrap();
    assert_eq!((done.devices, done.asked, done.nothing_to_renew), (2, 2, 0), "others are not meant");
    let now = Some(w.clock_now());
    assert_eq!(progress(&old).await, Some(RenewalProgress { asked: 2, renewed: 0, told_by: now, may_ask: true }));
    assert_eq!(progress(&next.id).await.unwrap().asked, 0);

    let renewed = pki.renew(&Actor::system(w.org.clone()), &before, csr("gw-1").as_bytes(), "https://d").await.unwrap();
    assert_eq!(progress(&old).await.unwrap().renewed, 0, "it has not used it");
    pki.note_first_use(&peer(&w, &renewed.certificate).certificate).await.unwrap();
    assert_eq!(progress(&old).await, Some(RenewalProgress { asked: 2, renewed: 1, told_by: now, may_ask: true }));
    let left = devices.preview_renewals(&admin, &of(&old, 0)).await.unwrap();
    assert_eq!((left.devices, left.asked, left.already_asked), (1, 0, 1), "the one that has renewed has nothing of it to renew");

    // By its name as well, unless several have it.
    let authority = |named: &str| RenewMany { authority: Some(named.to_owned()), ..of(&old, 0) };
    let name = pki.list_authorities(&admin).unwrap().into_iter().find(|a| a.id == old).unwrap().common_name().to_owned();
    assert_eq!(devices.preview_renewals(&admin, &authority(&name)).await.unwrap(), left);
    assert_eq!(devices.preview_renewals(&admin, &authority("Nobody's CA")).await.unwrap_err().fault().code, "authority_not_found");
    // A list that happened to be empty is not everybody.
    let nobody = RenewMany { q: None, ..of(&old, 2) };
    for many in [nobody.clone(), RenewMany { authority: None, ..nobody }] {
        assert_eq!(devices.preview_renewals(&admin, &many).await.unwrap_err().fault().field.as_deref(), Some("q"));
        assert_eq!(devices.order_renewals(&admin, &many).await.unwrap_err().fault().field.as_deref(), Some("q"));
    }

    let root = pki.list_authorities(&admin).unwrap().into_iter().find(|a| a.kind == "root").unwrap().id;
    assert_eq!(progress(&root).await, None);
    assert_eq!(devices.preview_renewals(&admin, &of(&root, 0)).await.unwrap_err().fault().code, "authority_not_found");
    let log = w.fleet.access().search_audit(&admin, "device.renew_many", None).await.unwrap().entries.items;
    assert_eq!((log.len(), log[0].object.as_str()), (1, old.as_str()));

    // By their names; one that is not there is not ordered of.
    let named =
        |ids: &[&str]| RenewMany { devices: ids.iter().map(|id| id.parse().unwrap()).collect(), expected: Some(2), ..RenewMany::default() };
    let nobodys = named(&["gw-3", "gw-9", "gw-8"]);
    for refused in [devices.preview_renewals(&admin, &nobodys).await, devices.order_renewals(&admin, &nobodys).await] {
        let fault = refused.unwrap_err().fault();
        assert_eq!((fault.code.as_str(), fault.message.as_str()), ("invalid", "There is no device gw-9, gw-8. Nothing was changed."));
    }
    assert_eq!(
        devices.order_renewals(&admin, &named(&["gw-1", "gw-1"])).await.unwrap_err().fault().code,
        "other_count",
        "it is one device"
    );
    assert_eq!(devices.order_renewals(&admin, &named(&["gw-1", "GW-3", "gw-3"])).await.unwrap().asked, 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_1_what_is_not_told_before_a_restart_is_told_after_it(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    let mut peers = Vec::new();
    for n in 1..=3 {
        peers.push(enrol(&w, &format!("gw-{n}")).await);
    }
    let ordered = w.clock_now();
    assert_eq!(ordered, START);
    w.fleet.devices().order_renewals(&Actor::system(w.org.clone()), &gateways(Some(3), 3)).await.unwrap();
    let folder = w.close().await;

    let w = World::open_when(folder, url, 2, START.plus(90_000), |pki| pki).await.unwrap();
    let (pki, mut heard) = (w.fleet.pki(), w.fleet.bus().listen());
    pki.reload().await.unwrap();
    let stands = || peers.iter().map(|peer| pki.trust().renewal_ordered(peer)).collect::<Vec<_>>();
    assert_eq!(stands(), [Some(ordered), Some(ordered), None], "two are told when they connect");
    assert_eq!(told(&mut heard), Vec::<i64>::new());
    w.clock.advance(30_000);
    pki.reload().await.unwrap();
    assert_eq!(told(&mut heard), [peers[2].device], "and the third when its time has come");
    assert_eq!(stands(), [Some(ordered); 3]);
}

#[tokio::test]
async fn r_1_no_more_are_told_at_once_however_often_memory_follows() {
    let w = World::open(EngineKind::Sqlite).await;
    let pki = w.fleet.pki();
    let mut numbers = Vec::new();
    for n in 1..=5 {
        numbers.push(enrol(&w, &format!("gw-{n}")).await.device);
    }
    let mut heard = w.fleet.bus().listen();
    w.fleet.devices().order_renewals(&w.operator().await, &gateways(Some(0), 5)).await.unwrap();
    pki.reload().await.unwrap();
    let mut asked = told(&mut heard);
    assert_eq!(asked.len(), 3, "each renewal has memory follow, and asks nobody else so soon");
    // Whoever sets the clock ahead makes more of them due, and no time passes by that.
    w.clock.jump(MINUTE);
    pki.reload().await.unwrap();
    assert_eq!(told(&mut heard), Vec::<i64>::new());
    w.clock.advance(200);
    pki.reload().await.unwrap();
    asked.extend(told(&mut heard));
    asked.sort_unstable();
    assert_eq!(asked, numbers, "the others have their turn");
}

//! A server whose clock jumps, on both engines.

use super::life::{DAY, check, enrol, enrol_with, request};
use crate::{access::Actor, db::EngineKind, testing::World};
use rcgen::KeyPair;
use rstest::rstest;
use wire::{FaultKind, pki::AuthorityUse};

async fn log(w: &World) -> Vec<String> {
    let page = w.fleet.access().audit_page(&Actor::system(w.org.clone()), None).await.unwrap();
    page.entries.items.into_iter().map(|e| e.action).filter(|action| action.starts_with("clock.")).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_20_a_server_whose_clock_jumped_issues_nothing_until_it_is_right_again(#[case] kind: EngineKind) {
    for by in [DAY, -DAY, 301_000, -301_000] {
        let w = World::open(kind).await;
        let pki = w.fleet.pki();
        let (_, _, leaf) = enrol(&w, "gw-1").await;
        let next = KeyPair::generate().unwrap();
        let peer = check(&w, &leaf).unwrap();
        w.clock.jump(by);
        let refused = enrol_with(&w, "gw-2", &KeyPair::generate().unwrap()).await.unwrap_err().fault();
        assert_eq!((refused.kind, refused.code.as_str(), refused.retry_after.is_some()), (FaultKind::Busy, "clock_jumped", true));
        assert!(refused.message.contains("accepts the new time"), "{}", refused.message);
        let system = Actor::system(w.org.clone());
        assert_eq!(
            pki.renew(&system, &peer, request("gw-1", &next).as_bytes(), "https://d").await.unwrap_err().fault().code,
            "clock_jumped"
        );
        assert_eq!(pki.stage_authority(&system, AuthorityUse::Device).await.unwrap_err().fault().code, "clock_jumped");
        assert_eq!(pki.clock(&system).unwrap().jump.unwrap().by_ms, by);
        pki.watch_clock().await.unwrap();
        pki.watch_clock().await.unwrap();
        assert_eq!(log(&w).await, ["clock.jump"], "told once");

        // Set right again: no person is needed.
        w.clock.jump(-by);
        assert!(pki.clock(&system).unwrap().jump.is_none());
        enrol(&w, "gw-2").await;
        pki.watch_clock().await.unwrap();
        assert_eq!(log(&w).await, ["clock.right", "clock.jump"]);
        assert!(w.fleet.access().verify_audit(&system).await.unwrap().broken_at.is_none());
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_20_an_admin_accepts_the_new_time_and_a_wrong_one_ends_nothing(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    // A year too far: nothing may end by that.
    w.clock.jump(400 * DAY);
    let _ = pki.tick().await;
    w.clock.jump(-400 * DAY);
    let _ = pki.tick().await;
    assert!(check(&w, &leaf).is_ok(), "what the wrong time would have ended is there");

    w.clock.jump(2 * DAY);
    assert!(pki.accept_time(&w.operator().await).await.is_err(), "admins only");
    assert!(!pki.clock(&w.viewer().await).unwrap().may_accept);
    pki.accept_time(&admin).await.unwrap();
    pki.accept_time(&admin).await.unwrap();
    enrol(&w, "gw-2").await;
    assert_eq!(log(&w).await.iter().filter(|action| *action == "clock.accept").count(), 1);
    // Hours that pass are no jump.
    w.clock.advance(30 * DAY);
    enrol(&w, "gw-3").await;
}

//! Signers that take their time, as a token on a network does (E-2, K-4): nobody waits for them with a transaction open, everything is decided when it is
//! booked, and what comes to nothing leaves nothing. The key here is an ordinary one behind a wait; `token.rs` has the real thing.

use super::life::{check, enrol, enrol_with, leaf, new_leaf, request};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, row},
    devices::Attempt,
    pki::{Error, NewLeaf, Refusal, authorities::Authority, csr, guard::Wait, profile::Kind, store},
    testing::{World, postgres},
};
use parking_lot::Mutex;
use rcgen::KeyPair;
use rstest::rstest;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};
use tokio::{sync::mpsc as awaited, time::timeout};
use wire::{
    FaultKind,
    enrolment::{CreatedEnrolmentToken, EnrolRequest, NewEnrolmentToken},
    ids::DeviceId,
    pki::RevocationReason,
};

pub(super) const MINUTE: i64 = 60_000;
/// Nobody is as slow as this who does not wait for what is being signed.
pub(super) const SOON: Duration = Duration::from_secs(5);

/// Certificates of devices, devices, serial numbers that wait, uses of tokens.
const THERE: Sql = Sql::same(
    "SELECT (SELECT COUNT(*) FROM certificates WHERE device IS NOT NULL), (SELECT COUNT(*) FROM devices), (SELECT COUNT(*) FROM reserved_serials), \
     (SELECT CAST(COALESCE(SUM(uses), 0) AS BIGINT) FROM enrolment_tokens)",
);
/// Certificates by their state that are neither active nor over.
const HALF: Sql = Sql::same("SELECT COUNT(*) FROM certificates WHERE state = 'issuing' OR der IS NULL");

async fn there(w: &World) -> (i64, i64, i64, i64) {
    let mut on = w.fleet.pki().db.read().await.unwrap();
    assert_eq!(row!(&mut on, (i64,), HALF).unwrap().unwrap().0, 0, "nothing half-made is seen");
    row!(&mut on, (i64, i64, i64, i64), THERE).unwrap().unwrap()
}

/// Has authorities of devices sign when this lets them.
fn slow(w: &World, wait: &Wait) {
    slow_ones(w, Kind::DeviceAuthority, wait);
}

/// The same of authorities of this kind.
pub(super) fn slow_ones(w: &World, kind: Kind, wait: &Wait) {
    let pki = w.fleet.pki();
    let one = |a: &Arc<Authority>| {
        if a.kind == kind { Arc::new(a.slowed(Arc::clone(wait)).unwrap()) } else { Arc::clone(a) }
    };
    let slowed: Vec<Arc<Authority>> = pki.authorities.load().iter().map(one).collect();
    pki.authorities.store(Arc::new(slowed));
}

/// A signer that is let sign once for each word, and says when it is asked.
pub(super) struct Gate {
    pub asked: awaited::UnboundedReceiver<()>,
    pub go: mpsc::Sender<()>,
}

pub(super) fn gate() -> (Wait, Gate) {
    let (tell, asked) = awaited::unbounded_channel();
    let (go, let_go) = mpsc::channel();
    let let_go = Mutex::new(let_go);
    let wait: Wait = Arc::new(move || {
        tell.send(()).map_err(|_| rcgen::Error::RemoteKeyError)?;
        let_go.lock().recv_timeout(Duration::from_mins(1)).map_err(|_| rcgen::Error::RemoteKeyError)
    });
    (wait, Gate { asked, go })
}

/// A signer that takes a moment, and counts.
fn counted() -> (Wait, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&count);
    let wait: Wait = Arc::new(move || {
        std::thread::sleep(Duration::from_millis(20));
        told.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    (wait, count)
}

async fn token(w: &World, max_uses: i64) -> CreatedEnrolmentToken {
    let new = NewEnrolmentToken { label: "slow".into(), max_uses, hours: 1, ..NewEnrolmentToken::default() };
    w.fleet.devices().create_enrolment_token(&Actor::system(w.org.clone()), new).await.unwrap()
}

fn asks(name: &str) -> EnrolRequest {
    let csr = request(name, &KeyPair::generate().unwrap());
    EnrolRequest { csr, device_id: None, device_type: "sim".into(), hardware: String::new(), attributes: BTreeMap::new() }
}

pub(super) async fn booked(w: &World, action: &str) -> usize {
    let log = w.fleet.access().audit_page(&Actor::system(w.org.clone()), None).await.unwrap();
    assert!(w.fleet.access().verify_audit(&w.admin().await).await.unwrap().broken_at.is_none());
    log.entries.items.into_iter().filter(|entry| entry.action == action).count()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e2_no_writer_waits_for_a_slow_signature_and_nobody_sees_half_of_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (wait, mut gate) = gate();
    slow(&w, &wait);
    let key = KeyPair::generate().unwrap();
    let meanwhile = async {
        timeout(SOON, gate.asked.recv()).await.unwrap().unwrap();
        // On SQLite there is one writer: whoever signed in a transaction would have it.
        let mut tx = timeout(SOON, w.fleet.pki().db.write()).await.expect("the writer is free while it is signed").unwrap();
        timeout(SOON, store::next_trust(&mut tx)).await.expect("so is the trust clock").unwrap();
        tx.commit().await.unwrap();
        assert_eq!(there(&w).await, (0, 0, 1, 0), "a serial number, and neither certificate nor device nor use");
        assert!(w.admin().await.org == w.org, "people are made meanwhile");
        gate.go.send(()).unwrap();
    };
    let (enrolled, ()) = tokio::join!(enrol_with(&w, "gw-1", &key), meanwhile);
    let first = leaf(&enrolled.unwrap());
    assert!(check(&w, &first).is_ok());
    assert_eq!(there(&w).await, (1, 1, 0, 1));
    assert_eq!((booked(&w, "certificate.issue").await, booked(&w, "certificate.abandon").await), (1, 0));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn e2_e3_many_at_once_get_what_they_would_get_from_a_fast_one(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (wait, signed) = counted();
    slow(&w, &wait);
    let devices = w.fleet.devices();

    // E-3: one request many times is one certificate, one signature and one use.
    let (one, same) = (token(&w, 1).await, asks("gw-1"));
    let many = (0..20).map(|_| devices.enrol(Attempt { secret: &one.secret, request: &same, address: "192.0.2.1" }));
    let given: BTreeSet<String> = futures::future::join_all(many).await.into_iter().map(|outcome| outcome.unwrap().certificate).collect();
    assert_eq!((given.len(), signed.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(there(&w).await, (1, 1, 0, 1));

    // E-1: of thirty who have a token for five, five come in.
    let (five, thirty) = (token(&w, 5).await, (0..30).map(|n| asks(&format!("new-{n}"))).collect::<Vec<_>>());
    let all = thirty.iter().map(|request| devices.enrol(Attempt { secret: &five.secret, request, address: "192.0.2.1" }));
    let outcomes = futures::future::join_all(all).await;
    let refused: Vec<String> = outcomes.into_iter().filter_map(|outcome| outcome.err().map(|e| e.fault().code)).collect();
    assert_eq!(refused, ["bad_enrolment_token"; 25]);
    let (certificates, devices, _, uses) = there(&w).await;
    assert_eq!((certificates, devices, uses), (6, 6, 6));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e2_what_is_revoked_while_it_is_signed_counts_when_it_is_booked(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (system, pki) = (Actor::system(w.org.clone()), w.fleet.pki());
    let (_, enrolled, old) = enrol(&w, "gw-1").await;
    let (wait, mut gate) = gate();
    slow(&w, &wait);

    // A token.
    let (made, ask) = (token(&w, 10).await, asks("gw-2"));
    let revoking = async {
        timeout(SOON, gate.asked.recv()).await.unwrap().unwrap();
        w.fleet.devices().revoke_enrolment_token(&system, &made.token.id).await.unwrap();
        gate.go.send(()).unwrap();
    };
    let enrolling = w.fleet.devices().enrol(Attempt { secret: &made.secret, request: &ask, address: "192.0.2.1" });
    let (refused, ()) = tokio::join!(enrolling, revoking);
    assert_eq!(refused.unwrap_err().fault().code, "bad_enrolment_token");
    assert_eq!(there(&w).await, (1, 1, 1, 1), "a number that was signed for, and no device");

    // The certificate that is being renewed.
    let peer = check(&w, &old).unwrap();
    w.clock.advance(enrolled.renew_after.since(w.clock_now()));
    let revoking = async {
        timeout(SOON, gate.asked.recv()).await.unwrap().unwrap();
        pki.revoke(&system, &peer.certificate, RevocationReason::Superseded).await.unwrap();
        gate.go.send(()).unwrap();
    };
    let csr = request("gw-1", &KeyPair::generate().unwrap());
    let (refused, ()) = tokio::join!(pki.renew(&system, &peer, csr.as_bytes(), "https://d"), revoking);
    assert!(matches!(refused, Err(Error::NotUsable(Refusal::Revoked))), "{refused:?}");
    assert_eq!(there(&w).await, (1, 1, 2, 1));

    // What was signed for nobody is told of, once, and is no certificate that anybody has.
    w.clock.advance(15 * MINUTE);
    pki.drop_reserved().await.unwrap();
    pki.drop_reserved().await.unwrap();
    assert_eq!(there(&w).await, (1, 1, 0, 1));
    assert_eq!(booked(&w, "certificate.abandon").await, 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e2_what_a_process_that_ends_between_takes_with_it_is_asked_for_again(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    let (_, enrolled, old) = enrol(&w, "gw-1").await;
    let (wait, signed) = counted();
    slow(&w, &wait);
    let peer = check(&w, &old).unwrap();
    let asked = request("gw-1", &KeyPair::generate().unwrap());
    let gated = csr::gate(asked.as_bytes(), None).unwrap();
    let id: DeviceId = "gw-1".parse().unwrap();
    let new = NewLeaf { replaces: Some(&peer.certificate), ..new_leaf(&w.org, peer.device, &id, &gated) };
    let pki = w.fleet.pki();
    let mut tx = pki.db.write().await.unwrap();
    let Err(Error::ToSign(wanting)) = pki.issue_device(&mut tx, new).await else { panic!("it was signed in the transaction") };
    drop(tx);
    assert_eq!(there(&w).await, (1, 1, 0, 1), "what lacked a signature has left nothing");
    pki.sign_ahead(*wanting).await.unwrap();
    assert_eq!(signed.load(Ordering::SeqCst), 1);

    // The process ends before it is booked. The next one knows of nothing but a number.
    let w = World::open_at(w.close().await, url, 2).await;
    let pki = w.fleet.pki();
    assert_eq!(there(&w).await, (1, 1, 1, 1));
    w.clock.advance(enrolled.renew_after.since(w.clock_now()));
    let peer = check(&w, &old).unwrap();
    let system = Actor::system(w.org.clone());
    let given = leaf(&pki.renew(&system, &peer, asked.as_bytes(), "https://d").await.unwrap());
    assert!(check(&w, &given).is_ok());
    let again = leaf(&pki.renew(&system, &peer, asked.as_bytes(), "https://d").await.unwrap());
    assert_eq!(again, given, "E-3");
    pki.tick().await.unwrap();
    assert_eq!(there(&w).await, (2, 1, 0, 1), "and the number is dropped");
    assert_eq!(booked(&w, "certificate.abandon").await, 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_a_signer_that_is_gone_is_told_of_and_leaves_nothing(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let gone = Arc::new(AtomicUsize::new(1));
    let seen = Arc::clone(&gone);
    let wait: Wait = Arc::new(move || if seen.load(Ordering::SeqCst) == 0 { Ok(()) } else { Err(rcgen::Error::RemoteKeyError) });
    slow(&w, &wait);
    let (made, ask) = (token(&w, 1).await, asks("gw-1"));
    let attempt = Attempt { secret: &made.secret, request: &ask, address: "192.0.2.1" };
    let fault = w.fleet.devices().enrol(attempt).await.unwrap_err().fault();
    assert_eq!((fault.kind, fault.code.as_str(), fault.retry_after), (FaultKind::Busy, "token_late", Some(10)));
    assert_eq!(there(&w).await, (0, 0, 0, 0), "nobody has signed for the number, so it is free again");

    // Several at once are told so, too, and none of them is a guess at a secret.
    let (many, asked) = (token(&w, 10).await, (0..10).map(|n| asks(&format!("new-{n}"))).collect::<Vec<_>>());
    let all = asked.iter().map(|request| w.fleet.devices().enrol(Attempt { secret: &many.secret, request, address: "192.0.2.1" }));
    for outcome in futures::future::join_all(all).await {
        assert_eq!(outcome.unwrap_err().fault().code, "token_late");
    }
    assert_eq!(there(&w).await, (0, 0, 0, 0));

    gone.store(0, Ordering::SeqCst);
    w.fleet.devices().enrol(attempt).await.unwrap();
    assert_eq!(there(&w).await, (1, 1, 0, 1));
    assert_eq!(booked(&w, "certificate.abandon").await, 0);
}

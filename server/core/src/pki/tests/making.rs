//! Authorities that a token makes while no transaction is open (K-4), on both engines: nobody waits for it, all is decided when it is booked, and what nobody
//! books leaves no key. A root behind a wait first, then SoftHSM as in `token.rs`.

use super::slow::{MINUTE, SOON, booked, gate, slow_ones};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, row},
    pki::{ConsentError, Error, PkiSettings, guard::Wait, profile::Kind, store},
    testing::{World, postgres, token},
};
use rstest::rstest;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::time::timeout;
use wire::{
    FaultKind,
    pki::AuthorityUse,
    roots::NewAuthorityRequest,
    states::{AuthorityState, KeyPlace},
};

/// Authorities, and those that are made and not booked.
const THERE: Sql = Sql::same("SELECT (SELECT COUNT(*) FROM authorities), (SELECT COUNT(*) FROM unbooked_authorities)");

async fn there(w: &World) -> (i64, i64) {
    row!(&mut w.fleet.pki().db.read().await.unwrap(), (i64, i64), THERE).unwrap().unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_no_writer_waits_while_a_token_makes_an_authority(#[case] kind: EngineKind) {
    // Its own, and the root's with the two under it.
    for (purpose, made) in [(AuthorityUse::Device, 1), (AuthorityUse::Claim, 1), (AuthorityUse::Root, 3)] {
        let w = World::open(kind).await;
        let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
        let (wait, mut gate) = gate();
        slow_ones(&w, Kind::Root, &wait);
        let making = async {
            match purpose {
                AuthorityUse::Claim => pki.ensure_claim_authority(&system).await.map(drop),
                purpose => pki.stage_authority(&system, purpose).await.map(drop),
            }
        };
        let meanwhile = async {
            timeout(SOON, gate.asked.recv()).await.unwrap().unwrap();
            // On SQLite there is one writer: whoever made it in a transaction would have it.
            let mut tx = timeout(SOON, pki.db.write()).await.expect("the writer is free while it is made").unwrap();
            timeout(SOON, store::next_trust(&mut tx)).await.expect("so is the trust clock").unwrap();
            tx.commit().await.unwrap();
            assert_eq!(there(&w).await, (3, made), "names, and no authority");
            // And whatever the root is asked for afterwards.
            for _ in 0..10 {
                gate.go.send(()).unwrap();
            }
        };
        let (outcome, ()) = tokio::join!(making, meanwhile);
        outcome.unwrap();
        assert_eq!(there(&w).await, (3 + made, 0), "{purpose:?}");
        assert_eq!(booked(&w, "authority.abandon").await, 0);
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_what_was_decided_while_an_authority_was_made_counts_when_it_is_booked(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let (wait, mut gate) = gate();
    slow_ones(&w, Kind::Root, &wait);
    let meanwhile = async {
        timeout(SOON, gate.asked.recv()).await.unwrap().unwrap();
        let mut tx = pki.db.write().await.unwrap();
        store::set_approvals(&mut tx, &w.org, true).await.unwrap();
        tx.commit().await.unwrap();
        gate.go.send(()).unwrap();
    };
    let (refused, ()) = tokio::join!(pki.stage_authority(&system, AuthorityUse::Device), meanwhile);
    assert!(matches!(refused, Err(Error::Consent(ConsentError::Needed))), "two people decide by now: {refused:?}");
    assert_eq!(there(&w).await, (3, 1));

    // Not before nobody can come back for it; then once.
    pki.drop_unbooked().await.unwrap();
    assert_eq!(there(&w).await, (3, 1));
    w.clock.advance(15 * MINUTE);
    pki.drop_unbooked().await.unwrap();
    pki.drop_unbooked().await.unwrap();
    assert_eq!(there(&w).await, (3, 0));
    assert_eq!(booked(&w, "authority.abandon").await, 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_a_root_that_does_not_sign_is_told_of_and_asked_again(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));

    // Keys of ours are made where they are booked.
    let mut tx = pki.db.write().await.unwrap();
    pki.stage_in(&mut tx, &system, AuthorityUse::Root).await.expect("without a second round");
    drop(tx);

    let gone = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&gone);
    let wait: Wait = Arc::new(move || if seen.load(Ordering::SeqCst) { Err(rcgen::Error::RemoteKeyError) } else { Ok(()) });
    slow_ones(&w, Kind::Root, &wait);
    for purpose in [AuthorityUse::Device, AuthorityUse::Root] {
        let fault = pki.stage_authority(&system, purpose).await.unwrap_err().fault();
        assert_eq!((fault.kind, fault.code.as_str(), fault.retry_after), (FaultKind::Busy, "token_late", Some(10)));
    }
    assert_eq!(there(&w).await, (3, 4));
    // Nobody can come back for what was not made.
    pki.drop_unbooked().await.unwrap();
    assert_eq!(there(&w).await, (3, 0));
    assert_eq!(booked(&w, "authority.abandon").await, 4);

    gone.store(false, Ordering::SeqCst);
    pki.stage_authority(&system, AuthorityUse::Device).await.unwrap();
    assert_eq!(there(&w).await, (4, 0));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_founding_rotation_and_roll_over_leave_the_keys_on_the_token_that_are_booked_and_no_other(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let secrets = tempfile::tempdir().unwrap();
    let settings = token(secrets.path(), &format!("made-{}-{kind:?}", std::process::id()));
    let on_token = |pki: PkiSettings| PkiSettings { token: Some(settings.clone()), ..pki };
    let w = World::open_with(tempfile::tempdir().unwrap(), url.clone(), 1, on_token).await.unwrap();
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let held = pki.token.clone().unwrap();
    // Two objects to a key.
    let keys = || held.objects().unwrap() / 2;
    assert_eq!((keys(), there(&w).await), (3, (3, 0)), "the first start");

    let made = w.fleet.create_organization(&Actor::shell(w.org.clone()), &"acme".parse().unwrap(), "Acme").await.unwrap();
    assert!(pki.authorities_of(&made.id).iter().all(|a| a.key == KeyPlace::Token));
    assert_eq!((keys(), there(&w).await), (6, (6, 0)), "an organization");
    assert!(w.fleet.create_organization(&Actor::shell(w.org.clone()), &"acme".parse().unwrap(), "Acme").await.is_err());
    assert_eq!(keys(), 6, "what is refused before it is made leaves nothing");

    let next = pki.stage_authority(&system, AuthorityUse::Device).await.unwrap();
    pki.activate_authority(&system, &next.id, true).await.unwrap();
    pki.ensure_claim_authority(&system).await.unwrap();
    let root = pki.stage_authority(&system, AuthorityUse::Root).await.unwrap();
    assert_eq!(pki.trust_bundle(&w.org).cross.len(), 2);
    pki.activate_authority(&system, &root.id, true).await.unwrap();
    assert_eq!((keys(), there(&w).await), (11, (11, 0)), "a rotation, claims and a roll-over");
    let issued = w.enrol("gw-1", "sim", crate::testing::csr("gw-1")).await;
    assert!(issued.is_ok(), "under the new root: {issued:?}");

    // One that is made and not booked; and another one that is, in its place.
    let mut tx = pki.db.write().await.unwrap();
    let Err(Error::ToSign(wanting)) = pki.stage_in(&mut tx, &system, AuthorityUse::Server).await else {
        panic!("it was made in the transaction")
    };
    drop(tx);
    assert_eq!((keys(), there(&w).await), (11, (11, 0)), "what lacked it has left nothing");
    pki.sign_ahead(*wanting).await.unwrap();
    assert_eq!((keys(), there(&w).await), (12, (11, 1)));
    w.clock.advance(3 * MINUTE);
    let server = pki.stage_authority(&system, AuthorityUse::Server).await.unwrap();
    assert_eq!((keys(), there(&w).await), (13, (12, 1)));
    w.clock.advance(15 * MINUTE);
    pki.drop_unbooked().await.unwrap();
    assert_eq!((keys(), there(&w).await), (12, (12, 0)), "its key is destroyed, and no other");
    assert_eq!(booked(&w, "authority.abandon").await, 1);

    // A request that is given up takes its key along, as soon as the token answers.
    let ask = NewAuthorityRequest { kind: AuthorityUse::Device, own_root: false, fresh: false };
    let asked = pki.request_authority(&system, ask).await.unwrap();
    assert_eq!((asked.key, keys(), there(&w).await), (KeyPlace::Token, 13, (12, 0)));
    pki.withdraw_authority_request(&system, &asked.id).await.unwrap();
    held.lock_us_out().unwrap();
    assert!(pki.drop_unbooked().await.is_err());
    assert_eq!(there(&w).await, (12, 1));
    held.let_us_in().unwrap();
    pki.drop_unbooked().await.unwrap();
    assert_eq!((keys(), there(&w).await), (12, (12, 0)));
    assert_eq!(booked(&w, "authority.abandon").await, 2);

    // All that is booked opens, and signs.
    let w = World::open_with(w.close().await, url, 2, on_token).await.unwrap();
    let pki = w.fleet.pki();
    assert!(pki.list_authorities(&system).unwrap().iter().all(|a| a.key == KeyPlace::Token));
    pki.activate_authority(&system, &server.id, true).await.unwrap();
    let state = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.id == server.id).unwrap().state;
    assert_eq!(state, AuthorityState::Active);
    pki.renew_identity().await.unwrap();
    assert_eq!(pki.server_identity().unwrap().issuer, server.id);
}

//! What goes wrong with keys on a token, by SoftHSM as in `token.rs`, on both engines (K-4): a PIN that is refused, a key that is missing, and keys that are
//! not to be destroyed, or can't be.

use super::{
    life::enrol_with,
    slow::{MINUTE, booked},
};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, exec, row},
    pki::{PkiSettings, authorities::Found, store, token::Destroyed},
    testing::{World, postgres, token},
};
use rcgen::KeyPair;
use rstest::rstest;
use std::{sync::mpsc, time::Duration};
use wire::{
    ids::AuthorityId,
    pki::{AuthorityStanding, AuthorityUse},
    roots::RootKey,
};

const WAITING: Sql = Sql::same("SELECT COUNT(*) FROM unbooked_authorities");
const EARLIER: Sql = Sql::same("UPDATE unbooked_authorities SET reserved_at = reserved_at - 1 WHERE id = $1");

async fn waiting(w: &World) -> i64 {
    row!(&mut w.fleet.pki().db.read().await.unwrap(), (i64,), WAITING).unwrap().unwrap().0
}

async fn on_token(kind: EngineKind, label: &str) -> (World, tempfile::TempDir) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let secrets = tempfile::tempdir().unwrap();
    let settings = token(secrets.path(), &format!("{label}-{}-{kind:?}", std::process::id()));
    let with_token = |pki: PkiSettings| PkiSettings { token: Some(settings), ..pki };
    (World::open_with(tempfile::tempdir().unwrap(), url, 1, with_token).await.unwrap(), secrets)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_a_pin_that_was_refused_is_not_tried_again_until_its_file_is_written(#[case] kind: EngineKind) {
    let (w, _secrets) = on_token(kind, "pin").await;
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let held = pki.token.clone().unwrap();
    held.lock_us_out().unwrap();
    let stage = async || pki.stage_authority(&system, AuthorityUse::Device).await;
    assert_eq!(stage().await.unwrap_err().fault().code, "token_pin_incorrect");
    assert_eq!((held.logins(), waiting(&w).await), (1, 1), "it is tried once");

    for _ in 0..10 {
        w.clock.advance(MINUTE);
        // What is due is not signed.
        let _refused = pki.tick().await;
        let fault = stage().await.unwrap_err().fault();
        assert!(fault.code == "token_pin_incorrect" && fault.message.contains("pkcs11_pin_file"), "{fault:?}");
        assert_eq!(enrol_with(&w, "gw-1", &KeyPair::generate().unwrap()).await.unwrap_err().fault().code, "token_late");
    }
    assert_eq!((held.logins(), waiting(&w).await), (1, 1), "neither by who looks, nor by who drops keys, nor by who wants a signature");
    assert_eq!(pki.not_signing(Some(&w.org)).map(|not| (not.code, not.whole)), Some(("token_pin_incorrect", true)));

    held.let_us_in().unwrap();
    pki.tick().await.unwrap();
    assert_eq!((held.logins(), waiting(&w).await, pki.not_signing(None)), (2, 0, None));
    stage().await.unwrap();
    assert_eq!(held.logins(), 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_a_key_that_is_missing_is_told_to_its_organization_until_it_is_found_whatever_others_sign(#[case] kind: EngineKind) {
    let (w, _secrets) = on_token(kind, "missing").await;
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let held = pki.token.clone().unwrap();
    let acme = w.fleet.create_organization(&Actor::shell(w.org.clone()), &"acme".parse().unwrap(), "Acme").await.unwrap();
    let device = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    assert_eq!(held.destroy(device.id.as_str()).unwrap(), Destroyed::Gone);
    assert_eq!(held.destroy(device.id.as_str()).unwrap(), Destroyed::None);
    let fault = enrol_with(&w, "gw-1", &KeyPair::generate().unwrap()).await.unwrap_err().fault();
    assert_eq!(fault.code, "token_late");

    for _ in 0..2 {
        let lost = pki.not_signing(Some(&w.org)).unwrap();
        assert_eq!((lost.code, lost.whole), ("token_key_missing", false));
        let (who, id) = (format!("{} signs nothing", device.subject), device.id.as_str());
        assert!(lost.why.starts_with(&who) && lost.why.contains(id), "{lost:?}");
        // Its own page and the list say it, of it alone; so does the page where devices are added.
        let silent = |s: &AuthorityStanding| s.not_signing.as_ref().is_some_and(|why| lost.why.contains(why.as_str()));
        assert!(silent(&pki.authority(&system, &device.id).await.unwrap().standing));
        let listed = pki.authorities_page(&system).await.unwrap().authorities;
        let told: Vec<_> = listed.iter().filter(|s| s.not_signing.is_some()).map(|s| &s.row.id).collect();
        assert_eq!(told, [&device.id]);
        let added = w.fleet.devices().enrolment_page(&system).await.unwrap().signer_lost.unwrap();
        assert_eq!((added.why.as_str(), added.whole), (lost.why.as_str(), false));
        assert_eq!(pki.not_signing(Some(&acme.id)), None, "whom it does not concern");
        assert_eq!((pki.not_signing(None), pki.keys_missing()), (Some(lost), 1));
        assert!(pki.publish().await.is_err(), "of six lists five are signed");
        pki.look_at_token().await.unwrap();
    }
    w.enrol_in(&acme.id, "gw-1", "sim", crate::testing::csr("gw-1")).await.unwrap();

    held.generate(device.id.as_str(), RootKey::P256).unwrap();
    assert_eq!((pki.not_signing(Some(&w.org)), pki.keys_missing()), (None, 0));
}

/// Nobody has to start the server anew because of a key that was not there when it started, and who follows trust does not wait for a token that hangs.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_a_key_that_was_missing_at_the_start_is_found_when_the_token_has_it(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let secrets = tempfile::tempdir().unwrap();
    let settings = token(secrets.path(), &format!("later-{}-{kind:?}", std::process::id()));
    let with_token = |pki: PkiSettings| PkiSettings { token: Some(settings.clone()), ..pki };
    let w = World::open_with(tempfile::tempdir().unwrap(), url.clone(), 1, with_token).await.unwrap();
    let system = Actor::system(w.org.clone());
    let device = w.fleet.pki().list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    w.fleet.pki().token.as_ref().unwrap().rename(device.as_str(), "away").unwrap();

    let w = World::open_with(w.close().await, url, 2, with_token).await.unwrap();
    let pki = w.fleet.pki();
    let held = pki.token.clone().unwrap();
    for _ in 0..2 {
        assert_eq!((pki.not_signing(None).map(|not| not.code), pki.keys_missing()), (Some("token_key_missing"), 1));
        assert_eq!(enrol_with(&w, "gw-1", &KeyPair::generate().unwrap()).await.unwrap_err().fault().code, "no_authority");
        pki.look_at_token().await.unwrap();
    }
    // Another key of its name is not taken, and holds nobody up.
    held.generate(device.as_str(), RootKey::P256).unwrap();
    pki.look_at_token().await.unwrap();
    assert_eq!(pki.keys_missing(), 1);
    assert_eq!(held.destroy(device.as_str()).unwrap(), Destroyed::Gone);
    held.rename("away", device.as_str()).unwrap();
    pki.reload().await.unwrap();
    assert_eq!(pki.keys_missing(), 1, "who follows trust does not ask for it");
    pki.look_at_token().await.unwrap();
    assert_eq!((pki.not_signing(None), pki.keys_missing()), (None, 0));
    enrol_with(&w, "gw-1", &KeyPair::generate().unwrap()).await.unwrap();

    // A new authority is read while somebody hangs at the token.
    let (answer, hanging) = mpsc::channel::<()>();
    assert!(pki.turns.take(Duration::from_millis(50), move || hanging.recv().is_ok()).await.is_err());
    pki.reload_anew(std::slice::from_ref(&device), Found::new()).await.unwrap();
    assert_eq!((pki.not_signing(None).map(|not| not.code), pki.keys_missing()), (Some("token_hangs"), 1), "it is not asked");
    answer.send(()).unwrap();
    while pki.turns.hang() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    pki.look_at_token().await.unwrap();
    assert_eq!((pki.not_signing(None), pki.keys_missing()), (None, 0));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_no_key_is_destroyed_that_may_be_somebodys_and_one_that_stays_holds_no_other_back(#[case] kind: EngineKind) {
    let (w, _secrets) = on_token(kind, "left").await;
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let held = pki.token.clone().unwrap();
    let keys = || held.objects().unwrap() / 2;
    let new = || -> AuthorityId { w.entropy.id(w.clock_now()) };
    let reserve = async |id: &AuthorityId, token: &str, given_up: bool| {
        let mut tx = pki.db.write().await.unwrap();
        store::reserve_unbooked(&mut tx, id, &w.org, (token, "somebody"), (given_up, w.clock_now())).await.unwrap();
        tx.commit().await.unwrap();
    };

    // One that the token keeps, before more of the others than are looked at together.
    let kept = new();
    held.generate_for_good(kept.as_str()).unwrap();
    reserve(&kept, held.label(), true).await;
    // One that an authority has: a backup may know of its beginning alone.
    let live = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    reserve(&live, held.label(), true).await;
    // One that another database may know an authority of, from before this process; and one that nobody can have booked.
    let (before, dead) = (new(), new());
    for (id, given_up) in [(&before, false), (&dead, true)] {
        held.generate(id.as_str(), RootKey::P256).unwrap();
        reserve(id, held.label(), given_up).await;
        let mut tx = pki.db.write().await.unwrap();
        exec!(&mut tx, EARLIER, id.as_str()).unwrap();
        tx.commit().await.unwrap();
    }
    let gone = new();
    held.generate(gone.as_str(), RootKey::P256).unwrap();
    reserve(&gone, held.label(), false).await;
    let none: Vec<AuthorityId> = (0..25).map(|_| new()).collect();
    for id in &none {
        reserve(id, held.label(), true).await;
    }
    let elsewhere = new();
    reserve(&elsewhere, "another token", true).await;
    assert_eq!((keys(), waiting(&w).await), (3 + 4, 31));

    w.clock.advance(15 * MINUTE);
    for _ in 0..2 {
        pki.drop_unbooked().await.unwrap();
        assert_eq!((keys(), waiting(&w).await), (3 + 2, 1), "what is on another token stays its own business");
        assert_eq!(booked(&w, "authority.abandon").await, 30, "each is told of once");
    }
    let log = w.fleet.access().audit_page(&system, None).await.unwrap().entries.items;
    for (id, word) in [(&kept, "left"), (&live, "left"), (&before, "left"), (&dead, "destroyed"), (&gone, "destroyed"), (&none[24], "none")]
    {
        let entry = log.iter().find(|entry| entry.action == "authority.abandon" && entry.object == id.as_str()).unwrap();
        assert!(entry.detail.contains(&format!(r#""key":"{word}""#)) && entry.detail.contains(held.label()), "{entry:?}");
    }
    enrol_with(&w, "gw-1", &KeyPair::generate().unwrap()).await.expect("by the key that an authority has");

    // A request's key is destroyed on the token that has it, and on no other.
    let ask = wire::roots::NewAuthorityRequest { kind: AuthorityUse::Device, own_root: false, fresh: false };
    let asked = pki.request_authority(&system, ask).await.unwrap();
    let mut tx = pki.db.write().await.unwrap();
    exec!(&mut tx, MOVED, asked.id.as_str()).unwrap();
    tx.commit().await.unwrap();
    pki.withdraw_authority_request(&system, &asked.id).await.unwrap();
    pki.drop_unbooked().await.unwrap();
    assert_eq!((keys(), waiting(&w).await, booked(&w, "authority.abandon").await), (3 + 2 + 1, 2, 30));
}

const MOVED: Sql = Sql::same("UPDATE authority_requests SET token = 'another token' WHERE id = $1");

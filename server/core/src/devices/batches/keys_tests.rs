//! Batches with keys on both engines (E-8): handed out once, kept nowhere, revoked when they did not arrive, and revoked as one.

use super::{super::Error, NewBatch, Seal};
use crate::{
    access::Actor,
    db::EngineKind,
    pki::PkiSettings,
    testing::{World, csr, postgres},
};
use age::x25519;
use bytes::Bytes;
use futures::{StreamExt as _, channel::mpsc};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read as _},
};
use wire::{
    FaultKind,
    consents::{AskConsent, Deed},
    devices::DeviceQuery,
    enrolment::{BatchState, EnrolmentBatch},
    pki::{CertificateQuery, KeyType, ProfileRules, RevocationReason},
    states::{CertificateState, KeyOrigin, Role},
};

async fn world(kind: EngineKind) -> World {
    let postgres = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let folder = tempfile::tempdir().unwrap();
    World::open_with(folder, postgres, 8, |pki| PkiSettings { server_keygen: true, ..pki }).await.unwrap()
}

async fn send(w: &World, text: &str, seal: &Seal) -> Result<EnrolmentBatch, Error> {
    send_as(w, text, "", seal).await
}

/// The same under a profile.
async fn send_as(w: &World, text: &str, profile: &str, seal: &Seal) -> Result<EnrolmentBatch, Error> {
    let body = futures::stream::iter([Ok(Bytes::from(text.to_owned()))]);
    let new = NewBatch {
        label: "lot 1".into(),
        device_type: "gateway".into(),
        tags: vec!["eu".into()],
        profile: profile.into(),
        ..NewBatch::default()
    };
    w.fleet.devices().receive_batch_for_keys(&system(w), new, seal, body).await
}

fn system(w: &World) -> Actor {
    Actor::system(w.org.clone())
}

/// The files of the archive that a batch hands out.
async fn archive(w: &World, text: &str, holder: &x25519::Identity) -> (EnrolmentBatch, BTreeMap<String, String>) {
    let seal = Seal::of(&holder.to_public().to_string(), "").unwrap();
    let batch = send(w, text, &seal).await.unwrap();
    assert_eq!((batch.state, batch.sealed_for.as_str()), (BatchState::MakingKeys, "recipient"));
    let (to, pieces) = mpsc::channel(2);
    let actor = system(w);
    let (made, pieces) =
        tokio::join!(w.fleet.devices().hand_out_keys(&actor, &batch.id, seal, to), pieces.collect::<Vec<io::Result<Bytes>>>());
    made.unwrap();
    let sealed: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
    let mut zip = zip::ZipArchive::new(Cursor::new(age::decrypt(holder, &sealed).unwrap())).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        files.insert(file.name().unwrap().into_owned(), text);
    }
    (w.fleet.devices().batch(&actor, &batch.id).await.unwrap(), files)
}

async fn in_state(w: &World, state: CertificateState) -> Vec<String> {
    let query = CertificateQuery { state: Some(state), ..CertificateQuery::default() };
    let found = w.fleet.pki().certificates_page(&system(w), &query).await.unwrap().certificates.items;
    let mut ids: Vec<_> = found.into_iter().map(|c| c.device_id.to_string()).collect();
    ids.sort();
    ids
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e8_a_batch_hands_its_keys_out_once_and_keeps_none(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let holder = x25519::Identity::generate();
    let own = serde_json::json!({ "device_id": "gw-3", "csr": csr("gw-3") });
    let lines =
        format!("{{\"device_id\":\"gw-1\"}}\n{{\"device_id\":\"gw-2\",\"type\":\"camera\"}}\n{own}\n{{\"device_id\":\"=bad\"}}\n{{}}\n");
    let (batch, files) = Box::pin(archive(&w, &lines, &holder)).await;
    assert_eq!((batch.state, batch.lines, batch.issued, batch.registered, batch.refused), (BatchState::Done, 5, 3, 0, 2));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let all = [
        "certs/gw-1.pem",
        "certs/gw-2.pem",
        "certs/gw-3.pem",
        "chain.pem",
        "keys/gw-1.pem",
        "keys/gw-2.pem",
        "manifest.csv",
        "refused.csv",
    ];
    assert_eq!(names, all, "a device with a key of its own keeps it to itself");
    for id in ["gw-1", "gw-2"] {
        let key = PrivatePkcs8KeyDer::from_pem_slice(files[&format!("keys/{id}.pem")].as_bytes()).unwrap();
        let pair = rcgen::KeyPair::try_from(&key).unwrap();
        let leaf = CertificateDer::from_pem_slice(files[&format!("certs/{id}.pem")].as_bytes()).unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&pair);
        assert!(leaf.windows(spki.len()).any(|w| w == spki), "the key is the certificate's");
        assert!(w.fleet.pki().trust().check(&leaf).is_ok());
    }
    // Once: neither again nor with the ordinary result, and the worker leaves it alone.
    let seal = Seal::of("", "correct horse battery").unwrap();
    let again = w.fleet.devices().hand_out_keys(&system(&w), &batch.id, seal, mpsc::channel(1).0).await;
    assert!(matches!(again, Err(Error::BatchEnded(_))), "{again:?}");
    assert_eq!(in_state(&w, CertificateState::Active).await, ["gw-1", "gw-2", "gw-3"], "and that takes nothing back");
    let plain = w.fleet.devices().batch_result(&system(&w), &batch.id).await.unwrap();
    assert!(!plain.windows(5).any(|w| w == b"keys/"));
    assert!(!w.fleet.devices().work_batches().await.unwrap());
    let found = w.fleet.pki().certificates_page(&system(&w), &CertificateQuery::default()).await.unwrap().certificates.items;
    let made: Vec<_> = found.iter().filter(|c| c.key_origin == KeyOrigin::Server).map(|c| c.device_id.as_str()).collect();
    assert!(made.len() == 2 && !made.contains(&"gw-3"), "{made:?}");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e8_an_archive_that_breaks_off_is_revoked_and_can_be_sent_again(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (devices, actor) = (w.fleet.devices(), system(&w));
    let lines = "device_id\ngw-1\ngw-2\n";
    let seal = Seal::of("", "correct horse battery").unwrap();
    let lost = send(&w, lines, &seal).await.unwrap();
    let (to, pieces) = mpsc::channel(1);
    drop(pieces);
    assert!(devices.hand_out_keys(&actor, &lost.id, seal.clone(), to).await.is_err());
    let after = devices.batch(&actor, &lost.id).await.unwrap();
    assert!(after.state == BatchState::Cancelled && after.revoked_at.is_some(), "{after:?}");
    assert!(in_state(&w, CertificateState::Active).await.is_empty());
    // A server that ended amid it leaves the same behind, an hour later.
    let stuck = send(&w, lines, &seal).await.unwrap();
    // Not by a clock that has jumped: it may only look like an hour, or a month.
    w.clock.jump(40 * 86_400_000);
    devices.sweep_batches().await.unwrap();
    assert_eq!(devices.batch(&actor, &stuck.id).await.unwrap().state, BatchState::MakingKeys);
    assert_eq!(devices.batches(&actor, None, None).await.unwrap().items.len(), 2, "nothing is forgotten either");
    w.clock.jump(-40 * 86_400_000);
    w.clock.advance(3_600_001);
    devices.sweep_batches().await.unwrap();
    assert_eq!(devices.batch(&actor, &stuck.id).await.unwrap().state, BatchState::Cancelled);

    let holder = x25519::Identity::generate();
    let (batch, files) = Box::pin(archive(&w, lines, &holder)).await;
    assert_eq!((batch.issued, batch.refused), (2, 0), "{files:?}");
    assert_eq!(in_state(&w, CertificateState::Active).await, ["gw-1", "gw-2"]);
    // A second archive takes the place of one that was lost on its way later, but not of a device that has connected.
    let leaf = CertificateDer::from_pem_slice(files["certs/gw-1.pem"].as_bytes()).unwrap();
    let peer = w.fleet.pki().trust().check(&leaf).unwrap();
    w.fleet.pki().note_first_use(&peer.certificate).await.unwrap();
    let (batch, files) = Box::pin(archive(&w, lines, &holder)).await;
    assert_eq!((batch.issued, batch.refused), (1, 1), "{files:?}");
    assert!(files["refused.csv"].contains("device_exists") && files.contains_key("keys/gw-2.pem"));
    assert_eq!(in_state(&w, CertificateState::Active).await, ["gw-1", "gw-2"], "one each");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e8_a_batch_is_revoked_as_one_with_what_it_was_renewed_to(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (devices, actor) = (w.fleet.devices(), system(&w));
    let (batch, files) = Box::pin(archive(&w, "device_id\ngw-1\ngw-2\n", &x25519::Identity::generate())).await;
    w.device("gw-9", "gateway").await;
    // Whoever holds the key renews with it to one of their own.
    let leaf = CertificateDer::from_pem_slice(files["certs/gw-1.pem"].as_bytes()).unwrap();
    let peer = w.fleet.pki().trust().check(&leaf).unwrap();
    let renewed = w.fleet.pki().renew(&actor, &peer, csr("gw-1").as_bytes(), "https://d").await.unwrap();
    assert_eq!(in_state(&w, CertificateState::Active).await, ["gw-1", "gw-1", "gw-2", "gw-9"]);
    let viewer = w.viewer().await;
    let reason = RevocationReason::KeyCompromise;
    assert!(matches!(devices.revoke_batch(&viewer, &batch.id, reason).await, Err(Error::Access(_))));
    let elsewhere = Actor::system(w.entropy.id(w.clock_now()));
    assert!(matches!(devices.revoke_batch(&elsewhere, &batch.id, reason).await, Err(Error::NotFound(_))));
    devices.revoke_batch(&actor, &batch.id, reason).await.unwrap();
    devices.revoke_batch(&actor, &batch.id, reason).await.unwrap();
    assert_eq!(in_state(&w, CertificateState::Active).await, ["gw-9"]);
    assert_eq!(in_state(&w, CertificateState::Revoked).await, ["gw-1", "gw-1", "gw-2"]);
    let heir = CertificateDer::from_pem_slice(renewed.certificate.as_bytes()).unwrap();
    assert!(w.fleet.pki().trust().check(&heir).is_err() && w.fleet.pki().trust().check(&leaf).is_err());
    assert!(devices.batch(&actor, &batch.id).await.unwrap().revoked_at.is_some());
    let log = w.fleet.access().audit_page(&actor, None).await.unwrap();
    for action in ["enrolment_batch.keys", "enrolment_batch.revoke", "certificate.revoke"] {
        assert!(log.entries.items.iter().any(|e| e.action == action), "{action}");
    }
}

#[tokio::test]
async fn e8_no_batch_gets_keys_unless_it_is_allowed() {
    let w = World::open(EngineKind::Sqlite).await;
    let seal = Seal::of("", "correct horse battery").unwrap();
    assert!(matches!(send(&w, "device_id\ngw-1\n", &seal).await, Err(Error::NoServerKeys)));
    assert!(w.fleet.devices().batches(&system(&w), None, None).await.unwrap().items.is_empty());
    assert_eq!(w.fleet.devices().list(&system(&w), &DeviceQuery::default()).await.unwrap().total, 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e8_a_profile_that_is_not_for_made_keys_is_refused_when_the_batch_is_sent(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (devices, pki, admin, actor) = (w.fleet.devices(), w.fleet.pki(), w.admin().await, system(&w));
    let seal = Seal::of("", "correct horse battery").unwrap();
    let rules = |keys: &[KeyType]| ProfileRules { hours: 720, factory: false, keys: keys.to_vec(), rekey: None };
    pki.set_profile(&admin, "strong", rules(&[KeyType::Ed25519, KeyType::P384])).await.unwrap();
    let refused = send_as(&w, "device_id\ngw-1\n", "strong", &seal).await.unwrap_err().fault();
    assert_eq!((refused.code.as_str(), refused.field.as_deref()), ("unsupported_alg", Some("profile")));
    assert!(refused.message.contains("p-384, ed25519") && refused.message.contains("Choose a profile that takes p-256"), "{refused:?}");
    assert!(devices.batches(&actor, None, None).await.unwrap().items.is_empty(), "it is refused as a whole");
    let unknown = send_as(&w, "device_id\ngw-1\n", "weak", &seal).await.unwrap_err().fault();
    assert_eq!(unknown.code, "profile_not_found");

    // One that changes between the sending and the making is refused line by line.
    for any in [&[][..], &[KeyType::P256, KeyType::P384]] {
        pki.set_profile(&admin, "lot", rules(any)).await.unwrap();
        send_as(&w, "device_id\ngw-2\n", "lot", &seal).await.unwrap();
    }
    let batch = devices.batches(&actor, None, None).await.unwrap().items.remove(0);
    pki.set_profile(&admin, "lot", rules(&[KeyType::P384])).await.unwrap();
    let (to, pieces) = mpsc::channel(2);
    let (made, _) = tokio::join!(devices.hand_out_keys(&actor, &batch.id, seal, to), pieces.collect::<Vec<io::Result<Bytes>>>());
    made.unwrap();
    let after = devices.batch(&actor, &batch.id).await.unwrap();
    assert_eq!((after.state, after.issued, after.refused), (BatchState::Done, 0, 1));
    let lines = devices.batch_lines(&actor, &batch.id, None, None, None).await.unwrap().items;
    assert_eq!(lines[0].code, "unsupported_alg");
    assert!(in_state(&w, CertificateState::Active).await.is_empty());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_e_8_a_batch_gets_keys_while_two_people_agree_to_it(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (ada, eve, actor) = (w.admin().await, w.person("eve", Role::Admin).await, system(&w));
    let (devices, pki) = (w.fleet.devices(), w.fleet.pki());
    let holder = x25519::Identity::generate();
    let seal = Seal::of(&holder.to_public().to_string(), "").unwrap();
    pki.set_approvals(&ada, true).await.unwrap();
    let refused = send(&w, "device_id\ngw-1\n", &seal).await.unwrap_err().fault();
    assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Forbidden, "server_keys_consent"));
    assert!(devices.batches(&actor, None, None).await.unwrap().items.is_empty(), "it is refused as a whole");
    let ask = AskConsent { deed: Deed::ServerKeys, remark: "lot 1 has no randomness".into() };
    let row = pki.ask_consent(&ada, ask).await.unwrap();
    pki.approve_consent(&eve, &row.id, &row.digest, "it has none").await.unwrap();
    let (batch, files) = archive(&w, "device_id\ngw-1\n", &holder).await;
    assert!(batch.state == BatchState::Done && files.contains_key("keys/gw-1.pem"));

    // What is taken in, and not made yet, is not made any more when one person says so.
    let batch = send(&w, "device_id\ngw-2\n", &seal).await.unwrap();
    pki.set_server_keys(&eve, false).await.unwrap();
    let (to, pieces) = mpsc::channel(2);
    let (made, pieces) = tokio::join!(devices.hand_out_keys(&actor, &batch.id, seal, to), pieces.collect::<Vec<io::Result<Bytes>>>());
    assert_eq!(made.unwrap_err().fault().code, "server_keys_consent");
    assert!(pieces.last().unwrap().is_err(), "whoever takes it learns that it is not whole");
    assert_eq!(devices.batch(&actor, &batch.id).await.unwrap().state, BatchState::Cancelled);
    assert_eq!(in_state(&w, CertificateState::Active).await, ["gw-1"]);
}

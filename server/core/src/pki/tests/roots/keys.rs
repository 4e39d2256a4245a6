//! Our own root's key: taken away, used where it is, and kept away (P-11, K-1, K-5, K-7, R-7).

use super::{
    super::{life::check, life::enrol, life::enrol_with},
    entropy, exported, issued, pem, request, root, system, taken_away, tasks,
};
use crate::{
    clock::Clock as _,
    db::EngineKind,
    entropy::Entropy,
    pki::{Error, Holding, Kek, Lock, Passphrase, journal::LeakedKey, offline, profile::DAY},
    testing::{Backup, World},
};
use rcgen::KeyPair;
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    blocked::{BY_HAND, NewBlockedKey},
    pki::AuthorityUse,
    roots::{NewAuthorityRequest, RootNeed, RootTask},
    states::{AuthorityState, AuthorityStep, KeyPlace},
};
use x509_parser::{prelude::FromDer as _, revocation_list::CertificateRevocationList};
use zeroize::Zeroizing;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p11_a_root_s_key_leaves_when_somebody_shows_that_they_hold_its_file(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, system, admin) = (w.fleet.pki(), system(&w), w.admin().await);
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    assert_eq!(tasks(pki, &admin).await, [RootTask::Export], "a banner until it is done");
    assert!(tasks(pki, &w.operator().await).await.is_empty(), "only for those who may");
    let lock = || Lock::Recipient(age::x25519::Identity::generate().to_public().to_string());
    assert!(pki.export_root(&admin, None, lock()).await.is_err(), "not into a browser");
    let short = Lock::Passphrase(Passphrase::new(Zeroizing::new("eleven char".to_owned())));
    assert_eq!(pki.export_root(&system, None, short).await.unwrap_err().fault().code, "root_file");
    assert!(pki.export_root(&system, None, Lock::Recipient("age1x".into())).await.is_err());

    let refused = pki.take_root_offline(&system, None, Holding::Proof([7; 32])).await.unwrap_err();
    assert!(matches!(refused, Error::AuthorityState(_)), "it was never written into a file");
    let (_, first) = exported(&w).await;
    let (last, file) = exported(&w).await;
    assert_eq!(tasks(pki, &admin).await, [RootTask::Remove]);
    assert!(root(pki, &w).exported_at.is_some());
    let digest = crate::hash::sha256(&last.file);
    for (wrong, why) in
        [([7; 32], "a guess"), (digest, "the file is there; who can open it?"), (first.proof, "not the file that was written last")]
    {
        assert!(matches!(pki.take_root_offline(&system, None, Holding::Proof(wrong)).await, Err(Error::NotHeld)), "{why}");
    }
    let stranger = World::open(EngineKind::Sqlite).await;
    let (_, other) = exported(&stranger).await;
    assert!(matches!(pki.take_root_offline(&system, None, Holding::Opened(&other)).await, Err(Error::NotHeld)), "another root's");
    assert_eq!(root(pki, &w).key, KeyPlace::Here);

    let gone = pki.take_root_offline(&system, None, Holding::Proof(file.proof)).await.unwrap();
    assert_eq!((gone.key, gone.state), (KeyPlace::Offline, AuthorityState::Active));
    assert!(tasks(pki, &admin).await.is_empty());
    let kept = crate::pki::store::sealed_key(&mut pki.db.read().await.unwrap(), &gone.id, &w.org).await.unwrap().unwrap();
    assert!(kept.sealed_key.is_none(), "K-5");
    let list = pki.crl(&gone.id).unwrap();
    assert_eq!(list.next_update.since(list.this_update), 30 * DAY, "R-7");
    assert!(matches!(pki.export_root(&system, None, lock()).await, Err(Error::RootOffline)));

    // What needs the key says where it is; everything else goes on.
    let advises = |refused: wire::Fault, word: &str| {
        assert_eq!(refused.code, "root_offline");
        assert!(refused.message.contains("issue-intermediate"), "{}", refused.message);
        assert!(refused.message.contains(&format!("ca csr --kind {word} ")), "{}", refused.message);
    };
    for (purpose, word) in [(AuthorityUse::Device, "device"), (AuthorityUse::Server, "server"), (AuthorityUse::Claim, "claim")] {
        advises(pki.stage_authority(&admin, purpose).await.unwrap_err().fault(), word);
    }
    advises(pki.ensure_claim_authority(&system).await.unwrap_err().fault(), "claim");
    let device = pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "device").unwrap().id;
    let offered = pki.authority(&admin, &device).await.unwrap();
    assert!(offered.actions.iter().any(|a| a.step == AuthorityStep::Stage && a.blocked.is_some()));
    assert!(check(&w, &leaf).is_ok() && enrol_with(&w, "gw-2", &KeyPair::generate().unwrap()).await.is_ok());
    assert_eq!(hex::encode(file.fingerprint()), gone.fingerprint);
    assert!(w.fleet.access().verify_audit(&system).await.unwrap().broken_at.is_none());
}

/// K-5: what will need the key is said before it goes, and claims can be made ready for that.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k5_what_will_need_the_roots_file_is_said_before_the_key_goes(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let now = |needs: &[RootNeed]| needs.iter().filter_map(|need| need.now.clone()).collect::<Vec<_>>();
    let duty = pki.root_duties(&admin).await.unwrap().remove(0);
    assert_eq!((duty.task, now(&duty.then)), (RootTask::Export, vec!["fleetward ca stage --kind claim".to_owned()]));
    assert!(
        pki.root_needs(&w.operator().await, None).is_err() && pki.make_claim_authority(&w.operator().await).await.is_err(),
        "admins only"
    );

    let (made, new) = pki.make_claim_authority(&admin).await.unwrap();
    assert_eq!((made.kind.as_str(), made.state, new), ("claim", AuthorityState::Active, true));
    assert_eq!(pki.make_claim_authority(&admin).await.unwrap(), (made, false), "there is one already");
    let needs = pki.root_needs(&admin, None).unwrap();
    assert!(now(&needs).is_empty(), "{needs:?}");
    for word in ["authority for claims", "authority for devices", "authority for the listeners", "list of revoked", "root that follows"] {
        assert!(needs.iter().any(|need| need.text.contains(word) && need.when.is_some()), "{word}: {needs:?}");
    }
    assert_eq!(needs.iter().filter_map(|need| need.when).min(), Some(w.clock_now().plus(30 * DAY)), "the list comes first");

    let (_, file) = exported(&w).await;
    pki.take_root_offline(&system(&w), None, Holding::Opened(&file)).await.unwrap();
    pki.ensure_claim_authority(&admin).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k5_an_issuing_authority_is_signed_where_the_root_s_key_is(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let file = taken_away(&w).await;
    let new = NewAuthorityRequest { kind: AuthorityUse::Device, own_root: false, fresh: false };
    assert!(pki.request_authority(&w.operator().await, new).await.is_err(), "admins only");
    assert!(pki.request_authority(&admin, NewAuthorityRequest { kind: AuthorityUse::Root, ..new }).await.is_err());
    let first = pki.request_authority(&admin, new).await.unwrap();
    assert_eq!(first.subject, "O=default, CN=Fleetward Device CA G1-2");
    assert_eq!(pki.request_authority(&admin, new).await.unwrap(), first, "the same one while it is open");
    let lost = issued(&w, &file, &first);
    let second = pki.request_authority(&admin, NewAuthorityRequest { fresh: true, ..new }).await.unwrap();
    assert!(second.subject.ends_with("G1-3"), "names are never used again (P-7): {}", second.subject);
    let refused = pki.import_authority(&admin, &pem(&lost.der)).await.unwrap_err();
    assert_eq!(refused.fault().code, "certificate_refused", "its key is forgotten");

    let signed = issued(&w, &file, &second);
    assert_eq!((signed.subject.as_str(), signed.purpose), (second.subject.as_str(), "device"));
    let imported = pki.import_authority(&admin, &pem(&signed.der)).await.unwrap();
    assert_eq!((imported.authority.id.clone(), imported.authority.state, imported.root), (second.id.clone(), AuthorityState::Staged, None));
    assert!(pki.authority_requests(&admin).await.unwrap().is_empty());

    // A new key-encryption key takes waiting keys along (K-6).
    request(&w, AuthorityUse::Server, false).await;
    let kek = Kek::new(&[9; 32]).unwrap();
    assert_eq!(
        pki.rotate_kek(&system(&w), &kek).await.unwrap(),
        6,
        "three authorities, a request, the keys of access tokens and of assignments"
    );
    assert_eq!(pki.rotate_kek(&system(&w), &kek).await.unwrap(), 6, "a second run is harmless");
}

/// P-6, R-9: what a factory profile needs, signed where the root's key is.
#[tokio::test]
async fn p6_an_authority_for_devices_may_be_signed_for_fifteen_years() {
    let w = World::open(EngineKind::Sqlite).await;
    let file = taken_away(&w).await;
    let (device, server) = (request(&w, AuthorityUse::Device, false).await, request(&w, AuthorityUse::Server, false).await);
    let sign = |csr: &str, years| offline::issue(&file, csr.as_bytes(), Some(years), w.clock.now(), &entropy() as &dyn Entropy);
    for (csr, years) in [(&device.csr, 4), (&device.csr, 16), (&server.csr, 6)] {
        assert!(matches!(sign(csr, years), Err(offline::NotSigned::Years)), "{years}");
    }
    let signed = sign(&device.csr, 15).unwrap();
    assert_eq!(signed.validity.until.since(w.clock.now()) / DAY, 15 * 365 + 1);
    let imported = w.fleet.pki().import_authority(&system(&w), &pem(&signed.der)).await.unwrap().authority;
    assert_eq!(imported.not_after, signed.validity.until);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k5_what_was_brought_back_issues_and_a_restart_takes_an_authority_without_a_key(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let (_, _, old_leaf) = enrol(&w, "gw-1").await;
    let file = taken_away(&w).await;
    let bundle = w.fleet.pki().trust_bundle(&w.org).version;
    let waiting = request(&w, AuthorityUse::Device, false).await;
    let signed = issued(&w, &file, &waiting);

    // K-2: the start tests the keys that there are, and takes a root without one.
    let w = backup.open(w.close().await, 2).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    assert_eq!(root(pki, &w).key, KeyPlace::Offline);
    let imported = pki.import_authority(&admin, &pem(&signed.der)).await.unwrap().authority;
    assert_eq!((imported.state, imported.key, imported.imported), (AuthorityState::Staged, KeyPlace::Here, true));
    assert_eq!((imported.subject.as_str(), &imported.issuer), ("O=default, CN=Fleetward Device CA G1-2", &root(pki, &w).id));
    assert_eq!(pki.trust_bundle(&w.org).version, bundle + 1, "believed before it issues (R-9)");
    pki.activate_authority(&admin, &imported.id, false).await.unwrap();
    let (_, _, leaf) = enrol(&w, "gw-2").await;
    let issuer = x509_parser::certificate::X509Certificate::from_der(&leaf).unwrap().1.issuer().to_string();
    assert!(issuer.contains("G1-2"), "{issuer}");
    assert!(check(&w, &leaf).is_ok() && check(&w, &old_leaf).is_ok());
    let again = pki.import_authority(&admin, &pem(&signed.der)).await.unwrap_err();
    assert_eq!(again.fault().code, "certificate_refused", "once");
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r7_a_list_of_an_offline_root_is_signed_elsewhere_and_never_goes_back(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let id = root(pki, &w).id;
    assert!(pki.list_request(&admin, &id).await.is_err(), "its key is here");
    let file = taken_away(&w).await;
    let before = pki.crl(&id).unwrap();
    w.clock.advance(60_000);
    let early = pki.list_request(&admin, &id).await.unwrap();
    assert!(early.entries.is_empty() && early.number > before.number);

    // R-11 without the root's key: cut off at once; what is left to do is said.
    let device = pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "device").unwrap().id;
    pki.compromise_authority(&admin, &device).await.unwrap();
    assert_eq!(tasks(pki, &admin).await, [RootTask::SignList]);
    assert_eq!(pki.crl(&id).unwrap().number, before.number, "nobody here can sign one");
    let lacking = offline::list(&file, &early, w.clock.now()).unwrap();
    assert!(pki.import_list(&admin, &id, &lacking).await.unwrap_err().to_string().contains("lacks"), "it does not say what has ended");

    let asked = pki.list_request(&admin, &id).await.unwrap();
    assert_eq!(asked.entries.iter().map(|e| e.reason).collect::<Vec<_>>(), [2], "cACompromise");
    let signed = offline::list(&file, &asked, w.clock.now()).unwrap();
    assert!(pki.import_list(&w.operator().await, &id, &signed).await.is_err(), "admins only");
    let text = crate::pem::encode("X509 CRL", &signed);
    let standing = pki.import_list(&admin, &id, text.as_bytes()).await.unwrap();
    assert_eq!((standing.number, standing.next_update.since(standing.this_update)), (asked.number, 30 * DAY));
    assert!(tasks(pki, &admin).await.is_empty());
    let (_, list) = CertificateRevocationList::from_der(&signed).unwrap();
    assert_eq!(list.iter_revoked_certificates().count(), 1);
    assert!(pki.import_list(&admin, &id, &signed).await.unwrap_err().to_string().contains("numbers only grow"));
    pki.publish().await.unwrap();
    assert_eq!(pki.crl(&id).unwrap().der, signed, "it is what is served");

    // Another root's key, a torn list, no list.
    let stranger = World::open(EngineKind::Sqlite).await;
    let (_, other) = exported(&stranger).await;
    let mut theirs = asked.clone();
    theirs.fingerprint = hex::encode(other.fingerprint());
    assert!(offline::list(&other, &asked, w.clock.now()).is_err(), "the request is for another root");
    let forged = offline::list(&other, &theirs, w.clock.now()).unwrap();
    for bad in [&forged[..], &signed[..signed.len() - 1], b"", b"-----BEGIN X509 CRL-----"] {
        assert_eq!(pki.import_list(&admin, &id, bad).await.unwrap_err().fault().code, "certificate_refused");
    }
    w.clock.advance(21 * DAY);
    assert_eq!(tasks(pki, &admin).await, [RootTask::SignList], "it ends within ten days");
    w.clock.advance(10 * DAY);
    assert!(pki.import_list(&admin, &id, &forged).await.is_err());
}

/// A command is a process of its own, with nothing in memory.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r7_a_process_that_has_just_begun_knows_which_list_is_published(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let (pki, admin) = (w.fleet.pki(), system(&w));
    let id = root(pki, &w).id;
    let file = taken_away(&w).await;
    let device = pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "device").unwrap().id;
    pki.compromise_authority(&admin, &device).await.unwrap();

    let w = backup.open(w.close().await, 2).await;
    let pki = w.fleet.pki();
    assert!(pki.crl(&id).is_none(), "nothing is in memory");
    assert_eq!(tasks(pki, &admin).await, [RootTask::SignList]);
    let asked = pki.list_request(&admin, &id).await.unwrap();
    pki.import_list(&admin, &id, &offline::list(&file, &asked, w.clock.now()).unwrap()).await.unwrap();

    let w = backup.open(w.close().await, 3).await;
    let pki = w.fleet.pki();
    assert!(pki.crl(&id).is_none(), "nothing is in memory");
    assert!(tasks(pki, &admin).await.is_empty(), "it was done by another process");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_root_that_has_left_stays_away_when_a_backup_is_put_back(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let folder = w.close().await;
    backup.take(&folder).await;
    let w = backup.open(folder, 2).await;
    let file = taken_away(&w).await;
    let pki = w.fleet.pki();
    let id = root(pki, &w).id;
    w.clock.advance(DAY);
    let asked = pki.list_request(&system(&w), &id).await.unwrap();
    let signed = offline::list(&file, &asked, w.clock.now()).unwrap();
    pki.import_list(&system(&w), &id, &signed).await.unwrap();
    let folder = w.close().await;
    backup.put_back(&folder).await;

    let w = backup.open(folder, 3).await;
    let pki = w.fleet.pki();
    assert_eq!(root(pki, &w).key, KeyPlace::Offline, "the backup had the key");
    let kept = crate::pki::store::sealed_key(&mut pki.db.read().await.unwrap(), &id, &w.org).await.unwrap().unwrap();
    assert!(kept.sealed_key.is_none());
    pki.publish().await.unwrap();
    assert_eq!(pki.crl(&id).unwrap().der, signed, "the newest list, which nobody here can sign again");
    let entries = w.fleet.access().audit_page(&system(&w), None).await.unwrap().entries.items.len();
    let w = backup.open(w.close().await, 4).await;
    assert_eq!(
        w.fleet.access().audit_page(&system(&w), None).await.unwrap().entries.items.len(),
        entries,
        "a second start has nothing left to do"
    );
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r10_an_offline_root_vouches_for_its_successor_from_its_file(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let file = taken_away(&w).await;
    let next = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    assert_eq!(pki.trust_bundle(&w.org).cross.len(), 1, "what the new root signs for the old one");
    assert_eq!(tasks(pki, &admin).await, [RootTask::SignCross, RootTask::Export]);
    let other = CertificateDer::from_pem_slice(next.pem.as_bytes()).unwrap();
    let signed = offline::cross(&file, &other, w.clock.now(), &entropy() as &dyn Entropy).unwrap();
    let imported = pki.import_authority(&admin, &pem(&signed.der)).await.unwrap();
    assert!(imported.cross && imported.authority.id == next.id);
    assert_eq!(pki.trust_bundle(&w.org).cross.len(), 2);
    assert_eq!(tasks(pki, &admin).await, [RootTask::Export], "the new root's key is here");
    assert_eq!(pki.import_authority(&admin, &pem(&signed.der)).await.unwrap_err().fault().code, "certificate_refused", "once");
}

/// An authority for claims that was brought back is there, and only has to be activated: nobody is sent to the root's key for another one.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k5_a_staged_authority_for_claims_is_named_where_one_is_wanted(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let file = taken_away(&w).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    assert_eq!(pki.ensure_claim_authority(&admin).await.unwrap_err().fault().code, "root_offline");
    let waiting = request(&w, AuthorityUse::Claim, false).await;
    let signed = issued(&w, &file, &waiting);
    let imported = pki.import_authority(&admin, &pem(&signed.der)).await.unwrap().authority;
    let refused = pki.ensure_claim_authority(&admin).await.unwrap_err().fault();
    assert_eq!(refused.code, "authority_staged");
    assert!(refused.message.contains(&format!("activate {}", imported.id)), "{}", refused.message);
    pki.activate_authority(&admin, &imported.id, false).await.unwrap();
    assert!(!pki.ensure_claim_authority(&admin).await.unwrap(), "it issues, so none is made");
}

/// An operator knows every public key there is; a ceremony with the root's file is not theirs to undo.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k5_nobody_blocks_the_key_of_an_authority_and_a_ceremony_goes_on(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let file = taken_away(&w).await;
    let (pki, admin, operator) = (w.fleet.pki(), w.admin().await, w.operator().await);
    let waiting = request(&w, AuthorityUse::Device, false).await;
    let found = |public_key: &str, spki_sha256: &str| NewBlockedKey {
        public_key: public_key.to_owned(),
        spki_sha256: spki_sha256.to_owned(),
        reason: "found".to_owned(),
    };
    let ours = pki.authorities_of(&w.org).into_iter().map(|a| found(&a.pem, ""));
    for new in ours.chain([found(&waiting.csr, ""), found("", &waiting.public_key_sha256)]) {
        assert_eq!(pki.block_key(&operator, &new).await.unwrap_err().fault().code, "authority_key", "{new:?}");
    }
    // One of before that was refused.
    let spki_sha256 = hex::decode(&waiting.public_key_sha256).unwrap();
    let blocked = LeakedKey {
        spki_sha256,
        org_id: w.org.as_str().to_owned(),
        reason: BY_HAND.to_owned(),
        blocked_at: w.clock.now().0,
        blocked_by: "oli".to_owned(),
        certificate_id: String::new(),
        note: "found".to_owned(),
    };
    let mut tx = pki.db.write().await.unwrap();
    assert!(crate::pki::store::block_key(&mut tx, &blocked).await.unwrap());
    tx.commit().await.unwrap();
    let imported = pki.import_authority(&admin, &pem(&issued(&w, &file, &waiting).der)).await.unwrap().authority;
    assert_eq!(imported.state, AuthorityState::Staged);
    pki.withdraw_authority_request(&admin, &request(&w, AuthorityUse::Server, false).await.id).await.unwrap();
}

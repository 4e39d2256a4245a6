//! Roots whose keys are kept elsewhere, on both engines: taken away (P-11, K-1, K-2), signing from their file (K-5), their lists, an operator's own
//! root, and what a backup must not bring back (K-7).

use super::{
    life::{check, enrol, enrol_with},
    restore::copy,
};
use crate::{
    access::Actor,
    clock::Clock as _,
    db::EngineKind,
    entropy::{Entropy, SeededEntropy},
    pki::{Error, ExportedRoot, Holding, Kek, Lock, Passphrase, Pki, RootFile, Unlock, offline, profile::DAY},
    testing::{World, copy_database, postgres},
};
use age::secrecy::ExposeSecret as _;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Eku, IsCa, Issuer, KeyPair, KeyUsagePurpose as Usage};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    Timestamp,
    pki::{AuthorityRow, AuthorityUse},
    roots::{AuthorityRequest, NewAuthorityRequest, RootTask},
    states::{AuthorityState, AuthorityStep, KeyPlace},
};
use x509_parser::{prelude::FromDer as _, revocation_list::CertificateRevocationList};
use zeroize::Zeroizing;

fn system(w: &World) -> Actor {
    Actor::system(w.org.clone())
}

fn pem(der: &[u8]) -> String {
    crate::pem::encode("CERTIFICATE", der)
}

fn root(pki: &Pki, w: &World) -> AuthorityRow {
    pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "root").unwrap()
}

fn tasks(pki: &Pki, actor: &Actor) -> Vec<RootTask> {
    pki.root_duties(actor).unwrap().into_iter().map(|d| d.task).collect()
}

fn entropy() -> SeededEntropy {
    SeededEntropy::new(77)
}

/// Writes the active root into a file locked to an identity, and opens it again as somebody would who has both.
async fn exported(w: &World) -> (ExportedRoot, RootFile) {
    let identity = age::x25519::Identity::generate();
    let lock = Lock::Recipient(identity.to_public().to_string());
    let exported = w.fleet.pki().export_root(&system(w), None, lock).await.unwrap();
    let words = Unlock::Identity(Passphrase::new(Zeroizing::new(format!("# made today\n{}\n", identity.to_string().expose_secret()))));
    let file = RootFile::read(&exported.file, Some(&words)).unwrap();
    (exported, file)
}

/// A fleet whose root has left.
async fn taken_away(w: &World) -> RootFile {
    let (_, file) = exported(w).await;
    w.fleet.pki().take_root_offline(&system(w), None, Holding::Opened(&file)).await.unwrap();
    file
}

async fn request(w: &World, kind: AuthorityUse, own_root: bool) -> AuthorityRequest {
    w.fleet.pki().request_authority(&system(w), NewAuthorityRequest { kind, own_root, fresh: false }).await.unwrap()
}

fn issued(w: &World, file: &RootFile, request: &AuthorityRequest) -> offline::Signed {
    offline::issue(file, request.csr.as_bytes(), w.clock.now(), &entropy() as &dyn Entropy).unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p11_a_root_s_key_leaves_when_somebody_shows_that_they_hold_its_file(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, system, admin) = (w.fleet.pki(), system(&w), w.admin().await);
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    assert_eq!(tasks(pki, &admin), [RootTask::Export], "a banner until it is done");
    assert!(tasks(pki, &w.operator().await).is_empty(), "only for those who may");
    let lock = || Lock::Recipient(age::x25519::Identity::generate().to_public().to_string());
    assert!(pki.export_root(&admin, None, lock()).await.is_err(), "not into a browser");
    let short = Lock::Passphrase(Passphrase::new(Zeroizing::new("eleven char".to_owned())));
    assert_eq!(pki.export_root(&system, None, short).await.unwrap_err().fault().code, "root_file");
    assert!(pki.export_root(&system, None, Lock::Recipient("age1x".into())).await.is_err());

    let digest = |file: &[u8]| crate::hash::sha256(file);
    let refused = pki.take_root_offline(&system, None, Holding::Digest([7; 32])).await.unwrap_err();
    assert!(matches!(refused, Error::AuthorityState(_)), "it was never written into a file");
    let (first, _) = exported(&w).await;
    let (last, file) = exported(&w).await;
    assert_eq!(tasks(pki, &admin), [RootTask::Remove]);
    assert!(root(pki, &w).exported_at.is_some());
    for wrong in [Holding::Digest([7; 32]), Holding::Digest(digest(&first.file))] {
        assert!(matches!(pki.take_root_offline(&system, None, wrong).await, Err(Error::NotHeld)), "not the file that was written last");
    }
    let stranger = World::open(EngineKind::Sqlite).await;
    let (_, other) = exported(&stranger).await;
    assert!(matches!(pki.take_root_offline(&system, None, Holding::Opened(&other)).await, Err(Error::NotHeld)), "another root's");
    assert_eq!(root(pki, &w).key, KeyPlace::Here);

    let gone = pki.take_root_offline(&system, None, Holding::Digest(digest(&last.file))).await.unwrap();
    assert_eq!((gone.key, gone.state), (KeyPlace::Offline, AuthorityState::Active));
    assert!(tasks(pki, &admin).is_empty());
    let kept = crate::pki::store::sealed_key(&mut pki.db.read().await.unwrap(), &gone.id, &w.org).await.unwrap().unwrap();
    assert!(kept.sealed_key.is_none(), "K-5");
    let list = pki.crl(&gone.id).unwrap();
    assert_eq!(list.next_update.since(list.this_update), 30 * DAY, "R-7");
    assert!(matches!(pki.export_root(&system, None, lock()).await, Err(Error::RootOffline)));

    // What needs the key says where it is; everything else goes on.
    for purpose in [AuthorityUse::Device, AuthorityUse::Server, AuthorityUse::Claim] {
        let refused = pki.stage_authority(&admin, purpose).await.unwrap_err().fault();
        assert_eq!(refused.code, "root_offline");
        assert!(refused.message.contains("issue-intermediate"), "{}", refused.message);
    }
    let device = pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "device").unwrap().id;
    let offered = pki.authority(&admin, &device).await.unwrap();
    assert!(offered.actions.iter().any(|a| a.step == AuthorityStep::Stage && a.blocked.is_some()));
    assert!(check(&w, &leaf).is_ok() && enrol_with(&w, "gw-2", &KeyPair::generate().unwrap()).await.is_ok());
    assert_eq!(hex::encode(file.fingerprint()), gone.fingerprint);
    assert!(w.fleet.access().verify_audit(&system).await.unwrap().broken_at.is_none());
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
    assert_eq!(pki.rotate_kek(&system(&w), &kek).await.unwrap(), 5, "three authorities, a request, the key of access tokens");
    assert_eq!(pki.rotate_kek(&system(&w), &kek).await.unwrap(), 5, "a second run is harmless");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k5_what_was_brought_back_issues_and_a_restart_takes_an_authority_without_a_key(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    let (_, _, old_leaf) = enrol(&w, "gw-1").await;
    let file = taken_away(&w).await;
    let bundle = w.fleet.pki().trust_bundle(&w.org).version;
    let waiting = request(&w, AuthorityUse::Device, false).await;
    let signed = issued(&w, &file, &waiting);

    // K-2: the start tests the keys that there are, and takes a root without one.
    let w = World::open_at(w.close().await, url, 2).await;
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
    assert_eq!(tasks(pki, &admin), [RootTask::SignList]);
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
    assert!(tasks(pki, &admin).is_empty());
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
    assert_eq!(tasks(pki, &admin), [RootTask::SignList], "it ends within ten days");
    w.clock.advance(10 * DAY);
    assert!(pki.import_list(&admin, &id, &forged).await.is_err());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_root_that_has_left_stays_away_when_a_backup_is_put_back(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let backup = (tempfile::tempdir().unwrap(), url.as_ref().map(|url| format!("{url}_backup")));
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    let folder = w.close().await;
    match (&url, &backup.1) {
        (Some(url), Some(copy)) => copy_database(url, copy).await,
        _ => copy(folder.path(), backup.0.path()),
    }
    let w = World::open_at(folder, url.clone(), 2).await;
    let file = taken_away(&w).await;
    let pki = w.fleet.pki();
    let id = root(pki, &w).id;
    w.clock.advance(DAY);
    let asked = pki.list_request(&system(&w), &id).await.unwrap();
    let signed = offline::list(&file, &asked, w.clock.now()).unwrap();
    pki.import_list(&system(&w), &id, &signed).await.unwrap();
    let folder = w.close().await;
    match (&url, &backup.1) {
        (Some(url), Some(copy)) => copy_database(copy, url).await,
        _ => copy(backup.0.path(), folder.path()),
    }

    let w = World::open_at(folder, url.clone(), 3).await;
    let pki = w.fleet.pki();
    assert_eq!(root(pki, &w).key, KeyPlace::Offline, "the backup had the key");
    let kept = crate::pki::store::sealed_key(&mut pki.db.read().await.unwrap(), &id, &w.org).await.unwrap().unwrap();
    assert!(kept.sealed_key.is_none());
    pki.publish().await.unwrap();
    assert_eq!(pki.crl(&id).unwrap().der, signed, "the newest list, which nobody here can sign again");
    let entries = w.fleet.access().audit_page(&system(&w), None).await.unwrap().entries.items.len();
    let w = World::open_at(w.close().await, url, 4).await;
    assert_eq!(
        w.fleet.access().audit_page(&system(&w), None).await.unwrap().entries.items.len(),
        entries,
        "a second start has nothing left to do"
    );
}

/// A root that rcgen makes, for certificates that no tool of ours would sign.
struct Foreign {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(cn: &str, now: Timestamp, days: i64) -> CertificateParams {
    let mut p = CertificateParams::default();
    p.distinguished_name = rcgen::DistinguishedName::new();
    p.distinguished_name.push(rcgen::DnType::CountryName, rcgen::DnValue::PrintableString("DE".try_into().unwrap()));
    p.distinguished_name.push(rcgen::DnType::CommonName, cn);
    p.not_before = crate::pki::profile::instant(now).unwrap();
    p.not_after = crate::pki::profile::instant(now.plus(days * DAY)).unwrap();
    p.key_usages = vec![Usage::KeyCertSign, Usage::CrlSign];
    p
}

impl Foreign {
    fn of(cn: &str, now: Timestamp, change: impl Fn(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut p = params(cn, now, 3650);
        p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut p);
        let der = p.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(p, key) }
    }
    /// Signs a request's key with a good profile, changed a little.
    fn sign(&self, request: &AuthorityRequest, cn: &str, now: Timestamp, change: impl Fn(&mut CertificateParams)) -> Vec<u8> {
        let eku = if request.kind == AuthorityUse::Server { Eku::ServerAuth } else { Eku::ClientAuth };
        let mut p = params(cn, now, 1000);
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        p.extended_key_usages = vec![eku, Eku::OcspSigning];
        p.use_authority_key_identifier_extension = true;
        change(&mut p);
        let (_, csr) = x509_parser::pem::parse_x509_pem(request.csr.as_bytes()).unwrap();
        let (_, csr) = x509_parser::certification_request::X509CertificationRequest::from_der(&csr.contents).unwrap();
        let key = rcgen::SubjectPublicKeyInfo::from_der(csr.certification_request_info.subject_pki.raw).unwrap();
        p.signed_by(&key, &self.issuer).unwrap().der().to_vec()
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r10_an_operator_s_own_root_takes_over(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    pki.renew_identity().await.unwrap();
    let (_, _, old_leaf) = enrol(&w, "gw-1").await;
    let now = w.clock.now();
    let own = Foreign::of("Acme Root", now, |_| {});
    let (device, server) = (request(&w, AuthorityUse::Device, true).await, request(&w, AuthorityUse::Server, true).await);
    assert!(device.subject.ends_with("Device CA G2-2"), "{}", device.subject);
    let for_device = own.sign(&device, "Acme Device CA", now, |_| {});
    assert!(pki.import_authority(&admin, &pem(&for_device)).await.unwrap_err().to_string().contains("Bring that root's certificate along"));
    // In any order.
    let imported = pki.import_authority(&admin, &[pem(&own.der), pem(&for_device)].concat()).await.unwrap();
    let acme = imported.root.unwrap();
    assert_eq!(
        (acme.state, acme.key, acme.subject.as_str(), acme.generation),
        (AuthorityState::Staged, KeyPlace::Offline, "C=DE, CN=Acme Root", 2)
    );
    let bundle = pki.trust_bundle(&w.org);
    assert_eq!((bundle.roots.len(), bundle.cross.len()), (2, 1), "the active root vouches for it (NewWithOld)");
    assert!(bundle.roots.contains(&pem(&own.der)));
    let early = pki.activate_authority(&admin, &acme.id, true).await.unwrap_err();
    assert!(matches!(early, Error::AuthorityState(_)), "nothing for listeners under it yet");
    assert!(
        matches!(pki.activate_authority(&admin, &imported.authority.id, true).await, Err(Error::AuthorityState(_))),
        "it waits for its root"
    );
    let for_server = own.sign(&server, "Acme Server CA", now, |_| {});
    assert_eq!(pki.import_authority(&admin, &pem(&for_server)).await.unwrap().root, None, "it is known by now");
    pki.activate_authority(&admin, &acme.id, true).await.unwrap();
    let (_, enrolled, leaf) = enrol(&w, "gw-2").await;
    assert!(enrolled.trust_bundle.contains(&pem(&own.der)) && check(&w, &leaf).is_ok() && check(&w, &old_leaf).is_ok());
    let chain = pki.server_identity().unwrap().chain.clone();
    assert!(chain.iter().any(|c| c.as_ref() == own.der.as_slice()), "listeners lead to it");
    assert_eq!(pki.root_pem(), pem(&own.der));
    for a in pki.authorities_of(&w.org).into_iter().filter(|a| a.state == AuthorityState::Retiring && a.kind != "root") {
        pki.retire_authority(&admin, &a.id, true).await.unwrap();
    }
    let old = pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "root" && a.state == AuthorityState::Retiring).unwrap();
    pki.retire_authority(&admin, &old.id, true).await.unwrap();
    assert_eq!(pki.trust_bundle(&w.org).roots, [pem(&own.der)]);
    // The next one under it takes its name from the root's generation, whatever the root is called.
    let next = request(&w, AuthorityUse::Device, false).await;
    assert!(next.subject.ends_with("Device CA G2-3"), "{}", next.subject);
    assert_eq!(pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap_err().fault().code, "root_offline");
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
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
    assert_eq!(tasks(pki, &admin), [RootTask::SignCross, RootTask::Export]);
    let other = CertificateDer::from_pem_slice(next.pem.as_bytes()).unwrap();
    let signed = offline::cross(&file, &other, w.clock.now(), &entropy() as &dyn Entropy).unwrap();
    let imported = pki.import_authority(&admin, &pem(&signed.der)).await.unwrap();
    assert!(imported.cross && imported.authority.id == next.id);
    assert_eq!(pki.trust_bundle(&w.org).cross.len(), 2);
    assert_eq!(tasks(pki, &admin), [RootTask::Export], "the new root's key is here");
    assert_eq!(pki.import_authority(&admin, &pem(&signed.der)).await.unwrap_err().fault().code, "certificate_refused", "once");
}

#[tokio::test]
async fn p_5_nothing_is_taken_from_a_request_but_its_key_and_the_proposed_name() {
    let w = World::open(EngineKind::Sqlite).await;
    let file = taken_away(&w).await;
    let key = KeyPair::generate().unwrap();
    let ask = |organization: Option<&str>, cn: &str, key: &KeyPair| {
        let mut p = CertificateParams::default();
        p.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(o) = organization {
            p.distinguished_name.push(rcgen::DnType::OrganizationName, o);
        }
        p.distinguished_name.push(rcgen::DnType::CommonName, cn);
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(3));
        p.key_usages = vec![Usage::DigitalSignature, Usage::KeyCertSign];
        p.extended_key_usages = vec![Eku::ServerAuth, Eku::CodeSigning];
        let csr = p.serialize_request(key).unwrap().pem().unwrap();
        offline::issue(&file, csr.as_bytes(), w.clock.now(), &entropy() as &dyn Entropy)
    };
    let signed = ask(Some("default"), "Fleetward Device CA G1-9", &key).unwrap();
    let (_, got) = x509_parser::certificate::X509Certificate::from_der(&signed.der).unwrap();
    assert_eq!(got.basic_constraints().unwrap().unwrap().value.path_len_constraint, Some(0));
    let eku = got.extended_key_usage().unwrap().unwrap().value;
    assert!(eku.client_auth && eku.ocsp_signing && !eku.server_auth && !eku.code_signing);
    assert_eq!(got.key_usage().unwrap().unwrap().value.flags, 0b110_0000);
    for name in ["gw-1", "Fleetward Root CA G2", "Fleetward Device CA ", "Fleetward Device CA G1-2 Evil", "Acme Device CA G1-2"] {
        assert!(ask(Some("default"), name, &key).is_err(), "{name}");
    }
    assert!(ask(None, "Fleetward Device CA G1-9", &key).is_err());
    let weak = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert!(ask(Some("default"), "Fleetward Device CA G1-9", &weak).is_err(), "authorities have P-256 keys (P-1)");
    assert!(offline::issue(&file, b"junk", w.clock.now(), &entropy() as &dyn Entropy).is_err());
}

/// Each refusal names its rule (P-1 … P-9).
#[tokio::test]
async fn p_7_to_p_9_a_certificate_outside_the_profile_does_not_come_in() {
    let w = World::open(EngineKind::Sqlite).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let now = w.clock.now();
    let own = Foreign::of("Acme Root", now, |_| {});
    let device = request(&w, AuthorityUse::Device, true).await;
    let import = async |root: &Foreign, der: &[u8]| {
        let refused = pki.import_authority(&admin, &[pem(der), pem(&root.der)].concat()).await.unwrap_err();
        assert_eq!(refused.fault().code, "certificate_refused");
        refused.to_string()
    };
    let cn = "Acme Device CA";
    let wrong: Vec<(Vec<u8>, &str)> = vec![
        (own.sign(&device, cn, now, |p| p.is_ca = IsCa::ExplicitNoCa), "CA:TRUE"),
        (own.sign(&device, cn, now, |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "pathlen:0"),
        (own.sign(&device, cn, now, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))), "pathlen:0"),
        (own.sign(&device, cn, now, |p| p.key_usages = vec![Usage::CrlSign]), "keyCertSign"),
        (own.sign(&device, cn, now, |p| p.key_usages.push(Usage::DigitalSignature)), "nothing else"),
        (own.sign(&device, cn, now, |p| p.key_usages.clear()), "keyCertSign"),
        (own.sign(&device, cn, now, |p| p.extended_key_usages = vec![Eku::ServerAuth, Eku::OcspSigning]), "clientAuth"),
        (own.sign(&device, cn, now, |p| p.extended_key_usages.push(Eku::ServerAuth)), "nothing else"),
        (own.sign(&device, cn, now, |p| p.extended_key_usages.clear()), "clientAuth"),
        (own.sign(&device, cn, now, |p| p.use_authority_key_identifier_extension = false), "authority key identifier"),
        (own.sign(&device, cn, now, |p| p.not_after = crate::pki::profile::instant(now.plus(4000 * DAY)).unwrap()), "(P-6)"),
        (own.sign(&device, cn, now, |p| p.not_after = crate::pki::profile::instant(now.plus(2000 * DAY)).unwrap()), "five years"),
        (own.sign(&device, cn, now, |p| p.not_after = crate::pki::profile::instant(now.plus(60 * DAY)).unwrap()), "90 days"),
        (own.sign(&device, cn, now, |p| p.not_before = crate::pki::profile::instant(now.plus(DAY)).unwrap()), "clock"),
        (
            own.sign(&device, cn, now, |p| p.subject_alt_names = vec![rcgen::SanType::DnsName("a.example".try_into().unwrap())]),
            "alternative names",
        ),
        (own.sign(&device, "Acme Root", now, |_| {}), "(P-7)"),
    ];
    for (der, says) in &wrong {
        let said = import(&own, der).await;
        assert!(said.contains(says), "{says}: {said}");
    }
    let ours = {
        // The very name of an authority that is here already (P-7).
        let sign = |p: &mut CertificateParams| {
            p.distinguished_name = rcgen::DistinguishedName::new();
            p.distinguished_name.push(rcgen::DnType::OrganizationName, "default");
            p.distinguished_name.push(rcgen::DnType::CommonName, "Fleetward Device CA G1-1");
        };
        own.sign(&device, cn, now, sign)
    };
    assert!(import(&own, &ours).await.contains("(P-7)"));
    let twice = own.sign(&device, cn, now, |p| {
        p.distinguished_name.push(rcgen::DnType::LocalityName, rcgen::DnValue::Ia5String("Bonn".try_into().unwrap()));
    });
    assert!(import(&own, &twice).await.contains("can't be written"));
    // Roots that are none.
    let roots: Vec<(Foreign, &str)> = vec![
        (Foreign::of("Bad 1", now, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))), "pathlen:0"),
        (Foreign::of("Bad 2", now, |p| p.key_usages = vec![Usage::KeyCertSign]), "cRLSign"),
        (Foreign::of("Bad 3", now, |p| p.extended_key_usages = vec![Eku::ClientAuth]), "extended key usage"),
        (Foreign::of("Bad 4", now, |p| p.not_after = crate::pki::profile::instant(now.plus(-1000)).unwrap()), "ended"),
    ];
    for (root, says) in &roots {
        let said = import(root, &root.sign(&device, cn, now, |_| {})).await;
        assert!(said.contains(says), "{says}: {said}");
    }
    // Somebody else's root beside it; a key that nobody asked for; no certificate at all; a torn one.
    let other = Foreign::of("Acme Root", now, |_| {});
    assert!(import(&other, &own.sign(&device, cn, now, |_| {})).await.contains("which is no root"));
    let good = own.sign(&device, cn, now, |_| {});
    let torn = &good[..good.len() - 3];
    assert!(pki.import_authority(&admin, &pem(torn)).await.is_err());
    for junk in ["", "-----BEGIN CERTIFICATE-----", &pem(&good).repeat(5), &pem(&own.der)] {
        assert_eq!(pki.import_authority(&admin, junk).await.unwrap_err().fault().code, "certificate_refused");
    }
    assert!(pki.import_authority(&w.operator().await, &pem(&good)).await.is_err(), "admins only");
    assert_eq!(pki.authorities_of(&w.org).len(), 3, "nothing came in");
    assert!(pki.import_authority(&admin, &[pem(&good), pem(&own.der)].concat()).await.is_ok());
    let late = Foreign::of("Late Root", now, |_| {});
    let server = request(&w, AuthorityUse::Server, true).await;
    let refused =
        pki.import_authority(&admin, &[pem(&late.sign(&server, "Late", now, |_| {})), pem(&late.der)].concat()).await.unwrap_err();
    assert!(matches!(refused, Error::AuthorityState(_)), "one change at a time");
    let id = server.id;
    pki.withdraw_authority_request(&admin, &id).await.unwrap();
    assert!(matches!(pki.withdraw_authority_request(&admin, &id).await, Err(Error::NoSuchRequest)));
    assert_eq!(pki.authorities_of(&w.org).iter().find(|a| a.id == device.id).unwrap().state, AuthorityState::Staged);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p_7_a_request_does_not_take_the_place_of_the_authority_of_claims(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let new = NewAuthorityRequest { kind: AuthorityUse::Claim, own_root: false, fresh: false };
    let request = pki.request_authority(&system(&w), new).await.unwrap();
    pki.withdraw_authority_request(&system(&w), &request.id).await.unwrap();
    pki.ensure_claim_authority(&system(&w)).await.unwrap();
    let made = pki.list_authorities(&system(&w)).unwrap().into_iter().find(|a| a.kind == "claim").unwrap();
    assert_eq!(made.state, AuthorityState::Active);
}

//! The life of certificates on both engines: issued, believed, renewed, revoked, ended; keys at rest; two instances on one database.

use crate::{
    access::{Access, Actor},
    asked::Origin,
    bus::Bus,
    clock::{Clock, ManualClock},
    db::{Db, EngineKind, Sql, Store, exec},
    entropy::{Entropy, SeededEntropy},
    pki::{Csr, DevicePeer, Error, Kek, KeyError, NewLeaf, Pki, PkiSettings, Refusal, csr, der},
    testing::{START, World, csr_by, store},
};
use parking_lot::Mutex;
use rcgen::KeyPair;
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::sync::Arc;
use wire::{
    FaultKind,
    enrolment::Enrolled,
    ids::{CertificateId, DeviceId, Id as _, OrgId},
    pki::{CertificateQuery, RevocationReason},
    states::CertificateState,
};

pub(super) const DAY: i64 = 86_400_000;

// What nobody writes: the tests' own meddling.
const RENAME: Sql = Sql::same("UPDATE devices SET device_id = 'gw-7', device_id_lower = 'gw-7' WHERE number = $1");
const SWAP: Sql =
    Sql::same("UPDATE authorities SET sealed_key = (SELECT b.sealed_key FROM authorities b WHERE b.kind = 'server') WHERE kind = 'device'");

/// A CSR for this key.
pub(super) fn request(name: &str, key: &KeyPair) -> String {
    csr_by(key, name)
}

pub(super) async fn enrol_with(w: &World, id: &str, key: &KeyPair) -> Result<Enrolled, crate::devices::Error> {
    w.enrol(id, "sim", request(id, key)).await
}

/// A fresh device: its key, its answer, its leaf.
pub(super) async fn enrol(w: &World, id: &str) -> (KeyPair, Enrolled, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let enrolled = enrol_with(w, id, &key).await.unwrap();
    let leaf = leaf(&enrolled);
    (key, enrolled, leaf)
}

/// What is asked of the room for a device, whoever admits it.
pub(super) fn new_leaf<'a>(org: &'a OrgId, device: i64, device_id: &'a DeviceId, csr: &'a Csr) -> NewLeaf<'a> {
    NewLeaf { org, device, device_id, csr, enrolled_by: "test", replaces: None, profile: "", origin: Origin::default() }
}

pub(super) fn leaf(enrolled: &Enrolled) -> Vec<u8> {
    CertificateDer::from_pem_slice(enrolled.certificate.as_bytes()).unwrap().to_vec()
}

pub(super) fn check(w: &World, leaf: &[u8]) -> Result<DevicePeer, Refusal> {
    w.fleet.pki().trust().check(leaf)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_is_believed_from_issue_to_revocation(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (_, enrolled, leaf) = enrol(&w, "gw-1").await;
    let peer = check(&w, &leaf).unwrap();
    assert_eq!((peer.device_id.as_str(), &peer.org, peer.not_after), ("gw-1", &w.org, enrolled.not_after));
    assert_eq!(enrolled.chain.len(), 1, "the issuing authority; the root travels apart");
    assert_eq!(enrolled.trust_bundle, [w.fleet.pki().root_pem()]);

    let admin = w.admin().await;
    let page = w.fleet.pki().certificates_page(&admin, &CertificateQuery::default()).await.unwrap();
    assert_eq!(page.certificates.total, 1);
    assert_eq!(page.authorities.iter().map(|a| a.kind.as_str()).collect::<Vec<_>>(), ["root", "device", "server"]);
    let row = &page.certificates.items[0];
    assert_eq!((row.device_id.as_str(), row.state, row.key_alg.as_str()), ("gw-1", CertificateState::Active, "P-256"));
    assert_eq!(row.issuer_id, page.authorities[1].id);
    assert_eq!(row.fingerprint, hex::encode(peer.fingerprint));

    let pki = w.fleet.pki();
    assert!(pki.revoke(&w.viewer().await, &row.id, RevocationReason::Unspecified).await.is_err(), "a viewer may not");
    let mut changes = pki.trust().changes();
    changes.mark_unchanged();
    pki.revoke(&admin, &row.id, RevocationReason::KeyCompromise).await.unwrap();
    assert!(changes.has_changed().unwrap(), "listeners are woken");
    assert_eq!(check(&w, &leaf), Err(Refusal::Revoked));
    assert_eq!(pki.trust().still(&peer.fingerprint), Err(Refusal::Revoked));

    // Idempotent: the first reason stands, and who says another one hears so.
    w.clock.advance(DAY);
    pki.revoke(&admin, &row.id, RevocationReason::KeyCompromise).await.unwrap();
    let refused = pki.revoke(&admin, &row.id, RevocationReason::Superseded).await.unwrap_err().fault();
    assert_eq!((refused.kind, refused.code.as_str()), (FaultKind::Conflict, "already_revoked"));
    assert_eq!(refused.message, format!("It was revoked on {} with reason key_compromise; the reason stays.", START.readable()));
    let query = CertificateQuery { state: Some(CertificateState::Revoked), ..CertificateQuery::default() };
    let page = pki.certificates_page(&admin, &query).await.unwrap();
    assert_eq!(page.certificates.items[0].reason, "key_compromise");
    let nobody = CertificateId::try_from(format!("{}_{}", CertificateId::PREFIX, "0".repeat(32))).unwrap();
    assert!(matches!(pki.revoke(&admin, &nobody, RevocationReason::Superseded).await, Err(Error::NotFound)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_key_has_one_device_and_never_comes_back_after_a_compromise(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (key, _, leaf) = enrol(&w, "gw-1").await;
    let refused = |r: Result<Enrolled, crate::devices::Error>| r.unwrap_err().fault().code;
    assert_eq!(refused(enrol_with(&w, "gw-2", &key).await), "key_in_use", "another device's key");
    let peer = check(&w, &leaf).unwrap();
    w.fleet.pki().revoke(&w.admin().await, &peer.certificate, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(refused(enrol_with(&w, "gw-1", &key).await), "key_in_use", "its own, compromised");
    assert!(enrol_with(&w, "gw-1", &KeyPair::generate().unwrap()).await.is_ok(), "a new key is welcome");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn renewal_waits_for_its_time_and_retires_the_predecessor(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (key, enrolled, old) = enrol(&w, "gw-1").await;
    let peer = check(&w, &old).unwrap();
    let actor = Actor::system(w.org.clone());
    let renew = async |key: &KeyPair| pki.renew(&actor, &peer, request("gw-1", key).as_bytes(), "https://d").await;

    assert!(matches!(renew(&key).await, Err(Error::RenewTooEarly(at)) if at == enrolled.renew_after), "R-1");
    assert!(matches!(pki.renew(&actor, &peer, request("gw-2", &key).as_bytes(), "https://d").await, Err(Error::Csr(_))), "the name stays");
    w.clock.advance(enrolled.renew_after.since(w.clock.now()) + DAY);
    assert!(!pki.trust().renewal_overdue(&peer), "a device has a day to see it by itself");
    w.clock.advance(1);
    assert!(pki.trust().renewal_overdue(&peer));
    let new = leaf(&renew(&key).await.unwrap());
    assert_ne!(new, old, "same key, new serial (P-2)");
    assert!(check(&w, &old).is_ok() && check(&w, &new).is_ok(), "both are good until the new one was used (R-2)");

    // A lost answer: renewed again, the unused one goes.
    let newer = leaf(&renew(&KeyPair::generate().unwrap()).await.unwrap());
    assert_eq!(check(&w, &new), Err(Refusal::Superseded));
    let used = check(&w, &newer).unwrap();
    pki.first_use(std::slice::from_ref(&used.certificate)).await.unwrap();
    pki.reload().await.unwrap();
    w.clock.advance(DAY - 1000);
    assert!(check(&w, &old).is_ok(), "a day of overlap");
    w.clock.advance(2000);
    assert_eq!(check(&w, &old), Err(Refusal::Expired));
    pki.tick().await.unwrap();
    pki.reload().await.unwrap();
    assert!(check(&w, &newer).is_ok());
    let rows = pki.certificates_of(&mut read(&w).await, peer.device).await.unwrap();
    let mut ended = rows.iter().filter(|r| r.state == CertificateState::Superseded);
    assert!(ended.all(|r| r.reason == RevocationReason::Superseded.as_str()), "third parties can learn of it (R-2)");
    let mut states: Vec<_> = rows.into_iter().map(|r| r.state).collect();
    states.sort();
    assert_eq!(states, [CertificateState::Active, CertificateState::Superseded, CertificateState::Superseded]);
    assert!(matches!(renew(&key).await, Err(Error::NotUsable(_))), "an ended certificate renews nothing");
}

async fn read(w: &World) -> crate::db::Read {
    w.fleet.pki().db.read().await.unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn ends_strangers_and_lost_devices_are_refused(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let (_, _, one) = enrol(&w, "gw-1").await;
    let (_, _, two) = enrol(&w, "gw-2").await;
    let trust = pki.trust();

    // Signed by our authority, but never written down: what a stolen key would make (H-4).
    let key = KeyPair::generate().unwrap();
    let forged = {
        let gated = csr::gate(request("gw-9", &key).as_bytes(), None).unwrap();
        let id: DeviceId = "gw-9".parse().unwrap();
        let mut tx = pki.db.write().await.unwrap();
        let new = new_leaf(&w.org, 9, &id, &gated);
        pki.issue_device(&mut tx, new).await.unwrap().der
    };
    assert_eq!(trust.check(&forged), Err(Refusal::NotYetKnown), "another instance may have issued it just now");
    w.clock.advance(120_000);
    assert_eq!(trust.check(&forged), Err(Refusal::Unknown));
    pki.judge_strangers().await.unwrap();
    assert_eq!(trust.unknown_seen(), 2, "the database knows nothing of it either");

    w.fleet.devices().decommission(&w.admin().await, &"gw-2".parse().unwrap()).await.unwrap();
    assert!(matches!(trust.check(&two), Err(Refusal::Revoked | Refusal::DeviceInactive)));

    w.clock.advance(-3 * DAY);
    assert_eq!(trust.check(&one), Err(Refusal::NotYetValid));
    w.clock.advance(3 * DAY + 91 * DAY);
    assert_eq!(trust.check(&one), Err(Refusal::Expired));
    assert_eq!(pki.expiring(&w.org, w.clock.now().plus(30 * DAY)).await.unwrap(), 0, "what has ended does not expire any more");
    pki.tick().await.unwrap();
    assert!(trust.is_empty(), "ended certificates leave memory");
    // A clock that was wrong has ended them: with the right one they are as good as they say.
    w.clock.advance(-91 * DAY);
    pki.tick().await.unwrap();
    pki.reload().await.unwrap();
    assert!(trust.check(&one).is_ok(), "A-20");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_names_in_a_certificate_must_be_those_of_its_row(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (_, _, one) = enrol(&w, "gw-1").await;
    let peer = check(&w, &one).unwrap();
    let mut tx = w.fleet.pki().db.write().await.unwrap();
    exec!(&mut tx, RENAME, peer.device).unwrap();
    w.fleet.pki().device_changed(&mut tx, peer.device).await.unwrap();
    tx.commit().await.unwrap();
    w.fleet.pki().reload().await.unwrap();
    assert_eq!(check(&w, &one), Err(Refusal::Names), "P-3");
}

/// A room of its own over an open store that has its organization.
pub(super) async fn room(db: &Db, org: &OrgId, entropy: impl Entropy, kek: u8) -> Result<Pki, Error> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(START));
    let kek = Kek::new(&[kek; 32]).unwrap();
    Pki::open(db.clone(), clock, Arc::new(entropy), Bus::default(), kek, PkiSettings::for_tests(), org).await
}

pub(super) async fn organization(db: &Db) -> OrgId {
    let jwt = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap().to_pkcs8().unwrap();
    let (clock, entropy) = (Arc::new(ManualClock::at(START)), Arc::new(SeededEntropy::new(9)));
    Access::new(db.clone(), clock, entropy, Bus::default(), jwt.as_ref()).unwrap().ensure_organization().await.unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_36_authorities_are_made_once_and_open_only_with_their_key(#[case] kind: EngineKind) {
    let (db, _folder) = store(kind, Store::Fleet).await;
    let org = organization(&db).await;
    let (one, two) = tokio::join!(room(&db, &org, SeededEntropy::new(1), 7), room(&db, &org, SeededEntropy::new(2), 7));
    let (one, two) = (one.unwrap(), two.unwrap());
    two.reload().await.unwrap();
    one.reload().await.unwrap();
    assert_eq!(one.root_fingerprint(), two.root_fingerprint(), "two instances at once make one root");
    assert_eq!(one.authorities_of(&org).len(), 3);

    assert!(matches!(room(&db, &org, SeededEntropy::new(3), 8).await, Err(Error::Key(KeyError::WrongKek))), "K-2");

    // Two authorities' sealed keys swapped: each opens only where it belongs (attack list 36).
    let mut tx = db.write().await.unwrap();
    assert_eq!(exec!(&mut tx, SWAP).unwrap(), 1);
    tx.commit().await.unwrap();
    assert!(matches!(room(&db, &org, SeededEntropy::new(4), 7).await, Err(Error::Key(KeyError::Tampered))));
}

/// Gives every serial twice, once the three authorities have theirs.
struct Stuttering(Mutex<u8>, SeededEntropy);

impl Entropy for Stuttering {
    fn fill(&self, buffer: &mut [u8]) {
        if buffer.len() == 20 {
            let mut count = self.0.lock();
            buffer.fill(if *count < 3 { *count } else { 100 + (*count - 3) / 2 });
            *count += 1;
        } else {
            self.1.fill(buffer);
        }
    }
}

/// P-2, attack list 19.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_19_a_serial_that_was_drawn_before_is_drawn_again(#[case] kind: EngineKind) {
    let (db, _folder) = store(kind, Store::Fleet).await;
    let org = organization(&db).await;
    let pki = room(&db, &org, Stuttering(Mutex::new(0), SeededEntropy::new(1)), 7).await.unwrap();
    let mut serials = Vec::new();
    for n in 0..6 {
        let id: DeviceId = format!("gw-{n}").parse().unwrap();
        let gated = csr::gate(request(id.as_str(), &KeyPair::generate().unwrap()).as_bytes(), Some(&id)).unwrap();
        let mut tx = db.write().await.unwrap();
        let new = new_leaf(&org, n, &id, &gated);
        serials.push(pki.issue_device(&mut tx, new).await.unwrap().serial);
        tx.commit().await.unwrap();
    }
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 6, "{serials:?}");
}

/// Asked names must be what the profile would say anyway.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn alternative_names_are_compared_never_copied(#[case] kind: EngineKind) {
    let (db, _folder) = store(kind, Store::Fleet).await;
    let org = organization(&db).await;
    let pki = room(&db, &org, SeededEntropy::new(1), 7).await.unwrap();
    let id: DeviceId = "gw-1".parse().unwrap();
    let issue = async |uri: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
        let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        let gated = csr::gate(pem.as_bytes(), Some(&id)).unwrap();
        let mut tx = db.write().await.unwrap();
        let new = new_leaf(&org, 1, &id, &gated);
        pki.issue_device(&mut tx, new).await
    };
    assert!(issue("spiffe://fleet.test/t/default/d/gw-1").await.is_ok());
    for foreign in ["spiffe://fleet.test/t/default/d/gw-2", "spiffe://fleet.test/t/other/d/gw-1", "spiffe://evil.test/t/default/d/gw-1"] {
        let refused = issue(foreign).await.unwrap_err().fault().code;
        assert_eq!(refused, "identity_mismatch", "{foreign} (attack list 11)");
    }
    assert!(der::strict(&issue("spiffe://fleet.test/t/default/d/gw-1").await.unwrap().der).is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r3_keys_change_with_a_renewal_as_the_organization_wants(#[case] kind: EngineKind) {
    use wire::{
        pki::IdentityRules,
        states::{ClonePolicy, RecoveryPolicy, RekeyPolicy},
    };
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let (key, enrolled, leaf) = enrol(&w, "gw-1").await;
    let peer = check(&w, &leaf).unwrap();
    w.clock.advance(enrolled.renew_after.since(w.clock_now()) + DAY);
    let system = Actor::system(w.org.clone());
    let renew = |key: &KeyPair| {
        let (csr, system, peer, pki) = (request("gw-1", key), system.clone(), peer.clone(), pki.clone());
        async move { pki.renew(&system, &peer, csr.as_bytes(), "https://d").await.map_err(|e| e.fault().code) }
    };
    let other = KeyPair::generate().unwrap();
    let rules = |rekey| IdentityRules { clones: ClonePolicy::Alert, rekey, recovery: RecoveryPolicy::Off, recovery_days: 30 };
    pki.set_rules(&admin, rules(RekeyPolicy::Required)).await.unwrap();
    assert_eq!(renew(&key).await.unwrap_err(), "rekey_required");
    assert!(renew(&other).await.is_ok());
    pki.set_rules(&admin, rules(RekeyPolicy::Forbidden)).await.unwrap();
    assert_eq!(renew(&other).await.unwrap_err(), "rekey_forbidden");
    assert!(renew(&key).await.is_ok());
    assert_eq!(pki.rules(&w.viewer().await).await.unwrap().rules, rules(RekeyPolicy::Forbidden));
}

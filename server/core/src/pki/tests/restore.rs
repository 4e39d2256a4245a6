//! The backup drill on both engines (K-7): what was revoked after the backup stays so when it is put back, and lists' numbers never go back.

use super::life::{DAY, check, enrol, enrol_with, organization};
use crate::{
    access::Actor,
    bus::Bus,
    clock::{Clock, ManualClock},
    db::{EngineKind, Store},
    entropy::SeededEntropy,
    pki::{Kek, Pki, PkiSettings, Refusal, der},
    testing::{Backup, START, World, store},
};
use rstest::rstest;
use std::sync::{Arc, atomic::Ordering};
use wire::{
    pki::{Revocation, RevocationReason},
    states::DeviceStep,
};
use x509_parser::{prelude::FromDer as _, revocation_list::CertificateRevocationList};

/// Number and serials of the device authority's list.
pub(super) fn list(w: &World) -> (u64, Vec<Vec<u8>>) {
    let pki = w.fleet.pki();
    let authority = pki.list_authorities(&Actor::system(w.org.clone())).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    let list = pki.crl(&authority).unwrap();
    let (_, parsed) = CertificateRevocationList::from_der(&list.der).unwrap();
    let serials = parsed.iter_revoked_certificates().map(|r| r.raw_serial().to_vec()).collect();
    (u64::try_from(list.number).unwrap(), serials)
}

pub(super) fn serial(leaf: &[u8]) -> Vec<u8> {
    x509_parser::certificate::X509Certificate::from_der(leaf).unwrap().1.raw_serial().to_vec()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_backup_put_back_brings_nothing_back_that_was_revoked_since(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let (_, _, before) = enrol(&w, "gw-0").await;
    let system = Actor::system(w.org.clone());
    let earlier = check(&w, &before).unwrap();
    w.fleet.pki().revoke(&system, &earlier.certificate, RevocationReason::Unspecified).await.unwrap();
    let (lost_key, _, lost) = enrol(&w, "gw-1").await;
    let (_, _, gone) = enrol(&w, "gw-2").await;
    let (_, _, kept) = enrol(&w, "gw-3").await;
    let folder = w.close().await;
    backup.take(&folder).await;

    // The day after the backup.
    let w = backup.open(folder, 2).await;
    w.clock.advance(DAY);
    let pki = w.fleet.pki();
    pki.tick().await.unwrap();
    let suspected =
        Revocation { invalidity_date: Some(w.clock.now()), note: "stolen".to_owned(), ..RevocationReason::KeyCompromise.into() };
    let lost_id = check(&w, &lost).unwrap().certificate;
    pki.revoke(&system, &lost_id, suspected).await.unwrap();
    w.fleet.devices().change(&system, &"gw-2".parse().unwrap(), DeviceStep::Decommission).await.unwrap();
    let (_, _, unknown) = enrol(&w, "gw-4").await;
    let noted = Revocation { note: "sold".to_owned(), ..RevocationReason::PrivilegeWithdrawn.into() };
    pki.revoke(&system, &check(&w, &unknown).unwrap().certificate, noted).await.unwrap();
    let (_, _, never_revoked) = enrol(&w, "gw-5").await;
    pki.publish().await.unwrap();
    let (number, serials) = list(&w);
    assert_eq!(serials.len(), 4);
    let folder = w.close().await;

    // The disk is lost; the backup is put back, and the journal is not.
    backup.put_back(&folder).await;
    let w = backup.open(folder, 3).await;
    let pki = w.fleet.pki();
    assert_eq!(check(&w, &lost), Err(Refusal::Revoked), "before anybody could connect");
    assert_eq!(check(&w, &gone), Err(Refusal::Revoked));
    let told = pki.certificate(&system, &lost_id).await.unwrap();
    assert_eq!((told.revocation_note.as_str(), told.invalidity_date.is_some()), ("stolen", true), "and what was known of it");
    assert!(check(&w, &kept).is_ok());
    w.clock.advance(DAY + 3_600_000);
    assert_eq!(check(&w, &unknown), Err(Refusal::Unknown), "issued after the backup");
    assert_eq!(check(&w, &never_revoked), Err(Refusal::Unknown));
    let refused = enrol_with(&w, "gw-9", &lost_key).await.unwrap_err();
    assert_eq!(refused.fault().code, "key_in_use", "a compromised key stays blocked");
    w.fleet.attacks().write_down().await.unwrap();
    pki.publish().await.unwrap();
    let (again, serials) = list(&w);
    assert!(again > number, "{again} after {number}");
    for leaf in [&before, &lost, &gone, &unknown] {
        assert!(serials.contains(&serial(leaf)), "third parties are told, also of what this database never issued");
    }
    assert_eq!(serials.len(), 4);
    let log = w.fleet.access().audit_page(&system, None).await.unwrap().entries.items;
    assert_eq!(log.iter().filter(|e| e.action == "certificate.revoke" && e.actor == "automatic").count(), 4, "{log:#?}");
    assert!(w.fleet.access().verify_audit(&system).await.unwrap().broken_at.is_none());
    assert!(der::strict(&unknown).is_ok());

    // A second start has nothing left to do.
    let entries = log.len();
    let w = backup.open(w.close().await, 4).await;
    assert_eq!(w.fleet.access().audit_page(&system, None).await.unwrap().entries.items.len(), entries);
}

/// What a start finds may be older than what others have seen, so it publishes anew.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_every_start_publishes_lists_of_its_own(#[case] kind: EngineKind) {
    let (db, _folder) = store(kind, Store::Fleet).await;
    let org = organization(&db).await;
    let open = |at: i64| {
        let (clock, kek): (Arc<dyn Clock>, _) = (Arc::new(ManualClock::at(START.plus(at))), Kek::new(&[7; 32]).unwrap());
        let entropy = Arc::new(SeededEntropy::new(u64::try_from(at).unwrap()));
        Pki::open(db.clone(), clock, entropy, Bus::default(), kek, PkiSettings::for_tests(), &org)
    };
    let number = |pki: &Pki| {
        let root = pki.authorities_of(&org).into_iter().find(|a| a.kind == "root").unwrap().id;
        pki.crl(&root).unwrap().number
    };
    let first = open(0).await.unwrap();
    first.publish().await.unwrap();
    let before = number(&first);
    first.publish().await.unwrap();
    assert_eq!(number(&first), before, "once is enough");
    let second = open(60_000).await.unwrap();
    second.publish().await.unwrap();
    assert!(number(&second) > before);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_many_revocations_are_one_write_of_the_journal(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let mut ids = Vec::new();
    for id in ["gw-1", "gw-2", "gw-3"] {
        let (_, _, leaf) = enrol(&w, id).await;
        ids.push(check(&w, &leaf).unwrap().certificate);
    }
    let writes = || pki.journal.as_ref().unwrap().writes.load(Ordering::Relaxed);
    let before = writes();
    pki.revoke_these(&system, &ids, RevocationReason::Superseded).await.unwrap();
    assert_eq!(writes() - before, 1);
    let told = std::fs::read_to_string(w.folder.path().join("revocations.log")).unwrap();
    assert!(ids.iter().all(|id| told.contains(id.as_str())), "{told}");
    pki.revoke_these(&system, &ids, RevocationReason::Superseded).await.unwrap();
    assert_eq!(writes() - before, 1, "there is nothing to tell");
}

/// R-5 and K-7 together: that a key is compromised was said after the backup, of a certificate that was revoked before it.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_backup_put_back_takes_no_compromise_back(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let system = Actor::system(w.org.clone());
    let (key, _, leaf) = enrol(&w, "gw-1").await;
    let id = check(&w, &leaf).unwrap().certificate;
    w.fleet.pki().revoke(&system, &id, RevocationReason::Superseded).await.unwrap();
    let folder = w.close().await;
    backup.take(&folder).await;

    let w = backup.open(folder, 2).await;
    let admin = w.admin().await;
    w.clock.advance(DAY);
    w.fleet.pki().revoke(&admin, &id, RevocationReason::KeyCompromise).await.unwrap();
    let said = w.fleet.pki().certificate(&admin, &id).await.unwrap();
    assert_eq!((said.raised_by.as_str(), said.raised_at), (admin.label().as_str(), Some(w.clock.now())));
    assert_ne!(said.revoked_by, said.raised_by, "who revoked it first stays");
    let folder = w.close().await;

    backup.put_back(&folder).await;
    let w = backup.open(folder, 3).await;
    let told = w.fleet.pki().certificate(&system, &id).await.unwrap();
    assert_eq!(told.row.reason, "key_compromise");
    assert_eq!((told.raised_by, told.raised_at, told.revoked_by), (said.raised_by, said.raised_at, said.revoked_by));
    assert_eq!(enrol_with(&w, "gw-1", &key).await.unwrap_err().fault().code, "key_in_use");
    w.fleet.attacks().write_down().await.unwrap();
    // And a second start, with the whole journal, changes nothing.
    let entries = w.fleet.access().audit_page(&system, None).await.unwrap().entries.items.len();
    let w = backup.open(w.close().await, 4).await;
    assert_eq!(w.fleet.access().audit_page(&system, None).await.unwrap().entries.items.len(), entries);
}

/// R-5 and K-7 together: a key that others have is refused longer than its certificate would have held, also one of which the backup knows nothing.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_backup_put_back_frees_no_compromised_key_whose_certificate_has_ended(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let system = Actor::system(w.org.clone());
    let (known_key, _, known) = enrol(&w, "gw-1").await;
    let (raised_key, _, raised) = enrol(&w, "gw-2").await;
    let (withdrawn_key, _, withdrawn) = enrol(&w, "gw-3").await;
    let raised = check(&w, &raised).unwrap().certificate;
    w.fleet.pki().revoke(&system, &raised, RevocationReason::Superseded).await.unwrap();
    let folder = w.close().await;
    backup.take(&folder).await;

    let w = backup.open(folder, 2).await;
    let (lost_key, _, lost) = enrol(&w, "gw-4").await;
    let pki = w.fleet.pki();
    for leaf in [&known, &lost] {
        pki.revoke(&system, &check(&w, leaf).unwrap().certificate, RevocationReason::KeyCompromise).await.unwrap();
    }
    pki.revoke(&system, &check(&w, &withdrawn).unwrap().certificate, RevocationReason::PrivilegeWithdrawn).await.unwrap();
    pki.revoke(&system, &raised, RevocationReason::KeyCompromise).await.unwrap();
    let folder = w.close().await;

    // The backup is put back when every one of them has ended by itself.
    backup.put_back(&folder).await;
    let later = START.plus(200 * DAY);
    let w = backup.open_when(folder, 3, later).await;
    for (id, key) in [("gw-1", &known_key), ("gw-2", &raised_key), ("gw-4", &lost_key)] {
        assert_eq!(enrol_with(&w, id, key).await.unwrap_err().fault().code, "key_in_use", "{id}");
    }
    assert!(enrol_with(&w, "gw-3", &withdrawn_key).await.is_ok(), "nobody else has this one");
    w.fleet.attacks().write_down().await.unwrap();
    let log = w.fleet.access().audit_page(&system, None).await.unwrap().entries.items;
    assert_eq!(log.iter().filter(|e| e.action == "key.block" && e.actor == "automatic").count(), 3, "{log:#?}");

    // A second start has nothing left to do.
    let journal = |folder: &tempfile::TempDir| std::fs::read_to_string(folder.path().join("revocations.log")).unwrap();
    let (entries, lines) = (log.len(), journal(&w.folder));
    let w = backup.open_when(w.close().await, 4, later).await;
    assert_eq!(w.fleet.access().audit_page(&system, None).await.unwrap().entries.items.len(), entries);
    assert_eq!(journal(&w.folder), lines, "and the journal has nothing to learn");

    // A journal that was lost learns it from the database, ended or not.
    let folder = w.close().await;
    std::fs::remove_file(folder.path().join("revocations.log")).unwrap();
    let folder = backup.open_when(folder, 5, later).await.close().await;
    assert_eq!(journal(&folder).matches("\"what\":\"blocked\"").count(), 3);
    backup.put_back(&folder).await;
    let w = backup.open_when(folder, 6, later).await;
    assert_eq!(enrol_with(&w, "gw-4", &lost_key).await.unwrap_err().fault().code, "key_in_use", "by a line of its own");
}

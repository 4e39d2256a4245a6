//! The backup drill on both engines (K-7): what was revoked after the backup stays so when it is put back, and lists' numbers never go back.

use super::life::{DAY, check, enrol, enrol_with, organization};
use crate::{
    access::Actor,
    bus::Bus,
    clock::{Clock, ManualClock},
    db::{EngineKind, Store},
    entropy::SeededEntropy,
    pki::{Kek, Pki, PkiSettings, Refusal, der},
    testing::{START, World, copy_database, postgres, store},
};
use rstest::rstest;
use std::{path::Path, sync::Arc};
use wire::{pki::RevocationReason, states::DeviceStep};
use x509_parser::{prelude::FromDer as _, revocation_list::CertificateRevocationList};

pub(super) const FILES: [&str; 4] = ["fleet.db", "fleet.db-wal", "telemetry.db", "telemetry.db-wal"];

/// Copies the embedded database's files; what is not there in the source is removed.
pub(super) fn copy(from: &Path, to: &Path) {
    for file in FILES {
        let _ = std::fs::remove_file(to.join(file));
        if from.join(file).exists() {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
}

/// Number and serials of the device authority's list.
fn list(w: &World) -> (u64, Vec<Vec<u8>>) {
    let pki = w.fleet.pki();
    let authority = pki.list_authorities(&Actor::system(w.org.clone())).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    let list = pki.crl(&authority).unwrap();
    let (_, parsed) = CertificateRevocationList::from_der(&list.der).unwrap();
    let serials = parsed.iter_revoked_certificates().map(|r| r.raw_serial().to_vec()).collect();
    (u64::try_from(list.number).unwrap(), serials)
}

fn serial(leaf: &[u8]) -> Vec<u8> {
    x509_parser::certificate::X509Certificate::from_der(leaf).unwrap().1.raw_serial().to_vec()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_backup_put_back_brings_nothing_back_that_was_revoked_since(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let backup = (tempfile::tempdir().unwrap(), url.as_ref().map(|url| format!("{url}_backup")));
    let w = World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await;
    let (_, _, before) = enrol(&w, "gw-0").await;
    let system = Actor::system(w.org.clone());
    let earlier = check(&w, &before).unwrap();
    w.fleet.pki().revoke(&system, &earlier.certificate, RevocationReason::Unspecified).await.unwrap();
    let (lost_key, _, lost) = enrol(&w, "gw-1").await;
    let (_, _, gone) = enrol(&w, "gw-2").await;
    let (_, _, kept) = enrol(&w, "gw-3").await;
    let folder = w.close().await;
    match (&url, &backup.1) {
        (Some(url), Some(copy)) => copy_database(url, copy).await,
        _ => copy(folder.path(), backup.0.path()),
    }

    // The day after the backup.
    let w = World::open_at(folder, url.clone(), 2).await;
    w.clock.advance(DAY);
    let pki = w.fleet.pki();
    pki.tick().await.unwrap();
    pki.revoke(&system, &check(&w, &lost).unwrap().certificate, RevocationReason::KeyCompromise).await.unwrap();
    w.fleet.devices().change(&system, &"gw-2".parse().unwrap(), DeviceStep::Decommission).await.unwrap();
    let (_, _, unknown) = enrol(&w, "gw-4").await;
    pki.revoke(&system, &check(&w, &unknown).unwrap().certificate, RevocationReason::PrivilegeWithdrawn).await.unwrap();
    let (_, _, never_revoked) = enrol(&w, "gw-5").await;
    pki.publish().await.unwrap();
    let (number, serials) = list(&w);
    assert_eq!(serials.len(), 4);
    let folder = w.close().await;

    // The disk is lost; the backup is put back, and the journal is not.
    match (&url, &backup.1) {
        (Some(url), Some(copy)) => copy_database(copy, url).await,
        _ => copy(backup.0.path(), folder.path()),
    }
    let w = World::open_at(folder, url.clone(), 3).await;
    let pki = w.fleet.pki();
    assert_eq!(check(&w, &lost), Err(Refusal::Revoked), "before anybody could connect");
    assert_eq!(check(&w, &gone), Err(Refusal::Revoked));
    assert!(check(&w, &kept).is_ok());
    w.clock.advance(DAY + 3_600_000);
    assert_eq!(check(&w, &unknown), Err(Refusal::Unknown), "issued after the backup");
    assert_eq!(check(&w, &never_revoked), Err(Refusal::Unknown));
    let refused = enrol_with(&w, "gw-9", &lost_key).await.unwrap_err();
    assert_eq!(refused.fault().code, "key_in_use", "a compromised key stays blocked");
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
    let w = World::open_at(w.close().await, url, 4).await;
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

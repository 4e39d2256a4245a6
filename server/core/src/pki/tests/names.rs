//! Names of authorities on both engines: each is given once, whatever becomes of the database (P-7, K-7).

use crate::{
    access::Actor,
    db::EngineKind,
    pki::store,
    testing::{Backup, World},
};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rstest::rstest;
use wire::{pki::AuthorityUse, roots::NewAuthorityRequest};

/// The subjects of all that are there, sorted.
fn subjects(w: &World) -> Vec<String> {
    let mut all: Vec<String> = w.fleet.pki().authorities_of(&w.org).into_iter().map(|a| a.subject).collect();
    all.sort();
    all
}

fn named(what: &str, generation: &str) -> String {
    format!("O=default, CN=Fleetward {what} CA {generation}")
}

fn asked(kind: AuthorityUse) -> NewAuthorityRequest {
    NewAuthorityRequest { kind, own_root: false, fresh: false }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_name_that_was_given_after_a_backup_is_given_to_no_other_key(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let folder = backup.open(tempfile::tempdir().unwrap(), 1).await.close().await;
    backup.take(&folder).await;

    // After the backup: one authority that issues, and a request that was given up, of which somebody may have signed the name.
    let w = backup.open(folder, 2).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let made = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert_eq!(made.subject, named("Device", "G1-2"));
    pki.activate_authority(&admin, &made.id, false).await.unwrap();
    let request = pki.request_authority(&admin, asked(AuthorityUse::Server)).await.unwrap();
    assert_eq!(request.subject, named("Server", "G1-2"));
    pki.withdraw_authority_request(&admin, &request.id).await.unwrap();
    let folder = w.close().await;

    backup.put_back(&folder).await;
    let w = backup.open(folder, 3).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    assert_eq!(subjects(&w), [named("Device", "G1-1"), named("Root", "G1"), named("Server", "G1-1")]);
    let staged = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert_eq!(staged.subject, named("Device", "G1-3"), "not the name of the one that is forgotten");
    assert_ne!(staged.id, made.id, "so where it publishes is another place, too");
    pki.retire_authority(&admin, &staged.id, true).await.unwrap();
    let request = pki.request_authority(&admin, asked(AuthorityUse::Server)).await.unwrap();
    assert_eq!(request.subject, named("Server", "G1-3"));
    pki.withdraw_authority_request(&admin, &request.id).await.unwrap();

    // It is known from then on without the journal, which learns it again when it was lost.
    let folder = w.close().await;
    std::fs::remove_file(folder.path().join("revocations.log")).unwrap();
    let w = backup.open(folder, 4).await;
    let journal = std::fs::read_to_string(w.folder.path().join("revocations.log")).unwrap();
    assert_eq!(journal.matches("\"what\":\"named\"").count(), 3, "{journal}");
    let folder = w.close().await;
    backup.put_back(&folder).await;
    let w = backup.open(folder, 5).await;
    let admin = w.admin().await;
    let root = w.fleet.pki().stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    assert_eq!(root.subject, named("Root", "G2"));
    assert!(subjects(&w).ends_with(&[named("Server", "G1-1"), named("Server", "G2-4")]), "{:?}", subjects(&w));
    assert!(subjects(&w).contains(&named("Device", "G2-4")), "{:?}", subjects(&w));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k7_a_database_that_begins_anew_gives_no_name_of_the_one_before(#[case] kind: EngineKind) {
    let backup = Backup::of(kind).await;
    let folder = tempfile::tempdir().unwrap();
    // Of nothing.
    backup.take(&folder).await;
    let w = backup.open(folder, 1).await;
    assert_eq!(subjects(&w), [named("Device", "G1-1"), named("Root", "G1"), named("Server", "G1-1")]);
    let folder = w.close().await;
    backup.put_back(&folder).await;
    let w = backup.open(folder, 2).await;
    assert_eq!(subjects(&w), [named("Device", "G2-2"), named("Root", "G2"), named("Server", "G2-2")]);
    // And a second start leaves them as they are.
    let w = backup.open(w.close().await, 3).await;
    assert_eq!(subjects(&w), [named("Device", "G2-2"), named("Root", "G2"), named("Server", "G2-2")]);
}

/// Registers somebody's authority with this common name in our organization's name; gives what it is refused with.
async fn register(w: &World, actor: &Actor, common_name: &str) -> Result<(), String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "default");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let theirs = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let registered = w.fleet.pki().register_authority(actor, common_name, theirs.der()).await;
    registered.map(drop).map_err(|e| e.fault().code)
}

/// Two that are believed under one name could not be told apart by those who look for an issuer by its name.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p_7_our_names_and_those_of_registered_authorities_are_kept_apart(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let ours = || Err("own_authority_name".to_owned());
    for theirs in ["Fleetward Device CA G1-2", "FLEETWARD Device CA G1-3", "Fleetward Server CA G1-2", "Fleetward Root CA G2"] {
        register(&w, &admin, theirs).await.unwrap();
    }
    let staged = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    assert_eq!(staged.subject, named("Device", "G1-4"), "theirs are left out");
    let request = pki.request_authority(&admin, asked(AuthorityUse::Server)).await.unwrap();
    assert_eq!(request.subject, named("Server", "G1-3"));
    assert_eq!(register(&w, &admin, "Fleetward Server CA G1-3").await, ours(), "it waits");
    pki.withdraw_authority_request(&admin, &request.id).await.unwrap();
    assert_eq!(register(&w, &admin, "Fleetward Server CA G1-3").await, ours(), "somebody may have signed it");
    pki.retire_authority(&admin, &staged.id, true).await.unwrap();
    assert_eq!(register(&w, &admin, "fleetward device CA G1-4").await, ours(), "it has ended");

    // One of a database that was lost.
    let mut tx = pki.db.write().await.unwrap();
    store::keep_name(&mut tx, "default", "device", 8).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(register(&w, &admin, "Fleetward Device CA G1-7").await, ours());
    register(&w, &admin, "Fleetward Device CA G1-9").await.unwrap();
    let root = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    assert_eq!(root.subject, named("Root", "G3"));
    assert!(subjects(&w).contains(&named("Device", "G3-9")), "{:?}", subjects(&w));
}

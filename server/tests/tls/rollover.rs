//! One root after another over real TLS, and certificates that no listener takes, whoever signed them.

use super::rig::{BOTH, Identity, PATIENCE, Rig, ask, handshake, rig_with, trusting};
use crate::support::eventually;
use fleet::{access::Actor, db::EngineKind};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose,
    ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth},
    IsCa, KeyPair,
};
use rstest::rstest;
use rustls::AlertDescription;
use server::tls::Limits;
use std::path::Path;
use tokio::process::Command;
use wire::{pki::AuthorityUse, states::AuthorityState};

/// Whether a device that believes in these roots gets through.
async fn reaches(rig: &Rig, roots: &[String], identity: &Identity) -> bool {
    let mut all = Vec::new();
    for version in BOTH {
        let config = trusting(roots, Some(identity), version);
        all.push(match handshake(config, rig.device).await {
            Ok(mut stream) => ask(&mut stream, "/who").await.is_ok(),
            Err(_) => false,
        });
    }
    assert_eq!(all[0], all[1], "both versions of TLS agree");
    all[0]
}

/// What `openssl verify` says of the chain that the listeners show, to somebody with this root.
async fn openssl(rig: &Rig, folder: &Path, root: &str) -> bool {
    let pem = |der: &[u8]| {
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    };
    let chain = rig.world.fleet.pki().server_identity().unwrap().chain.clone();
    std::fs::write(folder.join("root.pem"), root).unwrap();
    std::fs::write(folder.join("leaf.pem"), pem(&chain[0])).unwrap();
    std::fs::write(folder.join("chain.pem"), chain[1..].iter().map(|c| pem(c)).collect::<String>()).unwrap();
    let at = (rig.world.clock_now().0 / 1000 + 1).to_string();
    let done = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslserver", "-attime", &at])
        .args(["-no-CAfile", "-no-CApath", "-CAfile", "root.pem", "-untrusted", "chain.pem", "leaf.pem"])
        .current_dir(folder)
        .output()
        .await
        .expect("openssl is installed");
    done.status.success()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_devices_with_the_old_root_and_with_both_follow_to_the_new_one(#[case] kind: EngineKind) {
    let rig = rig_with(kind, Limits::default()).await;
    let pki = rig.world.fleet.pki();
    let (system, folder) = (Actor::system(rig.world.org.clone()), tempfile::tempdir().unwrap());
    let (behind, ahead) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await);
    let old = vec![pki.root_pem()];
    let old_id = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "root").unwrap().id;

    let root = pki.stage_authority(&system, AuthorityUse::Root).await.unwrap();
    // What it has fetched, and what will be left of it.
    let (both, new) = (pki.trust_bundle(&rig.world.org).roots.clone(), vec![root.pem.clone()]);
    assert_eq!(both.len(), 2);
    for roots in [&old, &both] {
        assert!(reaches(&rig, roots, &behind).await && openssl(&rig, folder.path(), &roots.concat()).await);
    }
    assert!(!reaches(&rig, &new, &ahead).await && !openssl(&rig, folder.path(), &root.pem).await, "nothing leads to it yet");

    assert!(pki.activate_authority(&system, &root.id, false).await.is_err(), "nobody has told that it holds the bundle");
    pki.activate_authority(&system, &root.id, true).await.unwrap();
    for roots in [&old, &both, &new] {
        assert!(reaches(&rig, roots, &behind).await && reaches(&rig, roots, &ahead).await, "{} roots", roots.len());
        assert!(openssl(&rig, folder.path(), &roots.concat()).await);
    }

    let late = rig.enrol("gw-3").await;
    for a in pki.list_authorities(&system).unwrap().into_iter().filter(|a| a.state == AuthorityState::Retiring && a.kind != "root") {
        pki.retire_authority(&system, &a.id, true).await.unwrap();
    }
    pki.retire_authority(&system, &old_id, true).await.unwrap();
    assert!(!reaches(&rig, &old, &late).await && !openssl(&rig, folder.path(), &old[0]).await, "the old root is over");
    assert!(reaches(&rig, &both, &late).await && reaches(&rig, &new, &late).await);
    assert!(openssl(&rig, folder.path(), &root.pem).await);
}

/// Attack list 9: what is signed by a device authority, but is no device's certificate of the profile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_09_certificates_of_other_kinds_are_refused_even_from_the_right_authority() {
    let rig = rig_with(EngineKind::Sqlite, Limits::default()).await;
    let pki = rig.world.fleet.pki();
    let system = Actor::system(rig.world.org.clone());
    let good = rig.enrol("gw-1").await;
    let row = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    let (authority, thief) = pki.stolen(&row).await;
    let make = |usages: Vec<ExtendedKeyUsagePurpose>, ca: bool| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "gw-1");
        params.extended_key_usages = usages;
        params.is_ca = if ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
        let der = params.signed_by(&key, &thief).unwrap();
        Identity::of(vec![der.into(), authority.clone()], &key)
    };
    for version in BOTH {
        assert_eq!(rig.alert(Some(&good), version).await, None);
        assert_eq!(rig.alert(Some(&make(vec![ServerAuth], false)), version).await, Some(AlertDescription::UnsupportedCertificate));
        // webpki lets one through that says nothing of its use; nobody knows it here (H-4).
        for unknown in [make(vec![], false), make(vec![ClientAuth], false)] {
            assert_eq!(rig.alert(Some(&unknown), version).await, Some(AlertDescription::AccessDenied));
        }
        let authority = rig.alert(Some(&make(vec![ClientAuth], true)), version).await;
        assert_eq!(authority, Some(AlertDescription::UnsupportedCertificate), "an authority is no device");
    }
    eventually("every one of them is an alarm", PATIENCE, || async { pki.trust().unknown_seen() == 4 }).await;
}

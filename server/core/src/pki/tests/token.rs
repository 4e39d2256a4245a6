//! Authorities whose keys are on a PKCS#11 token, by SoftHSM, on both engines (K-4).
//!
//! `TEST_PKCS11_MODULE` names its library, and `SOFTHSM2_CONF` where it keeps tokens; `cargo xtask test` provides both.

use super::life::{check, enrol, enrol_with, leaf, request};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, row},
    devices::Attempt,
    pki::{Error, Holding, PkiSettings, TokenSettings, decode::algorithms},
    testing::{World, postgres, token},
};
use rcgen::KeyPair;
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::{collections::BTreeMap, path::PathBuf};
use wire::{
    FaultKind,
    enrolment::{EnrolRequest, NewEnrolmentToken},
    pki::{AuthorityUse, RevocationReason},
    roots::RootKey,
    states::KeyPlace,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList};

const SEALED: Sql = Sql::same("SELECT COUNT(*) FROM authorities WHERE sealed_key IS NOT NULL");

/// Devices, and serial numbers that wait for a certificate.
const THERE: Sql = Sql::same("SELECT (SELECT COUNT(*) FROM devices), (SELECT COUNT(*) FROM reserved_serials)");

/// The most certificates of devices that one transaction has made: it takes the trust clock once.
const TOGETHER: Sql = Sql::same(
    "SELECT MAX(t.together) FROM (SELECT COUNT(*) AS together FROM certificates WHERE device IS NOT NULL GROUP BY trust_seq) AS t",
);

/// Whether the certificate is signed by the authority's key.
fn signed_by(leaf: &[u8], authority: &[u8]) -> bool {
    let (_, authority) = X509Certificate::from_der(authority).unwrap();
    X509Certificate::from_der(leaf).unwrap().1.verify_signature(Some(authority.public_key())).is_ok()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_authorities_sign_with_keys_that_never_leave_the_token(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let secrets = tempfile::tempdir().unwrap();
    let settings = token(secrets.path(), &format!("fleet-{}-{kind:?}", std::process::id()));
    let on_token = |pki: PkiSettings| PkiSettings { token: Some(settings.clone()), ..pki };
    let w = World::open_with(tempfile::tempdir().unwrap(), url.clone(), 1, on_token).await.unwrap();
    let system = Actor::system(w.org.clone());
    let places = |w: &World| w.fleet.pki().list_authorities(&system).unwrap().iter().map(|a| a.key).collect::<Vec<_>>();
    assert_eq!(places(&w), [KeyPlace::Token; 3]);
    let sealed = row!(&mut w.fleet.pki().db.read().await.unwrap(), (i64,), SEALED).unwrap().unwrap();
    assert_eq!(sealed, (0,), "no authority's key is in the database");

    let (_, _, first) = enrol(&w, "gw-1").await;
    let pki = w.fleet.pki();
    let issuer = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    assert!(signed_by(&first, &pki.authority_certificate(&issuer.id).unwrap()));
    pki.revoke(&system, &check(&w, &first).unwrap().certificate, RevocationReason::Unspecified).await.unwrap();
    pki.publish().await.unwrap();
    assert!(pki.crl(&issuer.id).unwrap().number > 0, "lists are signed on it as well");

    // A restart finds the keys again, and the next generation is made on the token too.
    let w = World::open_with(w.close().await, url.clone(), 2, on_token).await.unwrap();
    assert_eq!(places(&w), [KeyPlace::Token; 3]);
    let staged = w.fleet.pki().stage_authority(&system, AuthorityUse::Device).await.unwrap();
    w.fleet.pki().activate_authority(&system, &staged.id, true).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let second = leaf(&w.enrol("gw-2", "sim", request("gw-2", &key)).await.unwrap());
    assert!(signed_by(&second, &w.fleet.pki().authority_certificate(&staged.id).unwrap()));

    // Without the token devices that are in go on, and nothing is signed.
    let w = World::open_with(w.close().await, url.clone(), 3, |pki| pki).await.unwrap();
    assert_eq!(places(&w), [KeyPlace::Token; 4], "out of reach, and not taken away");
    let kept = w.fleet.pki().take_root_offline(&system, None, Holding::Proof([0; 32])).await.unwrap_err();
    assert!(matches!(kept, Error::KeyOnToken { .. }), "it is on its token, and offline in no ceremony's sense: {kept}");
    assert!(check(&w, &second).is_ok());
    let said = w.fleet.pki().renew_identity().await.unwrap_err().to_string();
    assert!(said.contains("Server CA G1-1") && said.contains("pkcs11_token"), "which key is missing, and what to give: {said}");
    let refused = w.enrol("gw-3", "sim", request("gw-3", &key)).await.unwrap_err();
    assert!(["no_authority", "key_in_use"].contains(&refused.fault().code.as_str()), "{refused}");

    let folder = w.close().await;
    settings.answers().unwrap();
    let wrong_pin = secrets.path().join("wrong-pin");
    std::fs::copy(&settings.pin_file, &wrong_pin).unwrap();
    std::fs::write(&wrong_pin, "00000000").unwrap();
    for (wrong, says) in [
        (TokenSettings { label: "another".into(), ..settings.clone() }, "give pkcs11_token its label"),
        (TokenSettings { module: secrets.path().join("none.so"), ..settings.clone() }, "give pkcs11_module the library"),
        (TokenSettings { module: settings.pin_file.clone(), ..settings.clone() }, "loading the PKCS#11 module"),
        (TokenSettings { pin_file: secrets.path().join("none"), ..settings.clone() }, "missing"),
        (TokenSettings { pin_file: wrong_pin, ..settings.clone() }, "the token refuses the PIN: write the user's PIN"),
    ] {
        if wrong.label != settings.label {
            assert!(wrong.answers().unwrap_err().to_string().contains(says), "asked beforehand, too");
        }
        let at = tempfile::tempdir().unwrap();
        let error = World::open_with(at, None, 4, |pki| PkiSettings { token: Some(wrong), ..pki }).await.err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("0000"), "no PIN is told: {error}");
    }
    drop(folder);
}

/// E-2: whoever comes in a rush is let in, and no transaction waits for more than a few signatures.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn k4_a_rush_is_let_in_by_a_few_signatures_a_transaction(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let secrets = tempfile::tempdir().unwrap();
    let settings = token(secrets.path(), &format!("rush-{}-{kind:?}", std::process::id()));
    let w = World::open_with(tempfile::tempdir().unwrap(), url, 1, |pki| PkiSettings { token: Some(settings), ..pki }).await.unwrap();
    let devices = w.fleet.devices();
    let many = NewEnrolmentToken { label: "rush".into(), max_uses: 40, hours: 1, ..NewEnrolmentToken::default() };
    let secret = devices.create_enrolment_token(&Actor::system(w.org.clone()), many).await.unwrap().secret;
    let ask = |n: usize| {
        let csr = request(&format!("gw-{n}"), &KeyPair::generate().unwrap());
        EnrolRequest { csr, device_id: None, device_type: "sim".into(), hardware: String::new(), attributes: BTreeMap::new() }
    };
    let asks: Vec<EnrolRequest> = (0..40).map(ask).collect();
    let let_in = asks.iter().map(|request| devices.enrol(Attempt { secret: &secret, request, address: "192.0.2.1" }));
    for outcome in futures::future::join_all(let_in).await {
        outcome.unwrap();
    }
    let together = row!(&mut w.fleet.pki().db.read().await.unwrap(), (i64,), TOGETHER).unwrap().unwrap().0;
    assert!((1..=8).contains(&together), "{together}");
}

/// P-1: a root whose P-384 key never leaves the token, what it signs, and the root that follows it.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p1_a_root_on_the_token_may_have_a_p384_key(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let says = |key: &str, hash: &str| Some((key.to_owned(), format!("ecdsa-with-{hash}")));
    let secrets = tempfile::tempdir().unwrap();
    let settings = token(secrets.path(), &format!("p384-{}-{kind:?}", std::process::id()));
    let on_token = |pki: PkiSettings| PkiSettings { token: Some(settings.clone()), root_key: RootKey::P384, ..pki };
    let w = World::open_with(tempfile::tempdir().unwrap(), url.clone(), 1, on_token).await.unwrap();
    let (_, _, first) = enrol(&w, "gw-1").await;
    assert_eq!(algorithms(&first), says("P-256", "SHA256"));

    // A restart finds the key on its curve, and tries it against its certificate (K-2).
    let w = World::open_with(w.close().await, url, 2, on_token).await.unwrap();
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    assert!(check(&w, &first).is_ok());
    let all = pki.authorities_of(&w.org);
    let root = all.iter().find(|a| a.kind == "root").unwrap();
    let root_der = der(&root.pem);
    assert_eq!(all.len(), 3);
    for made in &all {
        let key = if made.kind == "root" { "P-384" } else { "P-256" };
        assert_eq!((made.key, algorithms(&der(&made.pem))), (KeyPlace::Token, says(key, "SHA384")), "{}", made.subject);
        assert!(signed_by(&der(&made.pem), &root_der), "{}", made.subject);
    }
    pki.publish().await.unwrap();
    let list = pki.crl(&root.id).unwrap().der.clone();
    let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
    list.verify_signature(X509Certificate::from_der(&root_der).unwrap().1.public_key()).unwrap();

    // each root vouches for the other.
    let next = pki.stage_authority(&system, AuthorityUse::Root).await.unwrap();
    assert_eq!((next.key, algorithms(&der(&next.pem))), (KeyPlace::Token, says("P-384", "SHA384")));
    let crosses: Vec<_> = pki.trust_bundle(&w.org).cross.iter().map(|pem| algorithms(&der(pem))).collect();
    assert_eq!(crosses, [says("P-384", "SHA384"), says("P-384", "SHA384")]);
    let (_, _, second) = enrol(&w, "gw-2").await;
    assert!(check(&w, &second).is_ok());
}

/// A session may end at any time; who finds that opens another one, and where that fails says when to ask again.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k4_a_token_that_was_lost_is_found_again_and_nothing_is_half_done_until_then(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let secrets = tempfile::tempdir().unwrap();
    let label = format!("lost-{}-{kind:?}", std::process::id());
    let settings = token(secrets.path(), &label);
    let w = World::open_with(tempfile::tempdir().unwrap(), url, 1, |pki| PkiSettings { token: Some(settings), ..pki }).await.unwrap();
    let (pki, system) = (w.fleet.pki(), Actor::system(w.org.clone()));
    let held = pki.token.clone().unwrap();
    let there = async || row!(&mut pki.db.read().await.unwrap(), (i64, i64), THERE).unwrap().unwrap();
    let issuer = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    let issuer = pki.authority_certificate(&issuer.id).unwrap();
    let (_, _, first) = enrol(&w, "gw-1").await;
    assert!(signed_by(&first, &issuer));

    held.forget_us().unwrap();
    let (_, _, second) = enrol(&w, "gw-2").await;
    assert!(signed_by(&second, &issuer), "by another session, with the same key");

    held.lock_us_out().unwrap();
    let key = KeyPair::generate().unwrap();
    for _ in 0..2 {
        let fault = enrol_with(&w, "gw-3", &key).await.unwrap_err().fault();
        assert_eq!((fault.kind, fault.code.as_str(), fault.retry_after), (FaultKind::Busy, "token_late", Some(10)));
        assert_eq!(there().await, (2, 0));
    }
    let fault = pki.stage_authority(&system, AuthorityUse::Device).await.unwrap_err().fault();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Busy, "token_pin_incorrect"), "{fault:?}");
    let lost = pki.not_signing(None).unwrap();
    assert!(lost.code == "token_pin_incorrect" && lost.why.contains("pkcs11_pin_file"), "{lost:?}");
    pki.look_at_token().await.unwrap();
    assert_eq!(pki.not_signing(Some(&w.org)), Some(lost), "nor is a PIN tried that was refused");
    assert!(check(&w, &second).is_ok(), "those that are in go on");

    held.let_us_in().unwrap();
    let third = leaf(&enrol_with(&w, "gw-3", &key).await.unwrap());
    assert!(signed_by(&third, &issuer));
    assert_eq!((there().await, pki.not_signing(None)), ((3, 0), None));
    let staged = pki.stage_authority(&system, AuthorityUse::Device).await.unwrap();
    assert_eq!(staged.key, KeyPlace::Token);

    // Pulled out and put back. SoftHSM keeps a token in a folder, and looks for tokens only as it begins.
    let folder = folder_of(&label);
    let away = folder.ancestors().nth(2).unwrap().join(format!("away-{label}"));
    std::fs::rename(&folder, &away).unwrap();
    held.forget_us().unwrap();
    for _ in 0..2 {
        let fault = enrol_with(&w, "gw-4", &KeyPair::generate().unwrap()).await.unwrap_err().fault();
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Busy, "token_late"));
        assert_eq!(pki.not_signing(None).unwrap().code, "token_gone");
    }
    std::fs::rename(&away, &folder).unwrap();
    pki.look_at_token().await.unwrap();
    assert_eq!(pki.not_signing(None), None, "who looks finds it again");
    let (_, _, fourth) = enrol(&w, "gw-4").await;
    assert!(signed_by(&fourth, &issuer), "without a restart");
    assert_eq!(there().await, (4, 0));
}

/// Where SoftHSM keeps the token with this label.
fn folder_of(label: &str) -> PathBuf {
    let settings = std::fs::read_to_string(std::env::var("SOFTHSM2_CONF").unwrap()).unwrap();
    let tokens = settings.lines().find_map(|line| line.strip_prefix("directories.tokendir")?.split_once('=')).unwrap().1.trim();
    let has = |folder: &PathBuf| {
        std::fs::read(folder.join("token.object")).is_ok_and(|object| object.windows(label.len()).any(|word| word == label.as_bytes()))
    };
    std::fs::read_dir(tokens).unwrap().map(|entry| entry.unwrap().path()).find(has).unwrap()
}

//! Authorities whose keys are on a PKCS#11 token, by SoftHSM, on both engines (K-4).
//!
//! `TEST_PKCS11_MODULE` names its library, and `SOFTHSM2_CONF` where it keeps tokens; `cargo xtask test` provides both.

use super::life::{check, enrol, leaf, request};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, row},
    devices::Attempt,
    pki::{PkiSettings, TokenSettings},
    testing::{World, postgres},
};
use rcgen::KeyPair;
use rstest::rstest;
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path, process::Command};
use wire::{
    enrolment::{EnrolRequest, NewEnrolmentToken},
    pki::{AuthorityUse, RevocationReason},
    states::KeyPlace,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

const SEALED: Sql = Sql::same("SELECT COUNT(*) FROM authorities WHERE sealed_key IS NOT NULL");

/// The most certificates of devices that one transaction has made: it takes the trust clock once.
const TOGETHER: Sql = Sql::same(
    "SELECT MAX(t.together) FROM (SELECT COUNT(*) AS together FROM certificates WHERE device IS NOT NULL GROUP BY trust_seq) AS t",
);

/// A fresh token with this label and PIN.
fn token(folder: &Path, label: &str) -> TokenSettings {
    let module = std::env::var("TEST_PKCS11_MODULE")
        .expect("TEST_PKCS11_MODULE is not set: run the tests with `cargo xtask test`, or point it at SoftHSM's library");
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", "87654321"])
        .output()
        .expect("softhsm2-util runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pin_file = folder.join("pin");
    std::fs::write(&pin_file, "87654321\n").unwrap();
    std::fs::set_permissions(&pin_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    TokenSettings { module: module.into(), label: label.to_owned(), pin_file }
}

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
    assert_eq!(places(&w), [KeyPlace::Offline; 4]);
    assert!(check(&w, &second).is_ok());
    let said = w.fleet.pki().renew_identity().await.unwrap_err().to_string();
    assert!(said.contains("Server CA G1-1") && said.contains("pkcs11_token"), "which key is missing, and what to give: {said}");
    let refused = w.enrol("gw-3", "sim", request("gw-3", &key)).await.unwrap_err();
    assert!(["no_authority", "key_in_use"].contains(&refused.fault().code.as_str()), "{refused}");

    let folder = w.close().await;
    for (wrong, says) in [
        (TokenSettings { label: "another".into(), ..settings.clone() }, "no token is labelled"),
        (TokenSettings { module: secrets.path().join("none.so"), ..settings.clone() }, "loading the PKCS#11 module"),
        (TokenSettings { pin_file: secrets.path().join("none"), ..settings.clone() }, "missing"),
    ] {
        let at = tempfile::tempdir().unwrap();
        let error = World::open_with(at, None, 4, |pki| PkiSettings { token: Some(wrong), ..pki }).await.err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
    }
    std::fs::write(&settings.pin_file, "00000000").unwrap();
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

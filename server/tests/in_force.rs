//! Commands beside a server do as the server does, whatever they were told less.

use crate::support::{TestServer, eventually};
use fleet::{
    Fleet,
    access::Actor,
    clock::{Clock as _, ManualClock, SystemClock},
    db::EngineKind,
    entropy::OsEntropy,
    testing,
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use server::config::Config;
use std::{sync::Arc, time::Duration};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_command_takes_what_the_server_was_started_with(#[case] kind: EngineKind) {
    let beside = tempfile::tempdir().unwrap();
    let journal = beside.path().join("journal.log");
    let server = TestServer::start_with(kind, |config| Config {
        trust_domain: "acme.example".into(),
        revocation_journal: Some(journal.clone()),
        publish_url: Some("http://pki.acme.example".into()),
        enrol_url: Some("https://join.acme.example:8444".into()),
        ..config
    })
    .await;
    let token = server.must(&["enrolment-token", "create", "--label", "t"]).await;
    assert!(token.contains("https://join.acme.example:8444"), "{token}");

    // Authorities that are made here name where they are published.
    let made = server.must(&["organization", "create", "acme", "--name", "Acme"]).await;
    let acme = Actor::system(made.split(' ').next().unwrap().parse().unwrap());
    let pki = server.running.fleet.pki();
    let device = || pki.list_authorities(&acme).unwrap().into_iter().find(|a| a.kind == "device");
    eventually("the server follows", Duration::from_secs(10), || async { device().is_some() }).await;
    let device = device().unwrap();
    let der = CertificateDer::from_pem_slice(device.pem.as_bytes()).unwrap();
    assert!(der.windows(23).any(|text| text == b"http://pki.acme.example"), "it names the list of its root");

    // What is given up here is in the server's journal.
    let give_up = ["ca", "compromise", device.id.as_str(), "--organization", "acme"];
    let (well, said, _) = server.fleetward(&give_up).await;
    assert!(!well && said.contains("0 devices would be cut off. Nothing was changed. Say --yes"), "{said}");
    server.must(&[&give_up[..], &["--yes"]].concat()).await;
    assert!(std::fs::read_to_string(&journal).unwrap().contains(device.id.as_str()));
    assert!(!server.data().join("revocations.log").exists(), "and in no other");

    for (words, says) in [
        (["--trust-domain", "fleetward.local"], ["--trust-domain", "acme.example"]),
        (["--revocation-journal", "mine.log"], ["--revocation-journal", "journal.log"]),
    ] {
        let (well, _, why) = server.fleetward(&[&["token", "list"][..], &words].concat()).await;
        assert!(!well && says.iter().all(|word| why.contains(word)), "{words:?}: {why}");
    }
    let (well, _, why) = server.fleetward(&["token", "list", "--enrol-url", "https://other.example"]).await;
    assert!(well && why.contains("warning: --enrol-url says https://other.example"), "{why}");

    let (well, _, why) = server.fleetward(&["check"]).await;
    assert!(!well && why.contains("acme.example"), "a start with the default would lock the fleet out: {why}");
    let (well, _, why) = server.fleetward(&["check", "--trust-domain", "acme.example"]).await;
    assert!(well && why.contains("note: revocation_journal is"), "{why}");

    let (config, _folder) = server.stop_to_go_on().await;
    let other = Config { trust_domain: "fleetward.local".into(), ..config };
    // What of the old one still holds folder and ports lets go in a moment.
    eventually("a start with another trust domain is refused", Duration::from_secs(10), || async {
        let started = Box::pin(server::run::start_with(other.clone(), Arc::new(SystemClock), Arc::new(OsEntropy))).await;
        format!("{:#}", started.err().unwrap()).contains("trust_domain = \"acme.example\"")
    })
    .await;
}

/// What a start has tried and not come to is nobody's setting.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_changes_nothing_for_commands(#[case] kind: EngineKind) {
    let server = TestServer::start_with(kind, |config| Config { enrol_url: Some("https://join.example:8444".into()), ..config }).await;
    let (config, _folder) = server.stop_to_go_on().await;
    let postgres = config.postgres().unwrap();
    let last = async || Fleet::in_force(&config.data, postgres.as_deref()).await.unwrap().unwrap().last.unwrap().enrol_url;
    assert_eq!(last().await, "https://join.example:8444");
    // By this clock the authority of the listeners has ended, so there is no certificate to listen with.
    let late = Arc::new(ManualClock::at(SystemClock.now().plus(60 * 365 * 86_400_000)));
    let other = Config { enrol_url: Some("https://other.example:8444".into()), ..config.clone() };
    eventually("the start fails at its listeners", Duration::from_secs(10), || async {
        let started = Box::pin(server::run::start_with(other.clone(), late.clone(), Arc::new(OsEntropy))).await;
        format!("{:#}", started.err().unwrap()).contains("TLS of the device listener")
    })
    .await;
    assert_eq!(last().await, "https://join.example:8444", "the last server that ran");
}

/// K-4: what only reads needs no token; what signs takes the server's, and never another place for its key.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn k4_a_command_signs_with_the_server_s_token_and_reads_while_it_is_gone(#[case] kind: EngineKind) {
    let secrets = tempfile::tempdir().unwrap();
    let label = format!("in-force-{}-{kind:?}", std::process::id());
    let token = testing::token(secrets.path(), &label);
    let (module, pin) = (token.module.clone(), token.pin_file.clone());
    let server = TestServer::start_with(kind, |config| Config {
        pkcs11_module: Some(token.module),
        pkcs11_token: Some(token.label),
        pkcs11_pin_file: Some(token.pin_file),
        ..config
    })
    .await;
    server.must(&["ca", "stage", "--kind", "device"]).await;
    let list = server.must(&["ca", "list"]).await;
    assert!(list.matches("key token").count() == 4 && !list.contains("key here"), "{list}");

    let (module, pin_file) = (module.display().to_string(), pin.display().to_string());
    let flags = |label: &str| ["--pkcs11-module", &module, "--pkcs11-token", label, "--pkcs11-pin-file", &pin_file].map(str::to_owned);
    let with = async |words: &[&str], label: &str| {
        let flags = flags(label);
        server.fleetward(&words.iter().copied().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>()).await
    };
    let (well, _, why) = with(&["ca", "list"], "spare").await;
    assert!(!well && why.contains("\"spare\"") && why.contains(&label), "{why}");
    let (well, _, why) = with(&["check"], &label).await;
    assert!(well, "{why}");

    // A token that can't be used any more.
    std::fs::rename(&pin, secrets.path().join("away")).unwrap();
    assert!(server.must(&["ca", "list"]).await.contains("key token"));
    let (well, said, why) = with(&["ca", "list"], &label).await;
    assert!(well && said.contains("key token"), "{why}");
    for words in [&["ca", "stage", "--kind", "device"][..], &["organization", "create", "acme", "--name", "Acme"]] {
        assert!(!server.fleetward(words).await.0, "{words:?}: its key would be made elsewhere");
    }
    let (well, ..) = with(&["check"], &label).await;
    assert!(!well, "nothing starts by this");
    std::fs::rename(secrets.path().join("away"), &pin).unwrap();
    server.stop().await;
}

//! What a command takes from the server, and what it refuses.

use super::*;
use crate::config::Flags;

fn urls() -> EnrolmentUrls {
    EnrolmentUrls { enrol: "https://fleet.example:8444".into(), device: "https://fleet.example:8443".into() }
}

fn server() -> Config {
    Config {
        data: "/srv/d".into(),
        trust_domain: "acme.example".into(),
        revocation_journal: Some("/srv/other/journal.log".into()),
        publish_url: Some("http://pki.example".into()),
        pkcs11_module: Some("/lib/token.so".into()),
        pkcs11_token: Some("fleet".into()),
        pkcs11_pin_file: Some("/srv/d/pin".into()),
        allow_server_keygen: true,
        ..Config::default()
    }
}

fn in_force(config: &Config) -> InForce {
    InForce { trust_domain: Some(config.trust_domain.clone()), last: Some(config.shared(&urls())) }
}

/// A command's configuration with what is in force, and the warnings.
fn taken(flags: Flags, now: &InForce) -> Result<(Config, Vec<String>)> {
    let flags = Flags { data: Some("/srv/d".into()), ..flags };
    let (mut config, said) = Config::load_said(&Flags::default(), &flags)?;
    let warnings = config.take(&said, now)?;
    Ok((config, warnings))
}

#[test]
fn what_a_command_does_not_say_is_as_the_server_has_it() {
    let server = server();
    let (config, warnings) = taken(Flags::default(), &in_force(&server)).unwrap();
    let with_urls = Config { enrol_url: Some(urls().enrol), device_url: Some(urls().device), ..server.clone() };
    assert_eq!((config, warnings), (with_urls, vec![]));

    // The default journal, and a PIN file in the data folder, move along with it.
    let moved = in_force(&Config {
        revocation_journal: None,
        data: "/srv/before".into(),
        pkcs11_pin_file: Some("/srv/before/pin".into()),
        ..server
    });
    let (config, _) = taken(Flags::default(), &moved).unwrap();
    assert_eq!(config.journal(), PathBuf::from("/srv/d/revocations.log"));
    assert_eq!(config.pkcs11_pin_file, Some("/srv/d/pin".into()));
}

#[test]
fn with_a_database_elsewhere_the_default_journal_is_the_server_s_all_the_same() {
    let server = Config { revocation_journal: None, database_url_file: Some("/srv/url".into()), ..server() };
    let mut config = Config { data: "/home/me/data".into(), ..Config::default() };
    config.take(&Said::default(), &in_force(&server)).unwrap();
    assert_eq!(config.journal(), PathBuf::from("/srv/d/revocations.log"));
}

#[test]
fn another_trust_domain_journal_or_token_is_refused_with_both_values() {
    let now = in_force(&server());
    let token = |module: &str, label: &str| Flags {
        pkcs11_module: Some(module.into()),
        pkcs11_token: Some(label.into()),
        pkcs11_pin_file: Some("/elsewhere/pin".into()),
        ..Flags::default()
    };
    for (flags, says) in [
        (Flags { trust_domain: Some("fleetward.local".into()), ..Flags::default() }, ["--trust-domain", "fleetward.local", "acme.example"]),
        (
            Flags { revocation_journal: Some("/srv/d/revocations.log".into()), ..Flags::default() },
            ["--revocation-journal", "/srv/d/revocations.log", "/srv/other/journal.log"],
        ),
        (token("/lib/token.so", "spare"), ["--pkcs11-token", "\"spare\"", "\"fleet\""]),
        (token("/lib/other.so", "fleet"), ["--pkcs11-module", "/lib/other.so", "/lib/token.so"]),
    ] {
        let refused = taken(flags, &now).unwrap_err().to_string();
        assert!(says.iter().all(|word| refused.contains(word)), "{refused}");
    }
    assert!(taken(token("/lib/token.so", "fleet"), &now).is_ok(), "the same, with another copy of the PIN");
    let without = in_force(&Config { pkcs11_module: None, pkcs11_token: None, pkcs11_pin_file: None, ..server() });
    assert!(taken(token("/lib/token.so", "fleet"), &without).unwrap_err().to_string().contains("runs without one"));
}

#[test]
fn another_address_holds_with_a_warning() {
    let flags =
        Flags { enrol_url: Some("https://other.example".into()), publish_url: Some("http://pki.example/".into()), ..Flags::default() };
    let (config, warnings) = taken(flags, &in_force(&server())).unwrap();
    assert_eq!(config.enrol_url.as_deref(), Some("https://other.example"));
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(["--enrol-url", "https://other.example", "https://fleet.example:8444"].iter().all(|word| warning.contains(word)), "{warning}");
}

#[test]
fn a_check_says_what_the_next_start_would_change_and_refuses_another_trust_domain() {
    let (now, same) = (in_force(&server()), server());
    assert_eq!(same.against(&urls(), &now).unwrap(), Vec::<String>::new());
    let changed = Config { revocation_journal: None, ..server() };
    let said = changed.against(&urls(), &now).unwrap();
    assert!(said.len() == 1 && said[0].contains("revocation_journal") && said[0].contains("/srv/other/journal.log"), "{said:?}");
    let other = Config { trust_domain: "fleetward.local".into(), ..server() };
    assert!(other.against(&urls(), &now).unwrap_err().to_string().contains("acme.example"));
}

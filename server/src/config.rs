//! Configuration: defaults < file < environment < flags, typed, every key documented here. Secrets come from files, never from flags.

mod checks;
mod flags;
mod in_force;

use crate::proxied::Header;
use anyhow::{Context as _, Result, bail};
use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format as _, Serialized, Toml},
};
pub use flags::Flags;
pub use in_force::Said;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};
use wire::roots::RootKey;

/// Everything that can be configured. In the file it is `key = value` at the top level; in the environment `FLEETWARD_KEY`; as a flag `--key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Config {
    /// Folder of everything Fleetward keeps: databases, artifacts, the key-encryption key.
    pub data: PathBuf,
    /// Where the console and the REST API listen.
    pub operator_addr: SocketAddr,
    /// Certificate chain (PEM) of the operator listener; without one it speaks plain HTTP.
    pub operator_tls_cert: Option<PathBuf>,
    /// Private key (PEM) of the operator listener.
    pub operator_tls_key: Option<PathBuf>,
    /// Allows plain HTTP on an address that others can reach, for example behind a TLS proxy on the same host.
    pub allow_plain_public: bool,
    /// Take a client's address from the last entry of `X-Forwarded-For`: only behind a proxy that sets it, or anybody may claim to be anybody.
    pub trust_forwarded_for: bool,
    /// Where devices connect, with client certificates.
    pub device_addr: SocketAddr,
    /// The device listener's address as devices know it; `https://localhost:PORT` unless said.
    pub device_url: Option<String>,
    /// Where devices enrol, without client certificates.
    pub enrol_addr: SocketAddr,
    /// The enrol listener's address as devices know it; `https://localhost:PORT` unless said.
    pub enrol_url: Option<String>,
    /// Where a proxy that ends devices' TLS passes their requests on, with the certificate of each in a header; there is no such listener unless said. It speaks
    /// plain HTTP on a loopback address, and TLS with the device listeners' certificate on any other.
    pub device_proxy_addr: Option<SocketAddr>,
    /// Addresses and networks of those proxies. Whoever connects from there is believed to have checked the key of every certificate that it passes on.
    pub trusted_proxies: Vec<String>,
    /// Which header of theirs holds the certificate: `client-cert`, `x-ssl-cert` or `x-forwarded-client-cert`. All others are taken away.
    pub device_proxy_header: Header,
    /// Host names and IP addresses in the certificate of the device and enrol listeners.
    pub device_names: Vec<String>,
    /// Where third parties ask for lists of revoked certificates, OCSP answers and authorities' certificates; plain HTTP, all of it signed.
    pub publish_addr: SocketAddr,
    /// That listener's address as third parties know it, `http://…`; frozen into an authority, and into the certificates it issues, when the
    /// authority is made. Without it certificates name none.
    pub publish_url: Option<String>,
    /// Where health, readiness and metrics are; a loopback address.
    pub ops_addr: SocketAddr,
    /// File with a `postgres://…` URL; without it the embedded database in `data` is used.
    pub database_url_file: Option<PathBuf>,
    /// Most PostgreSQL connections of each of the two stores.
    pub database_connections: u32,
    /// File with the 32-byte key that other keys are encrypted under; made in `data` when none is given.
    pub key_file: Option<PathBuf>,
    /// File with a passphrase instead of a key.
    pub key_passphrase_file: Option<PathBuf>,
    /// Name of the credential that holds the key, when the service manager hands it over (systemd's `LoadCredentialEncrypted=`).
    pub key_credential: Option<String>,
    /// Library of a PKCS#11 token on which authorities' keys are made; needs `pkcs11_token` and `pkcs11_pin_file` as well.
    pub pkcs11_module: Option<PathBuf>,
    /// The token's label.
    pub pkcs11_token: Option<String>,
    /// File with the token's user PIN.
    pub pkcs11_pin_file: Option<PathBuf>,
    /// The key of a root that is made here, on the first start or as the next one: `p-256` or `p-384`. Small TLS stacks of devices verify P-256 alone.
    pub root_key: RootKey,
    /// File in which revocations are kept beside the database, so that a backup put back does not forget them; `revocations.log` in `data` unless said.
    pub revocation_journal: Option<PathBuf>,
    /// File to which the audit log's head is appended once an hour, so that a log that was written anew is found; `audit-heads.jsonl` in `data` unless said.
    pub audit_heads: Option<PathBuf>,
    /// The trust domain in device certificates, `spiffe://DOMAIN/…`; fixed by a fleet's first start, and a start with another one is refused.
    pub trust_domain: String,
    /// A renewal by EST must repeat subject and alternative names of the certificate byte for byte (RFC 7030 §4.2.2); without it the common name has to be
    /// the device's, and alternative names may be left out.
    pub est_strict_reenroll: bool,
    /// Take CSRs by EST with any `challengePassword`, which says which connection a CSR came by (RFC 7030 §3.5): for clients that put the `tls-unique` of TLS 1.2
    /// there, or a password. Without it only the connection's own `tls-exporter` (RFC 9266) is taken.
    pub est_ignore_channel_binding: bool,
    /// Make keys for devices that can't make good ones: EST `serverkeygen`, and factory batches whose keys are made here. They are given out once and kept
    /// nowhere, but whoever reads that answer has them.
    pub allow_server_keygen: bool,
    /// Who is asked before a claim lets a new key in: a URL that gets the question by POST and says yes or no within five seconds. Without an answer nobody
    /// comes in by a claim.
    pub claim_hook_url: Option<String>,
    /// File with the secret that it is asked with, as `Authorization: Bearer`.
    pub claim_hook_secret_file: Option<PathBuf>,
    /// File with the certificates (PEM) that its TLS certificate must end in, instead of the machine's.
    pub claim_hook_ca_file: Option<PathBuf>,
    /// Let lists of revoked certificates be fetched from private and loopback addresses too: for plants whose authority publishes inside the company.
    /// Link-local addresses and those where clouds tell secrets stay closed.
    pub list_fetch_private: bool,
    /// Wait while another server serves the same fleet, and take over when that ends, instead of refusing to start.
    pub standby: bool,
    /// What is logged: a `tracing` filter such as `info` or `server=debug,info`.
    pub log: String,
    /// `text` for people, `json` for collectors.
    pub log_format: LogFormat,
    /// Seconds that a graceful stop may take.
    pub drain_s: u64,
}

/// Forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// One over this folder with every listener on a free port of the loopback, for tests and measurements.
    pub fn on_free_ports(data: PathBuf) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { data, operator_addr: any, device_addr: any, enrol_addr: any, publish_addr: any, ops_addr: any, ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Self {
            data: PathBuf::from("data"),
            operator_addr: local(8080),
            operator_tls_cert: None,
            operator_tls_key: None,
            allow_plain_public: false,
            trust_forwarded_for: false,
            device_addr: any(8443),
            device_url: None,
            enrol_addr: any(8444),
            enrol_url: None,
            device_proxy_addr: None,
            trusted_proxies: Vec::new(),
            device_proxy_header: Header::ClientCert,
            device_names: vec!["localhost".into(), "127.0.0.1".into()],
            publish_addr: local(8081),
            publish_url: None,
            ops_addr: local(9090),
            database_url_file: None,
            database_connections: 10,
            key_file: None,
            key_passphrase_file: None,
            key_credential: None,
            pkcs11_module: None,
            pkcs11_token: None,
            pkcs11_pin_file: None,
            root_key: RootKey::P256,
            revocation_journal: None,
            audit_heads: None,
            trust_domain: "fleetward.local".into(),
            est_strict_reenroll: false,
            est_ignore_channel_binding: false,
            allow_server_keygen: false,
            claim_hook_url: None,
            claim_hook_secret_file: None,
            claim_hook_ca_file: None,
            list_fetch_private: false,
            standby: false,
            log: "info".into(),
            log_format: LogFormat::Text,
            drain_s: 20,
        }
    }
}

impl Config {
    /// Reads all four layers and checks the result. Flags after the command win over those `before` it.
    pub fn load(before: &Flags, flags: &Flags) -> Result<Self> {
        Self::load_said(before, flags).map(|(config, _)| config)
    }

    /// The same, and which keys were said at all.
    pub fn load_said(before: &Flags, flags: &Flags) -> Result<(Self, Said)> {
        let mut said = Figment::new();
        if let Some(file) = flags.config.as_ref().or(before.config.as_ref()) {
            if !file.is_file() {
                bail!("there is no configuration file {}", file.display());
            }
            said = said.merge(Toml::file_exact(file));
        }
        let said = said.merge(Env::prefixed("FLEETWARD_").ignore(&["config"])).merge(Serialized::defaults(flags));
        let config: Self = said.clone().join(Serialized::defaults(Self::default())).extract().map_err(plainly)?;
        config.check()?;
        Ok((config, Said::of(said)))
    }
}

/// What is wrong, a line a mistake, in the words of the configuration.
fn plainly(e: figment::Error) -> anyhow::Error {
    let lines = e.into_iter().map(|e| {
        let from = e.metadata.as_ref().map(|m| match &m.source {
            Some(source) => format!(" ({source})"),
            None => format!(" ({})", m.name.replace('`', "")),
        });
        let what = match &e.kind {
            Kind::UnknownField(key, known) => format!("there is no key {key:?}; there are {}", known.join(", ")),
            kind => format!("{}: {kind}", e.path.join(".")).replace('`', ""),
        };
        format!("{what}{}", from.unwrap_or_default())
    });
    anyhow::anyhow!("the configuration is wrong: {}", lines.collect::<Vec<_>>().join("; "))
}

/// The one line of a secret's file.
pub fn secret(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let text = text.trim();
    if text.is_empty() {
        bail!("{} is empty", file.display());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_which_wins_over_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleetward.toml");
        std::fs::write(&file, "data = \"/srv/a\"\nops_addr = \"127.0.0.1:1\"\n").unwrap();
        let flags = Flags { config: Some(file), data: Some("/srv/b".into()), ..Flags::default() };
        let config = Config::load(&Flags::default(), &flags).unwrap();
        assert_eq!(config.data, PathBuf::from("/srv/b"));
        assert_eq!(config.ops_addr.port(), 1);
        assert_eq!(config.operator_addr.port(), 8080);
    }

    #[test]
    fn every_key_has_its_flag() {
        use clap::Args as _;
        let command = Flags::augment_args(clap::Command::new("fleetward"));
        let flags: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).map(|flag| flag.replace('-', "_")).collect();
        let keys = serde_json::to_value(Config::default()).unwrap();
        for key in keys.as_object().unwrap().keys() {
            assert!(flags.contains(key), "{key} has no flag");
        }
    }

    #[test]
    fn a_misspelt_key_and_an_unsafe_address_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleetward.toml");
        std::fs::write(&file, "operater_addr = \"127.0.0.1:1\"\n").unwrap();
        let flags = Flags { config: Some(file), ..Flags::default() };
        let says = format!("{:#}", Config::load(&Flags::default(), &flags).unwrap_err());
        assert!(says.contains("operater_addr") && !says.contains("default."), "{says}");
        let public = Config { operator_addr: ([0, 0, 0, 0], 8080).into(), ..Config::default() };
        assert!(public.check().unwrap_err().to_string().contains("allow_plain_public"));
        assert!(Config { allow_plain_public: true, ..public }.check().is_ok());
        assert!(Config { ops_addr: ([0, 0, 0, 0], 9090).into(), ..Config::default() }.check().is_err());
    }

    #[test]
    fn a_proxy_s_header_is_one_of_three() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleetward.toml");
        let load = |header: &str| {
            let text = format!("device_proxy_addr = \"127.0.0.1:1\"\ntrusted_proxies = [\"127.0.0.1\", \"192.0.2.0/24\"]\n{header}");
            std::fs::write(&file, text).unwrap();
            Config::load(&Flags::default(), &Flags { config: Some(file.clone()), ..Flags::default() })
        };
        let config = load("").unwrap();
        assert_eq!((config.device_proxy_header, config.trusted().unwrap().len()), (Header::ClientCert, 2));
        assert_eq!(load("device_proxy_header = \"x-ssl-cert\"\n").unwrap().device_proxy_header, Header::XSslCert);
        let says = format!("{:#}", load("device_proxy_header = \"x-client-dn\"\n").unwrap_err());
        assert!(says.contains("device_proxy_header") && says.contains("x-forwarded-client-cert"), "{says}");
    }

    #[test]
    fn the_root_s_key_is_of_a_curve_that_its_place_can_make() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleetward.toml");
        let load = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Config::load(&Flags::default(), &Flags { config: Some(file.clone()), ..Flags::default() })
        };
        assert_eq!(load("").unwrap().root_key, RootKey::P256);
        assert_eq!(load("root_key = \"p-384\"\n").unwrap().root_key, RootKey::P384);
        assert!(format!("{:#}", load("root_key = \"p-521\"\n").unwrap_err()).contains("root_key"));
        let token = "root_key = \"p-384\"\npkcs11_module = \"m\"\npkcs11_token = \"t\"\npkcs11_pin_file = \"p\"\n";
        assert_eq!(load(token).unwrap().root_key, RootKey::P384, "on a token, too");
    }
}

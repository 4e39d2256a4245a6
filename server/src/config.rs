//! Configuration: defaults < file < environment < flags, typed, every key documented here. Secrets come from files, never from flags.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format as _, Serialized, Toml},
};
use fleet::{db::Location, pki::Kek};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Everything that can be configured. In the file it is `key = value` at the top level; in the environment `FLEETWARD_KEY`; as a flag `--key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Where devices connect, with client certificates.
    pub device_addr: SocketAddr,
    /// The device listener's address as devices know it; `https://localhost:PORT` unless said.
    pub device_url: Option<String>,
    /// Where devices enrol, without client certificates.
    pub enrol_addr: SocketAddr,
    /// The enrol listener's address as devices know it; `https://localhost:PORT` unless said.
    pub enrol_url: Option<String>,
    /// Host names and IP addresses in the certificate of the device and enrol listeners.
    pub device_names: Vec<String>,
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
    /// The trust domain in device certificates, `spiffe://DOMAIN/…`; frozen into certificates when they are issued.
    pub trust_domain: String,
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
            device_addr: any(8443),
            device_url: None,
            enrol_addr: any(8444),
            enrol_url: None,
            device_names: vec!["localhost".into(), "127.0.0.1".into()],
            ops_addr: local(9090),
            database_url_file: None,
            database_connections: 10,
            key_file: None,
            key_passphrase_file: None,
            trust_domain: "fleetward.local".into(),
            log: "info".into(),
            log_format: LogFormat::Text,
            drain_s: 20,
        }
    }
}

// No doc comment: it would become the text of every command that takes them. The same keys as flags; a flag wins over the environment, which
// wins over the file.
#[expect(missing_docs, reason = "see above")]
#[derive(Debug, Clone, Default, Args, Serialize)]
#[command(next_help_heading = "Configuration")]
pub struct Flags {
    /// Configuration file (TOML); also `FLEETWARD_CONFIG`
    #[arg(long, value_name = "FILE", global = true, env = "FLEETWARD_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Folder of databases, artifacts and keys [default: data]
    #[arg(long, value_name = "DIR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Console and REST API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_addr: Option<SocketAddr>,
    /// Certificate chain of the operator listener, PEM
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_tls_cert: Option<PathBuf>,
    /// Private key of the operator listener, PEM
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_tls_key: Option<PathBuf>,
    /// Allow plain HTTP on a public operator address
    #[arg(long, global = true, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_plain_public: Option<bool>,
    /// Device listener, mutual TLS [default: 0.0.0.0:8443]
    #[arg(long, value_name = "ADDR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_addr: Option<SocketAddr>,
    /// The device listener as devices know it
    #[arg(long, value_name = "URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_url: Option<String>,
    /// Enrol listener [default: 0.0.0.0:8444]
    #[arg(long, value_name = "ADDR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrol_addr: Option<SocketAddr>,
    /// The enrol listener as devices know it
    #[arg(long, value_name = "URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrol_url: Option<String>,
    /// Names in the certificate of the device listeners, comma separated [default: localhost,127.0.0.1]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_names: Option<Vec<String>>,
    /// Health, readiness, metrics; loopback [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ops_addr: Option<SocketAddr>,
    /// File with a postgres:// URL
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url_file: Option<PathBuf>,
    /// Most PostgreSQL connections of each of the two stores [default: 10]
    #[arg(long, value_name = "N", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_connections: Option<u32>,
    /// File with the key-encryption key, 32 bytes
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// File with a passphrase instead of a key file
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_passphrase_file: Option<PathBuf>,
    /// Trust domain of device certificates [default: fleetward.local]
    #[arg(long, value_name = "DOMAIN", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    /// Log filter [default: info]
    #[arg(long, value_name = "FILTER", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Log form [default: text]
    #[arg(long, value_name = "FORM", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Seconds that a graceful stop may take [default: 20]
    #[arg(long, value_name = "SECONDS", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_s: Option<u64>,
}

impl Config {
    /// Reads all four layers and checks the result. Flags after the command win over those `before` it.
    pub fn load(before: &Flags, flags: &Flags) -> Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = flags.config.as_ref().or(before.config.as_ref()) {
            if !file.is_file() {
                bail!("there is no configuration file {}", file.display());
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let config: Self =
            figment.merge(Env::prefixed("FLEETWARD_").ignore(&["config"])).merge(Serialized::defaults(flags)).extract().map_err(plainly)?;
        config.check()?;
        Ok(config)
    }

    /// Refuses what would be unsafe or can't work, and says what to do.
    pub fn check(&self) -> Result<()> {
        if self.operator_tls_cert.is_some() != self.operator_tls_key.is_some() {
            bail!("operator_tls_cert and operator_tls_key belong together: give both or neither");
        }
        let public = !self.operator_addr.ip().is_loopback();
        if public && self.operator_tls_cert.is_none() && !self.allow_plain_public {
            bail!(
                "operator_addr {} can be reached by others, but there is no TLS certificate: give operator_tls_cert and operator_tls_key, \
                 listen on 127.0.0.1, or set allow_plain_public if a TLS proxy stands before it",
                self.operator_addr
            );
        }
        if !self.ops_addr.ip().is_loopback() {
            bail!("ops_addr {} must be a loopback address: health and metrics are not for others", self.ops_addr);
        }
        if self.key_file.is_some() && self.key_passphrase_file.is_some() {
            bail!("give key_file or key_passphrase_file, not both");
        }
        if self.device_names.is_empty() {
            bail!("device_names is empty: devices need at least one name or address to check the server's certificate against");
        }
        for name in &self.device_names {
            let dns = !name.is_empty() && name.len() <= 253 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
            if name.parse::<IpAddr>().is_err() && !dns {
                bail!("device_names: {name:?} is neither a host name nor an IP address");
            }
        }
        let url = |key: &str, value: &Option<String>| match value {
            Some(v) if !v.starts_with("https://") => bail!("{key} must begin with https://"),
            _ => Ok(()),
        };
        url("device_url", &self.device_url)?;
        url("enrol_url", &self.enrol_url)?;
        self.check_ports()?;
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if !(1..=255).contains(&self.trust_domain.len()) || !self.trust_domain.bytes().all(letters) {
            bail!("trust_domain {:?} may have small letters, digits, dots, hyphens and underscores only", self.trust_domain);
        }
        if !(1..=1000).contains(&self.database_connections) {
            bail!("database_connections must be 1 to 1000");
        }
        self.log
            .parse::<tracing_subscriber::filter::targets::Targets>()
            .map(drop)
            .map_err(|e| anyhow::anyhow!("log: {:?} is not a log filter: {e}", self.log))
    }

    /// Two listeners can't have one port of one address.
    fn check_ports(&self) -> Result<()> {
        let listeners = [
            ("operator_addr", self.operator_addr),
            ("device_addr", self.device_addr),
            ("enrol_addr", self.enrol_addr),
            ("ops_addr", self.ops_addr),
        ];
        let covers = |a: IpAddr, b: IpAddr| a == b || (a.is_unspecified() && (a.is_ipv6() || b.is_ipv4()));
        for (i, (one, a)) in listeners.iter().enumerate() {
            for (other, b) in &listeners[i + 1..] {
                if a.port() != 0 && a.port() == b.port() && (covers(a.ip(), b.ip()) || covers(b.ip(), a.ip())) {
                    bail!("{one} {a} and {other} {b} are the same address: give each listener a port of its own");
                }
            }
        }
        Ok(())
    }

    /// Refuses named files that are missing or can't be used. Reads them; makes and changes none.
    pub fn check_files(&self) -> Result<()> {
        if let (Some(cert), Some(key)) = (&self.operator_tls_cert, &self.operator_tls_key) {
            crate::http::tls(cert, key).context("operator_tls_cert and operator_tls_key")?;
        }
        if let Some(file) = &self.key_file {
            if !file.exists() {
                bail!(
                    "key_file {0} is missing: put it back from where you keep it, or give the right path. A fleet that is new gets one by: \
                     (umask 077; head -c 32 /dev/urandom > {0})",
                    file.display()
                );
            }
            Kek::of_file(file).context("key_file")?;
        }
        if let Some(file) = &self.key_passphrase_file {
            Kek::passphrase(file).context("key_passphrase_file")?;
        }
        self.postgres().map(drop)
    }

    /// The PostgreSQL URL, read from its file. A file with a password in it must belong to its owner alone.
    pub fn postgres(&self) -> Result<Option<String>> {
        let Some(file) = &self.database_url_file else { return Ok(None) };
        let url = secret(file).context("database_url_file")?;
        Location::postgres(&url, self.database_connections).with_context(|| format!("database_url_file {}", file.display()))?;
        let named = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next()?.rsplit_once('@'));
        let password = named.is_some_and(|(who, _)| who.contains(':')) || url.contains("password=");
        if password && std::fs::metadata(file)?.permissions().mode() & 0o077 != 0 {
            bail!(
                "database_url_file {0} has a password in it and can be read by others than its owner; run: chmod 0600 {0}",
                file.display()
            );
        }
        Ok(Some(url))
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
    fn what_can_not_be_served_is_refused_beforehand() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let good = Config::default();
        for (wrong, says) in [
            (Config { trust_domain: "Bad Domain/".into(), ..good.clone() }, "trust_domain"),
            (Config { trust_domain: String::new(), ..good.clone() }, "trust_domain"),
            (Config { enrol_addr: good.device_addr, ..good.clone() }, "enrol_addr"),
            (Config { ops_addr: addr("127.0.0.1:8443"), ..good.clone() }, "ops_addr"),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let any = addr("127.0.0.1:0");
        assert!(Config { operator_addr: any, device_addr: any, enrol_addr: any, ops_addr: any, ..good }.check().is_ok());
    }

    #[test]
    fn named_files_are_read_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Some(path)
        };
        let missing = Some(folder.path().join("missing"));
        let good = Config {
            key_file: file("key", "0123456789abcdef0123456789abcdef", 0o600),
            database_url_file: file("url", "postgres://u:p@localhost/f", 0o600),
            ..Config::default()
        };
        good.check_files().unwrap();
        let (cert, key) = (missing.clone(), file("tls.key", "", 0o600));
        for (wrong, says) in [
            (Config { key_file: missing.clone(), ..good.clone() }, "key_file"),
            (Config { key_file: file("short", "0123456789", 0o600), ..good.clone() }, "32 bytes"),
            (Config { key_file: file("open", "0123456789abcdef0123456789abcdef", 0o644), ..good.clone() }, "chmod 0600"),
            (Config { key_file: None, key_passphrase_file: missing.clone(), ..good.clone() }, "key_passphrase_file"),
            (Config { database_url_file: missing.clone(), ..good.clone() }, "database_url_file"),
            (Config { database_url_file: file("mysql", "mysql://localhost/x", 0o600), ..good.clone() }, "postgres://"),
            (Config { database_url_file: file("seen", "postgres://u:p@localhost/f", 0o644), ..good.clone() }, "chmod 0600"),
            (Config { operator_tls_cert: cert, operator_tls_key: key, ..good.clone() }, "operator_tls_cert"),
        ] {
            let error = format!("{:#}", wrong.check_files().unwrap_err());
            assert!(error.contains(says), "{error}");
        }
        let open = Config { database_url_file: file("peer", "postgres://u@localhost/f", 0o644), ..good };
        assert!(open.check_files().is_ok(), "there is no secret in it");
        assert!(!folder.path().join("missing").exists());
    }
}

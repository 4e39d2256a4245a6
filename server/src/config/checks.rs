//! What a configuration must hold before anything is opened with it. Reads the files it names; makes and changes none.

use super::{Config, secret};
use anyhow::{Context as _, Result, bail};
use fleet::{db::Location, network::Network, pki::Kek};
use std::{ffi::OsString, net::IpAddr, os::unix::fs::PermissionsExt as _, path::PathBuf};

impl Config {
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
        let token = [self.pkcs11_module.is_some(), self.pkcs11_token.is_some(), self.pkcs11_pin_file.is_some()];
        if token.contains(&true) && token.contains(&false) {
            bail!("pkcs11_module, pkcs11_token and pkcs11_pin_file belong together: give all three or none");
        }
        let keys = [self.key_file.is_some(), self.key_passphrase_file.is_some(), self.key_credential.is_some()];
        if keys.into_iter().filter(|given| *given).count() > 1 {
            bail!("give one of key_file, key_passphrase_file and key_credential");
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
        for (key, url) in [("device_url", &self.device_url), ("enrol_url", &self.enrol_url)] {
            if url.as_deref().is_some_and(|url| !is_https_origin(url)) {
                bail!("{key} must be https://HOST or https://HOST:PORT, as devices reach it");
            }
        }
        self.check_publish_url()?;
        self.check_claim_hook()?;
        self.check_proxies()?;
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

    /// The base of addresses that are frozen into certificates: plain HTTP, because a client can't check TLS before it knows who is revoked
    /// (P-10), and nothing that would need escaping.
    fn check_publish_url(&self) -> Result<()> {
        let Some(url) = &self.publish_url else { return Ok(()) };
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("publish_url must begin with http://: what is published there is signed, and TLS would have to be checked with it first")
        };
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        let plain = rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~' | b':' | b'/' | b'[' | b']'));
        if host.is_empty() || !plain || url.len() > 200 {
            bail!("publish_url {url:?} must be http://HOST[:PORT][/PATH], without query or fragment, at most 200 characters");
        }
        Ok(())
    }

    /// The hook's address: what devices say of themselves goes there, and who answers decides who comes in, so it is TLS or this machine.
    fn check_claim_hook(&self) -> Result<()> {
        let Some(url) = &self.claim_hook_url else {
            if self.claim_hook_secret_file.is_some() || self.claim_hook_ca_file.is_some() {
                bail!("claim_hook_secret_file and claim_hook_ca_file belong to claim_hook_url: give that, too");
            }
            return Ok(());
        };
        let parsed = url.parse::<http::Uri>().ok();
        let host = parsed.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let here = host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let scheme = parsed.as_ref().and_then(http::Uri::scheme_str).unwrap_or_default();
        let named = parsed.as_ref().and_then(http::Uri::authority).is_some_and(|authority| authority.as_str().contains('@'));
        if host.is_empty() || !(scheme == "https" || (scheme == "http" && here)) || named {
            bail!(
                "claim_hook_url must be https://HOST[:PORT][/PATH], or http:// to this machine, without a user name; a secret belongs into \
                 claim_hook_secret_file"
            );
        }
        Ok(())
    }

    /// A proxy that is believed can say of every device that it is here, so nobody is one by mistake (H-8).
    fn check_proxies(&self) -> Result<()> {
        let networks = self.trusted()?;
        match self.device_proxy_addr {
            Some(at) if networks.is_empty() => bail!(
                "device_proxy_addr {at} takes a proxy's word for devices' certificates, and trusted_proxies names none: give the addresses or networks that \
                 your proxy connects from, for example trusted_proxies = [\"127.0.0.1\"]"
            ),
            None if !networks.is_empty() => bail!(
                "trusted_proxies are believed at device_proxy_addr alone: give that, too, or leave both out. The other listeners believe no proxy's word \
                 for a device's certificate"
            ),
            _ => Ok(()),
        }
    }

    /// The networks of `trusted_proxies`.
    pub fn trusted(&self) -> Result<Vec<Network>> {
        let read = |text: &String| {
            let network = text.trim().parse::<Network>().map_err(|error| anyhow::anyhow!("trusted_proxies: {text:?}: {error}"))?;
            if network.is_everything() {
                bail!("trusted_proxies: {text:?} is everybody, each of whom could speak for every device: name your proxies");
            }
            Ok(network)
        };
        self.trusted_proxies.iter().map(read).collect()
    }

    /// Two listeners can't have one port of one address.
    fn check_ports(&self) -> Result<()> {
        let mut listeners = vec![
            ("operator_addr", self.operator_addr),
            ("device_addr", self.device_addr),
            ("enrol_addr", self.enrol_addr),
            ("publish_addr", self.publish_addr),
            ("ops_addr", self.ops_addr),
        ];
        listeners.extend(self.device_proxy_addr.map(|at| ("device_proxy_addr", at)));
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

    /// The PKCS#11 token, when one is configured.
    pub fn token(&self) -> Option<fleet::pki::TokenSettings> {
        let (module, label, pin_file) = (self.pkcs11_module.clone()?, self.pkcs11_token.clone()?, self.pkcs11_pin_file.clone()?);
        Some(fleet::pki::TokenSettings { module, label, pin_file })
    }

    /// Refuses named files that are missing or can't be used. Reads them; makes and changes none.
    pub fn check_files(&self) -> Result<()> {
        if self.data.exists() && !self.data.is_dir() {
            bail!("data {} is not a folder", self.data.display());
        }
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
        if let Some(file) = self.credential(std::env::var_os("CREDENTIALS_DIRECTORY"))? {
            Kek::of_credential(&file).context("key_credential")?;
        }
        if self.key_file.is_none() && self.key_credential.is_none() {
            self.check_own_key()?;
        }
        if let Some(token) = self.token() {
            if !token.module.exists() {
                bail!("pkcs11_module {} is missing: give the vendor's library, for SoftHSM libsofthsm2.so", token.module.display());
            }
            Kek::passphrase(&token.pin_file).context("pkcs11_pin_file")?;
        }
        crate::claim_hook::hook(self)?;
        self.postgres().map(drop)
    }

    /// Where the key-encryption key, or its passphrase's salt, is kept when no other place is given.
    pub fn own_key(&self) -> PathBuf {
        self.data.join(if self.key_passphrase_file.is_some() { "kek.salt" } else { "kek" })
    }

    /// The same of it, once there is one: a fleet that is new gets it with its first start.
    fn check_own_key(&self) -> Result<()> {
        let own = self.own_key();
        // Whether there is a fleet in a database elsewhere, nobody asks before the start.
        let fleet = self.database_url_file.is_none() && self.data.join("fleet.db").exists();
        if !own.exists() && !fleet {
            return Ok(());
        }
        if self.key_passphrase_file.is_some() {
            Kek::check_salt(&own).context("the passphrase's salt")
        } else {
            Kek::of_file(&own).map(drop).context("the key in the data folder")
        }
    }

    /// Refuses a passphrase that is too short for a fleet to stand on. Commands beside a server go on with it, or nobody could move that fleet to another key.
    pub fn check_passphrase(&self) -> Result<()> {
        self.key_passphrase_file.as_deref().map_or(Ok(()), Kek::check_passphrase).context("key_passphrase_file")
    }

    /// The file of the credential that holds the key-encryption key, in the folder that the service manager names in `CREDENTIALS_DIRECTORY`
    /// (systemd.exec(5)).
    pub fn credential(&self, folder: Option<OsString>) -> Result<Option<PathBuf>> {
        let Some(name) = &self.key_credential else { return Ok(None) };
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            bail!("key_credential {name:?} is no name of a credential");
        }
        let folder = folder.context(
            "key_credential is given, but CREDENTIALS_DIRECTORY is not set: start Fleetward as a systemd service with LoadCredentialEncrypted=",
        )?;
        Ok(Some(PathBuf::from(folder).join(name)))
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

/// Whether a URL is a scheme, a host and perhaps a port, and nothing after them.
fn is_https_origin(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else { return false };
    let host = url.host().is_some_and(|host| !host.is_empty());
    url.scheme_str() == Some("https") && host && matches!(url.path(), "" | "/") && url.query().is_none()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_for_devices_is_an_origin() {
        for good in ["https://fleet.example", "https://fleet.example:8443/", "https://[::1]:8443", "https://192.0.2.1"] {
            assert!(super::is_https_origin(good), "{good}");
        }
        for bad in ["https://", "https://a b", "https://x/path", "https://x?q", "http://x", "x", ""] {
            assert!(!super::is_https_origin(bad), "{bad}");
        }
    }

    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn what_can_not_be_served_is_refused_beforehand() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let good = Config::default();
        for (wrong, says) in [
            (Config { trust_domain: "Bad Domain/".into(), ..good.clone() }, "trust_domain"),
            (Config { trust_domain: String::new(), ..good.clone() }, "trust_domain"),
            (Config { enrol_addr: good.device_addr, ..good.clone() }, "enrol_addr"),
            (Config { ops_addr: addr("127.0.0.1:8443"), ..good.clone() }, "ops_addr"),
            (Config { publish_addr: addr("127.0.0.1:9090"), ..good.clone() }, "publish_addr"),
            (Config { pkcs11_token: Some("fleet".into()), ..good.clone() }, "pkcs11_module"),
            (Config { publish_url: Some("https://pki.example.com".into()), ..good.clone() }, "http://"),
            (Config { publish_url: Some("http://".into()), ..good.clone() }, "publish_url"),
            (Config { claim_hook_url: Some("http://hook.example/".into()), ..good.clone() }, "claim_hook_url"),
            (Config { claim_hook_url: Some("https://me:secret@hook.example/".into()), ..good.clone() }, "claim_hook_secret_file"),
            (Config { claim_hook_url: Some("hook".into()), ..good.clone() }, "claim_hook_url"),
            (Config { claim_hook_secret_file: Some("x".into()), ..good.clone() }, "claim_hook_url"),
            (Config { publish_url: Some("http://pki.example.com/?a".into()), ..good.clone() }, "publish_url"),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let any = addr("127.0.0.1:0");
        assert!(Config { operator_addr: any, device_addr: any, enrol_addr: any, publish_addr: any, ops_addr: any, ..good }.check().is_ok());
    }

    #[test]
    fn h_8_nobody_is_a_proxy_by_mistake() {
        let at = Some("0.0.0.0:8445".parse::<SocketAddr>().unwrap());
        let proxies = |networks: &[&str]| networks.iter().map(|network| (*network).to_owned()).collect::<Vec<_>>();
        let with =
            |device_proxy_addr, networks: &[&str]| Config { device_proxy_addr, trusted_proxies: proxies(networks), ..Config::default() };
        with(at, &["10.0.0.7", "192.0.2.0/24", " 2001:db8::/64"]).check().unwrap();
        for (wrong, says) in [
            (with(at, &[]), "trusted_proxies names none"),
            (with(None, &["10.0.0.7"]), "device_proxy_addr alone"),
            (with(at, &["proxy.example"]), "\"proxy.example\": Give a network"),
            (with(at, &["10.0.0.7", ""]), "Give a network"),
            (with(at, &["0.0.0.0/0"]), "everybody"),
            (with(at, &["::/0"]), "everybody"),
            (with(Some(Config::default().enrol_addr), &["10.0.0.7"]), "a port of its own"),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_credential_is_found_where_the_service_manager_puts_it() {
        let config = |name: &str| Config { key_credential: Some(name.into()), ..Config::default() };
        let folder = || Some("/run/credentials/fleetward.service".into());
        let found = config("kek").credential(folder()).unwrap();
        assert_eq!(found, Some(PathBuf::from("/run/credentials/fleetward.service/kek")));
        assert!(config("kek").credential(None).unwrap_err().to_string().contains("LoadCredentialEncrypted"));
        for name in ["", "../kek", "a/b"] {
            assert!(config(name).credential(folder()).is_err(), "{name}");
        }
        assert_eq!(Config::default().credential(None).unwrap(), None);
        assert!(Config { key_file: Some("kek".into()), ..config("kek") }.check().unwrap_err().to_string().contains("one of"));
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
        let short = Config { key_file: None, key_passphrase_file: file("words", "elevenchars\n", 0o600), ..good.clone() };
        assert!(format!("{:#}", short.check_passphrase().unwrap_err()).contains("kek rotate"));
        assert!(short.check_files().is_ok() && good.check_passphrase().is_ok());
        // The key that serve takes when none is named.
        let own = Config { key_file: None, data: folder.path().to_owned(), database_url_file: None, ..good.clone() };
        let phrase = Config { key_passphrase_file: file("phrase", "correct horse battery", 0o600), ..own.clone() };
        for (config, name) in [(&own, "kek"), (&phrase, "kek.salt")] {
            config.check_files().expect("a new fleet has none yet");
            let path = file(name, &"k".repeat(32), 0o644).unwrap();
            assert!(format!("{:#}", config.check_files().unwrap_err()).contains("chmod 0600"), "{name}");
            file(name, "short", 0o600);
            assert!(config.check_files().is_err(), "{name}");
            file(name, &"k".repeat(32), 0o600);
            config.check_files().unwrap();
            std::fs::remove_file(path).unwrap();
            let database = file("fleet.db", "", 0o600).unwrap();
            assert!(format!("{:#}", config.check_files().unwrap_err()).contains("is missing"), "{name}");
            std::fs::remove_file(database).unwrap();
        }
        let open = Config { database_url_file: file("peer", "postgres://u@localhost/f", 0o644), ..good };
        assert!(open.check_files().is_ok(), "there is no secret in it");
        assert!(!folder.path().join("missing").exists());
    }
}

//! The keys of the configuration as flags of the command line. Refuses to know what they say.

use super::LogFormat;
use crate::proxied::Header;
use clap::Args;
use serde::Serialize;
use std::{net::SocketAddr, path::PathBuf};
use wire::roots::RootKey;

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
    /// Organization that a command beside a server acts in, by its slug [default: default]
    #[arg(long, value_name = "SLUG", global = true)]
    #[serde(skip)]
    pub organization: Option<String>,
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
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_plain_public: Option<bool>,
    /// Take a client's address from X-Forwarded-For, behind a proxy that sets it
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_forwarded_for: Option<bool>,
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
    /// Where a proxy passes devices' requests on, with their certificates in a header
    #[arg(long, value_name = "ADDR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_proxy_addr: Option<SocketAddr>,
    /// Addresses and networks of those proxies, comma separated
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<Vec<String>>,
    /// The header that holds the certificate [default: client-cert]
    #[arg(long, value_name = "HEADER", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_proxy_header: Option<Header>,
    /// Names in the certificate of the device listeners, comma separated [default: localhost,127.0.0.1]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_names: Option<Vec<String>>,
    /// Revocation lists, OCSP and authorities, plain HTTP [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_addr: Option<SocketAddr>,
    /// That listener as third parties know it, http://…; frozen into authorities when they are made
    #[arg(long, value_name = "URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_url: Option<String>,
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
    /// Name of the systemd credential that holds the key-encryption key
    #[arg(long, value_name = "NAME", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_credential: Option<String>,
    /// Library of a PKCS#11 token on which authorities' keys are made
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkcs11_module: Option<PathBuf>,
    /// Label of that token
    #[arg(long, value_name = "LABEL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkcs11_token: Option<String>,
    /// File with the token's user PIN
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkcs11_pin_file: Option<PathBuf>,
    /// Key of a root that is made here, p-256 or p-384 [default: p-256]
    #[arg(long, value_name = "TYPE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_key: Option<RootKey>,
    /// File in which revocations are kept beside the database, so that a backup put back does not forget them
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_journal: Option<PathBuf>,
    /// File to which the audit log's head is appended once an hour, so that a log that was written anew is found
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_heads: Option<PathBuf>,
    /// Trust domain of device certificates [default: fleetward.local]
    #[arg(long, value_name = "DOMAIN", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    /// Renewals by EST must repeat the certificate's names byte for byte
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub est_strict_reenroll: Option<bool>,
    /// Take CSRs by EST that say of another connection that they came by it
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub est_ignore_channel_binding: Option<bool>,
    /// Make keys for devices: EST serverkeygen and factory batches
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_server_keygen: Option<bool>,
    /// Who is asked before a claim lets a new key in, https://…
    #[arg(long, value_name = "URL", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_hook_url: Option<String>,
    /// File with the secret that it is asked with
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_hook_secret_file: Option<PathBuf>,
    /// Certificates that its TLS certificate must end in, PEM
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_hook_ca_file: Option<PathBuf>,
    /// Fetch lists of revoked certificates from private and loopback addresses too
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_fetch_private: Option<bool>,
    /// Wait while another server serves the same fleet, and take over when that ends
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby: Option<bool>,
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

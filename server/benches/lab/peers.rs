//! The peers and what they are configured with: certificates of the same kinds, chains of two, TLS 1.3, AES-256-GCM, X25519, nothing resumed.

use crate::{
    machine::{Server, free_address},
    tls::{Identity, Trust},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls_pki_types::CertificateDer;
use std::{fs, net::SocketAddr, path::Path, process::Command};
use tempfile::TempDir;

/// A folder with an authority's files, and clients under it.
pub struct Files {
    pub folder: TempDir,
    pub clients: Vec<Identity>,
    root: CertificateDer<'static>,
}

impl Files {
    /// `root.pem`, `ca.pem` with its `ca.key`, `server.pem` (with the issuer behind it) and `server.key`; so many clients.
    pub fn new(clients: usize) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let authority = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            (params, KeyPair::generate().unwrap())
        };
        let (root_params, root_key) = authority("Bench Root");
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_params, root_key);
        let (params, key) = authority("Bench Issuing");
        let issuing = params.signed_by(&key, &root_issuer).unwrap();
        write("root.pem", &root.pem());
        write("ca.pem", &issuing.pem());
        write("ca.key", &key.serialize_pem());
        let issuer = Issuer::new(params, key);
        let leaf = |name: &str, usage: ExtendedKeyUsagePurpose| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![usage];
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (server, server_key) = leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth);
        write("server.pem", &(server.pem() + &issuing.pem()));
        write("server.key", &server_key.serialize_pem());
        let client = |number| {
            let (leaf, key) = leaf(&format!("bench-{number:05}"), ExtendedKeyUsagePurpose::ClientAuth);
            Identity { chain: vec![leaf.der().clone(), issuing.der().clone()], key: key.serialize_der() }
        };
        let clients = (0..clients).map(client).collect();
        Self { folder, clients, root: root.der().clone() }
    }

    pub fn trust(&self) -> Trust {
        Trust::new([self.root.clone()])
    }

    pub fn root(&self) -> CertificateDer<'static> {
        self.root.clone()
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// nginx over TLS with client certificates, which answers as Fleetward does when there is no update.
pub async fn nginx(files: &Files) -> (Server, SocketAddr) {
    start_nginx(files, true, "location / { return 204; }".to_owned()).await
}

/// nginx that serves the folder `public`, over TLS with client certificates or plain.
pub async fn nginx_files(files: &Files, tls: bool) -> (Server, SocketAddr) {
    let folder = files.path().display();
    start_nginx(files, tls, format!("root {folder}/public; open_file_cache max=100; keepalive_requests 1000000000;")).await
}

/// nginx with two workers.
async fn start_nginx(files: &Files, tls: bool, serves: String) -> (Server, SocketAddr) {
    let (at, folder) = (free_address(), files.path().display());
    let listens = if tls {
        format!(
            "listen {at} ssl backlog=4096; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key; \
             ssl_client_certificate {folder}/root.pem; ssl_verify_client on; ssl_verify_depth 3; ssl_protocols TLSv1.3; \
             ssl_ecdh_curve X25519; ssl_session_cache off; ssl_session_tickets off;"
        )
    } else {
        format!("listen {at} backlog=4096;")
    };
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let config = format!(
        "{user} worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log stderr error; worker_rlimit_nofile 20000; \
         events {{ worker_connections 16384; }} \
         http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; \
         uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; server {{ {listens} {serves} }} }}"
    );
    let file = files.path().join("nginx.conf");
    fs::write(&file, config).unwrap();
    (Server::start(Command::new("/usr/sbin/nginx").arg("-c").arg(file), at).await, at)
}

/// mosquitto over TLS with client certificates, whose common name is the user. It has one thread, as always.
pub async fn mosquitto(files: &Files) -> (Server, SocketAddr) {
    let (at, folder) = (free_address(), files.path().display());
    let user = if rustix::process::geteuid().is_root() { "user root\n" } else { "" };
    let config = format!(
        "{user}listener {} 127.0.0.1\ncafile {folder}/root.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n\
         require_certificate true\nuse_identity_as_username true\ntls_version tlsv1.3\nciphers_tls1.3 TLS_AES_256_GCM_SHA384\n\
         allow_anonymous true\npersistence false\nlog_type error\nset_tcp_nodelay true\n",
        at.port()
    );
    let file = files.path().join("mosquitto.conf");
    fs::write(&file, config).unwrap();
    (Server::start(Command::new("/usr/sbin/mosquitto").arg("-c").arg(file), at).await, at)
}

/// `cfssl serve` with the issuing authority: plain HTTP, stores nothing.
pub async fn cfssl(files: &Files) -> (Server, SocketAddr) {
    let (at, file) = (free_address(), files.path().join("cfssl.json"));
    fs::write(&file, r#"{"signing":{"default":{"expiry":"2160h","usages":["digital signature","client auth"]}}}"#).unwrap();
    let mut serve = Command::new("cfssl");
    serve.args(["serve", "-address", "127.0.0.1", "-port", &at.port().to_string(), "-loglevel", "5"]);
    serve.arg("-ca").arg(files.path().join("ca.pem")).arg("-ca-key").arg(files.path().join("ca.key")).arg("-config").arg(file);
    (Server::start(serve.current_dir(files.path()).stderr(std::process::Stdio::null()), at).await, at)
}

/// One of the floor's servers (`serve.rs`), a process like the others.
pub async fn floor(what: &str, files: &Files) -> (Server, SocketAddr) {
    let at = free_address();
    fs::write(files.path().join("address"), at.to_string()).unwrap();
    (Server::start(Command::new(std::env::current_exe().unwrap()).args(["serve", what]).arg(files.path()), at).await, at)
}

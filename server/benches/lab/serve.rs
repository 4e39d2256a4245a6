//! The floor's servers: rustls, tokio and Fleetward's allocator with nothing behind them. `channel` takes websockets of clients with certificates and
//! answers their first words; `issue` signs what comes and keeps nothing.

use crate::{Outcome, tls};
use futures::{SinkExt as _, StreamExt as _};
use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{fs, net::SocketAddr, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// Serves until it is killed.
pub async fn run(what: &str, folder: &str) -> Outcome {
    let folder = Path::new(folder);
    let at: SocketAddr = fs::read_to_string(folder.join("address")).unwrap().parse().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config(folder, what == "channel")));
    let issuer = Arc::new(issuer(folder));
    let listener = listen(at);
    let issues = what == "issue";
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        let (acceptor, issuer) = (acceptor.clone(), Arc::clone(&issuer));
        tokio::spawn(async move {
            let _ = tcp.set_nodelay(true);
            // Who only looks whether somebody listens goes without a word.
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            if issues { issue(tls, &issuer).await } else { channel(tls).await }
        });
    }
}

/// The queue of the system is as long as Fleetward asks for at least.
fn listen(at: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(at).unwrap();
    socket.listen(4096).unwrap()
}

fn config(folder: &Path, mutual: bool) -> ServerConfig {
    let provider = Arc::new(tls::provider());
    let pem = |name: &str| fs::read(folder.join(name)).unwrap();
    let chain = CertificateDer::pem_slice_iter(&pem("server.pem")).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(&pem("server.key")).unwrap();
    let verifier = if mutual {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem("root.pem")).unwrap()).unwrap();
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap()
    } else {
        WebPkiClientVerifier::no_client_auth()
    };
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

async fn channel(tls: TlsStream<TcpStream>) {
    let small = WebSocketConfig::default().read_buffer_size(4096);
    let Ok(mut channel) = accept_async_with_config(tls, Some(small)).await else { return };
    while let Some(Ok(message)) = channel.next().await {
        if let Message::Text(text) = message
            && channel.send(Message::Text(text)).await.is_err()
        {
            return;
        }
    }
}

pub type Authority = rcgen::Issuer<'static, rcgen::KeyPair>;

/// The authority whose files lie in the folder.
pub fn issuer(folder: &Path) -> Authority {
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    rcgen::Issuer::from_ca_cert_pem(&text("ca.pem"), rcgen::KeyPair::from_pem(&text("ca.key")).unwrap()).unwrap()
}

async fn issue(mut tls: TlsStream<TcpStream>, issuer: &Authority) {
    let mut read = Vec::with_capacity(8192);
    loop {
        let body = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&read[..end]).into_owned();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
                if read.len() >= end + 4 + length {
                    break read[end + 4..end + 4 + length].to_vec();
                }
            }
            if !tls.read_buf(&mut read).await.is_ok_and(|count| count > 0) {
                return;
            }
        };
        read.clear();
        let request: wire::enrolment::EnrolRequest = serde_json::from_slice(&body).unwrap();
        let signed = serde_json::json!({ "certificate": sign(&request.csr, issuer) }).to_string();
        let answer = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{signed}", signed.len());
        if tls.write_all(answer.as_bytes()).await.is_err() || tls.flush().await.is_err() {
            return;
        }
    }
}

/// As little as a certificate for a request takes: its proof of possession checked, its key signed over.
pub fn sign(csr: &str, issuer: &Authority) -> String {
    let csr = fleet::pki::csr::gate(csr.as_bytes(), None).unwrap();
    let key = rcgen::SubjectPublicKeyInfo::from_der(&csr.spki).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, csr.common_name.unwrap().as_str());
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&csr.spki_sha256[..20]));
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    params.signed_by(&key, issuer).unwrap().pem()
}

//! EST over a connection of one's own: what a request says of the connection that it came by (E-12).

use crate::{journey::enrolment_token, support::TestServer};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::db::EngineKind;
use rcgen::{Attribute, CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use server::config::Config;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

async fn connect(server: &TestServer) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.running.fleet.pki().root_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", server.running.enrol_addr.port())).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1").unwrap(), socket).await.unwrap()
}

async fn post(mut stream: TlsStream<TcpStream>, token: &str, der: &[u8]) -> String {
    let head = format!(
        "POST /.well-known/est/simpleenroll HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/pkcs10\r\ncontent-length: {}\r\n\r\n",
        der.len()
    );
    stream.write_all(&[head.as_bytes(), der].concat()).await.unwrap();
    let mut answer = Vec::new();
    // A peer that closes without saying so has answered all the same.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A CSR that says it came by this connection.
fn bound(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let exporter = stream.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
    let text = STANDARD.encode(exporter);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "gw-1");
    // challengePassword (RFC 2985 §5.4.1): a set of one PrintableString.
    let values = [&[0x31, 46, 0x13, 44], text.as_bytes()].concat();
    let password = Attribute { oid: &[1, 2, 840, 113_549, 1, 9, 7], values };
    params.serialize_request_with_attributes(&KeyPair::generate().unwrap(), vec![password]).unwrap().der().to_vec()
}

/// E-12: a CSR that says which connection it came by is believed on that connection only.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_bound_to_a_connection_is_taken_on_that_one_only() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let token = enrolment_token(&server, "gw-1", "gateway", 5).await.secret;
    let (first, second) = (connect(&server).await, connect(&server).await);
    let der = bound(&first);
    let elsewhere = post(second, &token, &der).await;
    assert!(
        elsewhere.starts_with("HTTP/1.1 400") && elsewhere.contains("channel binding is not supported on this connection"),
        "{elsewhere}"
    );
    let here = post(first, &token, &der).await;
    assert!(here.starts_with("HTTP/1.1 200"), "{here}");
    server.stop().await;
}

/// E-12: where the installation says so, it is taken on any.
#[tokio::test(flavor = "multi_thread")]
async fn where_bindings_are_ignored_a_request_is_taken_whatever_it_says_of_its_connection() {
    let server = TestServer::start_with(EngineKind::Sqlite, |config| Config { est_ignore_channel_binding: true, ..config }).await;
    let token = enrolment_token(&server, "gw-1", "gateway", 5).await.secret;
    let (first, second) = (connect(&server).await, connect(&server).await);
    let elsewhere = post(second, &token, &bound(&first)).await;
    assert!(elsewhere.starts_with("HTTP/1.1 200"), "{elsewhere}");
    server.stop().await;
}

//! The floor of the device listener: mutual TLS and a websocket with nothing behind them.

use crate::device::Identity;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, tungstenite::protocol::WebSocketConfig};

pub type Channel = WebSocketStream<TlsStream<TcpStream>>;

/// Listens, hands every channel to `serve`, and gives the address and so many devices that may come in.
pub async fn listen<F: Future<Output = ()> + Send + 'static>(
    devices: usize,
    serve: impl Fn(Channel) -> F + Clone + Send + 'static,
) -> (SocketAddr, Vec<Identity>) {
    let (server, clients) = certificates(devices);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, serve) = (acceptor.clone(), serve.clone());
            tokio::spawn(async move {
                tcp.set_nodelay(true).unwrap();
                let small = WebSocketConfig::default().read_buffer_size(4096);
                let tls = acceptor.accept(tcp).await.unwrap();
                let channel = accept_async_with_config(tls, Some(small)).await.unwrap();
                serve(channel).await;
            });
        }
    });
    (at, clients)
}

/// A root, a server under it, and so many clients.
fn certificates(clients: usize) -> (ServerConfig, Vec<Identity>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "floor");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let leaf = || -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap().der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    };
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let (certificate, key) = leaf();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let client = |_| {
        let (certificate, key) = leaf();
        Identity { roots: vec![root.clone()], chain: vec![certificate], key }
    };
    (server, (0..clients).map(client).collect())
}

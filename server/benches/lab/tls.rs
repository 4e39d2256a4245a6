//! A device's end of a connection: one key and certificate each, TLS 1.3 with X25519, nothing resumed. The same for every server.

use rustls::{ClientConfig, RootCertStore, client::Resumption, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A device's key and certificates.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: Vec<u8>,
}

/// What all clients of one server share.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl Trust {
    pub fn new(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root).unwrap();
        }
        Self { roots: Arc::new(store), provider: Arc::new(provider()) }
    }

    /// A client with this identity, or none.
    pub fn client(&self, identity: Option<&Identity>) -> TlsConnector {
        let client = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match identity {
            Some(identity) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.clone()));
                client.with_client_auth_cert(identity.chain.clone(), key).unwrap()
            }
            None => client.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        TlsConnector::from(Arc::new(config))
    }
}

/// One key exchange and one cipher, so that every pair of sides does the same arithmetic.
pub fn provider() -> rustls::crypto::CryptoProvider {
    use rustls::crypto::aws_lc_rs::{cipher_suite::TLS13_AES_256_GCM_SHA384, default_provider, kx_group::X25519};
    rustls::crypto::CryptoProvider { cipher_suites: vec![TLS13_AES_256_GCM_SHA384], kx_groups: vec![X25519], ..default_provider() }
}

/// Clients from one address have 28,000 ports and a hundred handshakes under way; a fleet comes from many.
const PER_ADDRESS: usize = 50;

/// Connects as the client with this number.
pub async fn dial(at: SocketAddr, number: usize) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let (high, low) = ((number / PER_ADDRESS / 250) % 250, (number / PER_ADDRESS) % 250);
    let from = Ipv4Addr::new(127, 1, u8::try_from(high).unwrap(), u8::try_from(low + 1).unwrap());
    socket.bind(SocketAddr::from((from, 0)))?;
    let tcp = socket.connect(at).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// Connects and shakes hands.
pub async fn connect(client: &TlsConnector, at: SocketAddr, number: usize) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = dial(at, number).await?;
    client.connect(ServerName::try_from("localhost").unwrap(), tcp).await
}

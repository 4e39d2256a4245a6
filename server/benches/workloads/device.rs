//! A device's end of the channel.

use futures::SinkExt as _;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// A device's key and certificates.
pub struct Identity {
    pub roots: Vec<CertificateDer<'static>>,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

pub type Channel = WebSocketStream<TlsStream<TcpStream>>;

/// Opens a channel and says hello.
pub async fn connect(at: SocketAddr, identity: Identity) -> Channel {
    let mut roots = RootCertStore::empty();
    for root in identity.roots {
        roots.add(root).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.chain, identity.key)
        .unwrap();
    let tcp = TcpStream::connect(at).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    let small = WebSocketConfig::default().read_buffer_size(4096);
    let (mut channel, _) = client_async_with_config("wss://localhost/device/v1/channel", tls, Some(small)).await.unwrap();
    let hello =
        r#"{"type":"hello","agent":"bench/1","boot_id":"b","firmware":{"version":"1.0.0","device_type":"gw","hardware":"A"},"stream":"s"}"#;
    channel.send(Message::text(hello)).await.unwrap();
    channel
}

//! For tests: somebody on the other end of a real TLS connection who does what our own server never would: cuts, lies, forgets.

use crate::{clock, http, identity::Store, tls};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::{future::Future, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::task::AbortOnDropHandle;
use wire::{Timestamp, enrolment::Enrolled};

pub type Stream = TlsStream<TcpStream>;

/// An authority that signs for both sides.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub root: CertificateDer<'static>,
    root_pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Arc<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        Arc::new(Self { root: root.der().clone(), root_pem: root.pem(), issuer: Issuer::new(params, key) })
    }

    fn leaf(&self, name: &str, key: &KeyPair) -> rcgen::Certificate {
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(key, &self.issuer).unwrap()
    }

    /// A client certificate and its key.
    pub fn client(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        (vec![self.leaf("device", &key).der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// A client's configuration that trusts us and shows a certificate of `issuer`.
    pub fn client_config(&self, issuer: &Self) -> Arc<ClientConfig> {
        let (chain, key) = issuer.client();
        tls::mutual(tls::roots(std::slice::from_ref(&self.root)).unwrap(), chain, key, clock::System::new()).unwrap()
    }

    /// Enrols the device whose state is in `dir`, without a server.
    pub fn enrol(&self, dir: &Path, device_id: &str, device_url: &str) {
        let store = Store::open(dir).unwrap();
        let key = KeyPair::generate().unwrap();
        let enrolled = self.enrolled(device_id, self.leaf(device_id, &key).pem(), device_url);
        std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(dir.join("identity.json"), serde_json::to_vec(&enrolled).unwrap()).unwrap();
        assert!(store.load().unwrap().is_some());
    }

    /// A certificate for the key in `dir`, with what comes along.
    pub fn certified(&self, dir: &Path, device_id: &str) -> Enrolled {
        let key = KeyPair::from_pem(&std::fs::read_to_string(dir.join("key.pem")).unwrap()).unwrap();
        self.enrolled(device_id, self.leaf(device_id, &key).pem(), "https://127.0.0.1:1")
    }

    /// Takes a request for a certificate and grants it, for the listener that it came to: the request's path and body, and the answer.
    pub async fn granted(&self, stream: &mut Stream, device_id: &str) -> (String, Vec<u8>) {
        let (head, body) = request(stream).await;
        let asked: serde_json::Value = serde_json::from_str(&body).unwrap();
        let csr = CertificateSigningRequestParams::from_pem(asked["csr"].as_str().unwrap()).unwrap();
        let certificate = csr.signed_by(&self.issuer).unwrap().pem();
        let url = format!("https://{}", stream.get_ref().0.local_addr().unwrap());
        let answer = serde_json::to_string(&self.enrolled(device_id, certificate, &url)).unwrap();
        let answer = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
        (format!("{} {body}", head.split(' ').nth(1).unwrap()), answer.into_bytes())
    }

    fn enrolled(&self, device_id: &str, certificate: String, device_url: &str) -> Enrolled {
        Enrolled {
            device_id: device_id.parse().unwrap(),
            certificate,
            chain: vec![],
            trust_bundle: vec![self.root_pem.clone()],
            trust_bundle_version: 0,
            assignment_keys: vec![],
            not_before: Timestamp(0),
            not_after: Timestamp(i64::MAX),
            renew_after: Timestamp(i64::MAX),
            server_time: Timestamp(0),
            device_url: device_url.to_owned(),
        }
    }
}

/// A listener on a port of its own that asks for a client certificate. Ends when dropped.
pub struct Peer {
    pub url: String,
    pub authority: Arc<Authority>,
    _task: AbortOnDropHandle<()>,
}

impl Peer {
    /// Gives every accepted connection, with its number, to `serve`.
    pub async fn start<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(usize, Stream) -> F + Send + 'static) -> Self {
        Self::of(Authority::new("peer"), serve).await
    }

    /// The same for devices of this authority.
    pub async fn of<F: Future<Output = ()> + Send + 'static>(
        authority: Arc<Authority>,
        serve: impl Fn(usize, Stream) -> F + Send + 'static,
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let leaf = authority.leaf("127.0.0.1", &key).der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(authority.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).allow_unauthenticated().build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf, authority.root.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut number = 0;
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(tcp).await {
                    tokio::spawn(serve(number, stream));
                    number += 1;
                }
            }
        });
        Self { url, authority, _task: AbortOnDropHandle::new(task) }
    }

    /// Answers the n-th request with the n-th text, byte for byte, and cuts the connection without a goodbye. `heard` gets the requests.
    pub async fn saying(answers: Vec<Vec<u8>>) -> (Self, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let (tell, heard) = tokio::sync::mpsc::unbounded_channel();
        let answers = Arc::new(answers);
        let peer = Self::start(move |number, mut stream| {
            let (answers, tell) = (Arc::clone(&answers), tell.clone());
            async move {
                tell.send(request(&mut stream).await.0).unwrap();
                stream.write_all(&answers[number]).await.unwrap();
                stream.flush().await.unwrap();
            }
        })
        .await;
        (peer, heard)
    }

    /// Issues a certificate for every request it gets and loses the first answers. `heard` gets the requests' bodies.
    pub async fn issuing(device_id: &'static str, lost: usize) -> (Self, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let (tell, heard) = tokio::sync::mpsc::unbounded_channel();
        let authority = Authority::new("issuing");
        let issuer = Arc::clone(&authority);
        let peer = Self::of(authority, move |number, mut stream| {
            let (issuer, tell) = (Arc::clone(&issuer), tell.clone());
            async move {
                let (asked, answer) = issuer.granted(&mut stream, device_id).await;
                tell.send(asked).unwrap();
                if number >= lost {
                    stream.write_all(&answer).await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        })
        .await;
        (peer, heard)
    }

    pub fn client(&self) -> http::Client {
        http::Client::new(self.authority.client_config(&self.authority), &self.url).unwrap()
    }
}

/// A request's head and body.
pub async fn request(stream: &mut Stream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

//! The floor: TLS, websocket, parse, append, sync, acknowledge.

use crate::{
    Shape,
    load::{self, Identity},
};
use futures::{SinkExt as _, StreamExt as _};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::{
    fs::File,
    io::Write as _,
    sync::{Arc, mpsc},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{accept_async, tungstenite::Message};
use wire::device::{Down, Up};

/// A frame as stored, and where to say that it is.
type Append = (Vec<u8>, oneshot::Sender<()>);

pub async fn measure(shape: Shape) -> f64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut log = File::create(folder.path().join("log")).unwrap();
    let (append, appends) = mpsc::channel::<Append>();
    std::thread::spawn(move || {
        while let Ok(first) = appends.recv() {
            let batch: Vec<Append> = std::iter::once(first).chain(appends.try_iter()).collect();
            let bytes: Vec<u8> = batch.iter().flat_map(|(bytes, _)| bytes).copied().collect();
            log.write_all(&bytes).unwrap();
            log.sync_data().unwrap();
            for (_, done) in batch {
                let _ = done.send(());
            }
        }
    });
    let (server, clients) = certificates(shape.connections);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, acceptor.clone(), append.clone()));
        }
    });
    load::measure(shape, at, clients).await
}

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, append: mpsc::Sender<Append>) {
    tcp.set_nodelay(true).unwrap();
    let socket = accept_async(acceptor.accept(tcp).await.unwrap()).await.unwrap();
    let (mut out, mut frames) = socket.split();
    let (done, mut waiting) = tokio::sync::mpsc::channel::<(u64, oneshot::Receiver<()>)>(64);
    let reading = async move {
        while let Some(Ok(Message::Text(text))) = frames.next().await {
            if let Up::Samples(frame) = serde_json::from_str(&text).unwrap() {
                let mut bytes = Vec::with_capacity(frame.samples.len() * 24);
                for s in &frame.samples {
                    bytes.extend_from_slice(&(s.m.len() as u64).to_le_bytes());
                    bytes.extend_from_slice(&s.t.to_le_bytes());
                    bytes.extend_from_slice(&s.v.to_le_bytes());
                }
                let (stored, receipt) = oneshot::channel();
                append.send((bytes, stored)).unwrap();
                if done.send((frame.seq, receipt)).await.is_err() {
                    return;
                }
            }
        }
    };
    let answering = async move {
        while let Some((seq, receipt)) = waiting.recv().await {
            receipt.await.unwrap();
            if out.send(Message::text(serde_json::to_string(&Down::Ack { seq }).unwrap())).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, answering);
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

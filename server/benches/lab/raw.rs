//! The floor of this machine: what the arithmetic alone takes on one core, with the same library. Nothing can be faster than this.

use crate::{Outcome, Size, figure, ground::csr, peers::Files, serve, tls};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey},
};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _};
use std::{fs, sync::Arc, time::Instant};

pub fn measure(what: &str, size: Size) -> Outcome {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let random = SystemRandom::new();
    let rate = match what {
        "signatures" => count(size, || {
            key.sign(&random, b"what is signed").unwrap();
        }),
        "verifications" => {
            let signature = key.sign(&random, b"what is signed").unwrap();
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key().as_ref());
            count(size, || public.verify(b"what is signed", signature.as_ref()).unwrap())
        }
        "certificates" => {
            let (files, csr) = (Files::new(0), csr("new-1").1);
            let issuer = serve::issuer(files.path());
            count(size, || assert!(!serve::sign(&csr, &issuer).is_empty()))
        }
        "handshakes" => handshakes(size),
        _ => panic!("there is no {what}"),
    };
    Outcome::from([("value", rate)])
}

fn count(size: Size, mut once: impl FnMut()) -> f64 {
    let (begun, mut done) = (Instant::now(), 0_u64);
    while begun.elapsed() < size.time {
        once();
        done += 1;
    }
    figure(done) / begun.elapsed().as_secs_f64()
}

/// Full handshakes with certificates on both sides, from memory to memory; the time of the server's half alone.
fn handshakes(size: Size) -> f64 {
    let files = Files::new(1);
    let pem = |name: &str| fs::read(files.path().join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem("root.pem")).unwrap()).unwrap();
    let (roots, provider) = (Arc::new(roots), Arc::new(tls::provider()));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider)).build().unwrap();
    let versions = [&rustls::version::TLS13];
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            CertificateDer::pem_slice_iter(&pem("server.pem")).map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_slice(&pem("server.key")).unwrap(),
        )
        .unwrap();
    server.send_tls13_tickets = 0;
    let identity = &files.clients[0];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.clone()));
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.chain.clone(), key)
        .unwrap();
    let (server, client) = (Arc::new(server), Arc::new(client));
    let (begun, mut spent, mut done) = (Instant::now(), 0.0, 0_u64);
    while begun.elapsed() < size.time {
        let mut device = ClientConnection::new(Arc::clone(&client), ServerName::try_from("localhost").unwrap()).unwrap();
        let mut ours = ServerConnection::new(Arc::clone(&server)).unwrap();
        let mut wire = Vec::new();
        while device.is_handshaking() || ours.is_handshaking() {
            wire.clear();
            device.write_tls(&mut wire).unwrap();
            let worked = Instant::now();
            let mut unread = wire.as_slice();
            while !unread.is_empty() {
                ours.read_tls(&mut unread).unwrap();
                ours.process_new_packets().unwrap();
            }
            let mut back = Vec::new();
            while ours.wants_write() {
                ours.write_tls(&mut back).unwrap();
            }
            spent += worked.elapsed().as_secs_f64();
            let mut unread = back.as_slice();
            while !unread.is_empty() {
                device.read_tls(&mut unread).unwrap();
                device.process_new_packets().unwrap();
            }
        }
        done += 1;
    }
    figure(done) / spent
}

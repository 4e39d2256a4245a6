//! The room on both engines: uploads that are cut, what goes into quarantine and why, the life of a release.

mod comparing;
mod containers;
mod deltas;
mod going_back;
mod image_keys;
mod key_sets;
mod life;
mod lists;
mod quarantine;
mod scrubbing;
mod signatures;
mod uploads;

use super::signing::{SigningKeyPair, payload};
use crate::{
    access::Actor,
    clock::Clock as _,
    db::{Sql, exec},
    entropy::SeededEntropy,
    testing::World,
};
use bytes::Bytes;
use futures::{Stream, stream};
use std::io;
use wire::{
    Fault, Timestamp,
    ids::UploadId,
    manifest::{Manifest, SCHEMA},
    releases::{NewRelease, NewUpload, ReleaseDetail, Upload},
};

const ORGANIZATION: Sql = Sql::same("INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, 'other', 'Other', 0)");
const AUDIT_HEAD: Sql = Sql::same("INSERT INTO audit_heads (org_id, seq, hash) VALUES ($1, 0, $2)");

/// The same person in another organization, which is made for this.
async fn stranger(w: &World, like: &Actor) -> Actor {
    let stranger = Actor { org: w.entropy.id(w.clock.now()), ..like.clone() };
    let mut tx = w.fleet.releases().db.write().await.unwrap();
    exec!(&mut tx, ORGANIZATION, stranger.org.as_str()).unwrap();
    exec!(&mut tx, AUDIT_HEAD, stranger.org.as_str(), &b""[..]).unwrap();
    tx.commit().await.unwrap();
    stranger
}

/// Whole content in pieces of a size that fits nothing.
fn whole(content: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
    stream::iter(content.chunks(997).map(|c| Ok(Bytes::copy_from_slice(c))).collect::<Vec<_>>())
}

/// Content whose connection breaks after its last byte.
fn cut(content: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
    let mut pieces: Vec<_> = content.chunks(997).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    pieces.push(Err(io::ErrorKind::ConnectionReset.into()));
    stream::iter(pieces)
}

fn new(name: &str, size: usize) -> NewUpload {
    NewUpload { name: name.into(), size: i64::try_from(size).unwrap(), sha256: None }
}

fn fault<T: std::fmt::Debug>(result: crate::Result<T>) -> Fault {
    result.expect_err("a refusal").fault()
}

fn key(seed: u64) -> SigningKeyPair {
    SigningKeyPair::generate(&SeededEntropy::new(seed)).unwrap()
}

/// A manifest of one file `fw.bin`.
fn manifest(version: &str, sequence: u64, content: &[u8]) -> Manifest {
    Manifest {
        schema: SCHEMA,
        device_type: "gateway".into(),
        hardware: vec!["A".into(), "B".into()],
        version: version.into(),
        sequence,
        min_sequence: 0,
        payloads: vec![payload("fw.bin", "raw", &mut &content[..]).unwrap()],
        created: Timestamp(1_795_341_000_000),
        expires: None,
        notes: "Better <b>things</b>".into(),
    }
}

/// What `openssl` made for the signatures of images, as base64.
fn openssl_base64(name: &str) -> String {
    let all = include_str!("../containers/testdata/signatures.txt");
    let block = all.split("== ").find_map(|block| block.strip_prefix(name)?.strip_prefix('\n')).unwrap();
    block.split_whitespace().collect()
}

fn openssl(name: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, openssl_base64(name)).unwrap()
}

async fn send(w: &World, actor: &Actor, name: &str, content: &[u8]) -> Upload {
    let upload = w.fleet.releases().begin_upload(actor, new(name, content.len())).await.unwrap();
    w.fleet.releases().append(actor, &upload.id, 0, whole(content)).await.unwrap()
}

async fn release_of(w: &World, actor: &Actor, files: &[(&str, &[u8])]) -> crate::Result<ReleaseDetail> {
    let mut uploads: Vec<UploadId> = Vec::new();
    for (name, content) in files {
        uploads.push(send(w, actor, name, content).await.id);
    }
    Ok(w.fleet.releases().create(actor, NewRelease { uploads }).await?.release)
}

/// A release that is verified, signed by `key(1)`, which must be trusted already.
async fn verified(w: &World, actor: &Actor, version: &str, sequence: u64) -> ReleaseDetail {
    let content = format!("firmware {version}");
    let envelope = key(1).sign(&manifest(version, sequence, content.as_bytes())).unwrap();
    release_of(w, actor, &[("fw.bin", content.as_bytes()), ("fw.manifest.json", &envelope)]).await.unwrap()
}

async fn trust(w: &World, admin: &Actor, seed: u64) -> wire::releases::SigningKey {
    w.fleet.releases().add_key(admin, &format!("build {seed}"), &key(seed).public_pem()).await.unwrap()
}

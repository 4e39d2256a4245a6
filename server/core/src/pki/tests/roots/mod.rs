//! Roots whose keys are kept elsewhere, on both engines: taken away (P-11, K-1, K-2), signing from their file (K-5), their lists, an operator's own
//! root, and what a backup must not bring back (K-7).

mod curves;
mod foreign;
mod keys;

use crate::{
    access::Actor,
    clock::Clock as _,
    entropy::{Entropy, SeededEntropy},
    pki::{ExportedRoot, Holding, Lock, Passphrase, Pki, RootFile, Unlock, offline},
    testing::World,
};
use age::secrecy::ExposeSecret as _;
use wire::{
    pki::{AuthorityRow, AuthorityUse},
    roots::{AuthorityRequest, NewAuthorityRequest, RootTask},
};
use zeroize::Zeroizing;

pub(super) fn system(w: &World) -> Actor {
    Actor::system(w.org.clone())
}

pub(super) fn pem(der: &[u8]) -> String {
    crate::pem::encode("CERTIFICATE", der)
}

pub(super) fn root(pki: &Pki, w: &World) -> AuthorityRow {
    pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "root").unwrap()
}

pub(super) async fn tasks(pki: &Pki, actor: &Actor) -> Vec<RootTask> {
    pki.root_duties(actor).await.unwrap().into_iter().map(|d| d.task).collect()
}

pub(super) fn entropy() -> SeededEntropy {
    SeededEntropy::new(77)
}

/// Writes the active root into a file locked to an identity, and opens it again as somebody would who has both.
pub(super) async fn exported(w: &World) -> (ExportedRoot, RootFile) {
    let identity = age::x25519::Identity::generate();
    let lock = Lock::Recipient(identity.to_public().to_string());
    let exported = w.fleet.pki().export_root(&system(w), None, lock).await.unwrap();
    let words = Unlock::Identity(Passphrase::new(Zeroizing::new(format!("# made today\n{}\n", identity.to_string().expose_secret()))));
    let file = RootFile::read(&exported.file, Some(&words)).unwrap();
    (exported, file)
}

/// A fleet whose root has left.
pub(super) async fn taken_away(w: &World) -> RootFile {
    let (_, file) = exported(w).await;
    w.fleet.pki().take_root_offline(&system(w), None, Holding::Opened(&file)).await.unwrap();
    file
}

pub(super) async fn request(w: &World, kind: AuthorityUse, own_root: bool) -> AuthorityRequest {
    w.fleet.pki().request_authority(&system(w), NewAuthorityRequest { kind, own_root, fresh: false }).await.unwrap()
}

pub(super) fn issued(w: &World, file: &RootFile, request: &AuthorityRequest) -> offline::Signed {
    offline::issue(file, request.csr.as_bytes(), None, w.clock.now(), &entropy() as &dyn Entropy).unwrap()
}

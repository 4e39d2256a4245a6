//! A root that is made here with a P-384 key (P-1): what it signs, here and where its key is taken, and the root that follows it.

use super::{
    super::life::{check, enrol},
    entropy, issued, pem, request, root, taken_away,
};
use crate::{
    clock::Clock as _,
    db::EngineKind,
    entropy::Entropy,
    pki::{decode::algorithms, offline},
    testing::{World, postgres},
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{pki::AuthorityUse, roots::RootKey};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList};

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// The algorithms of a certificate's key and of its signature.
fn says(der: &[u8]) -> (String, String) {
    algorithms(der).unwrap()
}

fn pair(key: &str, signature: &str) -> (String, String) {
    (key.to_owned(), signature.to_owned())
}

/// Whether the list is signed with this root's key, and how it says so.
fn signed_list(list: &[u8], root: &[u8]) -> String {
    let (_, list) = CertificateRevocationList::from_der(list).unwrap();
    let (_, root) = X509Certificate::from_der(root).unwrap();
    list.verify_signature(root.public_key()).unwrap();
    list.signature_algorithm.algorithm.to_id_string()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p1_a_root_made_here_may_have_a_p384_key(#[case] kind: EngineKind) {
    const SHA384: &str = "ecdsa-with-SHA384";
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let folder = tempfile::tempdir().unwrap();
    let w =
        World::open_with(folder, url.clone(), 1, |settings| crate::pki::PkiSettings { root_key: RootKey::P384, ..settings }).await.unwrap();
    w.fleet.pki().publish().await.unwrap();
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    assert_eq!(says(&leaf), pair("P-256", "ecdsa-with-SHA256"));

    // What was made stays what it is, whatever is made later (K-2).
    let w = World::open_with(w.close().await, url, 2, |settings| settings).await.unwrap();
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    assert!(check(&w, &leaf).is_ok());
    for made in pki.authorities_of(&w.org) {
        let key = if made.kind == "root" { "P-384" } else { "P-256" };
        assert_eq!(says(&der(&made.pem)), pair(key, SHA384), "{}", made.subject);
    }
    let first = root(pki, &w);
    let first_der = der(&first.pem);
    pki.publish().await.unwrap();
    assert_eq!(signed_list(&pki.crl(&first.id).unwrap().der, &first_der), "1.2.840.10045.4.3.3");

    // Where its key is taken (K-5, R-7).
    let file = taken_away(&w).await;
    let waiting = request(&w, AuthorityUse::Device, false).await;
    let signed = issued(&w, &file, &waiting);
    assert_eq!(says(&signed.der), pair("P-256", SHA384));
    let device = pki.import_authority(&admin, &pem(&signed.der)).await.unwrap().authority;
    pki.activate_authority(&admin, &device.id, false).await.unwrap();
    let (_, _, leaf) = enrol(&w, "gw-2").await;
    assert!(check(&w, &leaf).is_ok());
    w.clock.advance(60_000);
    let asked = pki.list_request(&admin, &first.id).await.unwrap();
    let list = offline::list(&file, &asked, w.clock.now()).unwrap();
    assert_eq!(signed_list(&list, &first_der), "1.2.840.10045.4.3.3");
    pki.import_list(&admin, &first.id, &list).await.unwrap();

    // the root that follows it has a P-256 key here; each vouches for the other with its own.
    let next = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    assert_eq!(says(&der(&next.pem)), pair("P-256", "ecdsa-with-SHA256"));
    let crossed = offline::cross(&file, &der(&next.pem), w.clock.now(), &entropy() as &dyn Entropy).unwrap();
    assert_eq!(says(&crossed.der), pair("P-256", SHA384));
    pki.import_authority(&admin, &pem(&crossed.der)).await.unwrap();
    let mut crosses: Vec<_> = pki.trust_bundle(&w.org).cross.iter().map(|pem| says(&der(pem))).collect();
    crosses.sort();
    assert_eq!(crosses, [pair("P-256", SHA384), pair("P-384", "ecdsa-with-SHA256")]);
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

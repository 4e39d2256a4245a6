//! For tests: an authority's key in the hands of somebody who keeps to no profile.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "tests may stop at the first surprise")]

use super::{Pki, authorities, store};
use rcgen::{Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use wire::{ids::AuthorityId, pki::AuthorityRow};

impl Pki {
    /// The authority's certificate, and its key without the guard.
    pub async fn stolen(&self, authority: &AuthorityRow) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let id: &AuthorityId = &authority.id;
        let all = store::sealed_keys(&mut self.db.read().await.expect("a database")).await.expect("its keys");
        let sealed = all.into_iter().find(|k| k.id == id.as_str()).expect("the authority's key");
        let plain = self.kek.open(&authorities::aad(id, &sealed.spki_sha256), &sealed.sealed_key).expect("it opens");
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(plain.as_slice()), &rcgen::PKCS_ECDSA_P256_SHA256);
        let der = self.authority_certificate(id).expect("its certificate");
        let issuer = Issuer::from_ca_cert_der(&der, key.expect("a key")).expect("an issuer");
        (der, issuer)
    }
}

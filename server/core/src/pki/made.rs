//! Keys that the server makes for somebody else (E-8; RFC 7030 §4.4): P-256, as the attributes we publish say (E-14). One is in memory from here
//! to the answer that carries it, is wiped then, and is never written to the store or the log. Refuses to know who may have one.

use super::{
    Csr, Error,
    csr::{KeyAlg, sha256},
};
use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use wire::states::KeyOrigin;
use zeroize::Zeroizing;

/// What they are.
pub(super) const KEY_ALG: KeyAlg = KeyAlg::P256;

/// A key pair for somebody else. Neither printed nor copied.
pub(crate) struct ServerKey {
    pkcs8: Zeroizing<Vec<u8>>,
    spki: Vec<u8>,
}

impl ServerKey {
    /// A new one, from the crypto library's own generator: what a seeded one makes is no secret.
    pub(crate) fn generate() -> Result<Self, Error> {
        let failed = |_| Error::Build("making a key".to_owned());
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
        let private = pair.to_pkcs8v1().map_err(failed)?;
        Ok(Self { pkcs8: Zeroizing::new(private.as_ref().to_vec()), spki: public.as_ref().to_vec() })
    }

    /// The private half, PKCS#8 in DER (RFC 5958).
    pub(crate) fn into_pkcs8(self) -> Zeroizing<Vec<u8>> {
        self.pkcs8
    }

    /// What a request that passed the gate asks for, with this key in the place of its own.
    pub(crate) fn instead(&self, asked: &Csr) -> Csr {
        Csr { spki: self.spki.clone(), spki_sha256: sha256(&self.spki), key_alg: KEY_ALG, key_origin: KeyOrigin::Server, ..asked.clone() }
    }

    /// What is asked for a device or a claim that has sent no request.
    pub(crate) fn request(&self) -> Csr {
        Csr {
            common_name: None,
            uris: Vec::new(),
            subject: Vec::new(),
            alternatives: None,
            spki: self.spki.clone(),
            spki_sha256: sha256(&self.spki),
            // There is no request that could be sent again.
            csr_sha256: [0; 32],
            key_alg: KEY_ALG,
            key_origin: KeyOrigin::Server,
            ignored: Vec::new(),
            wraps_key: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::PrivatePkcs8KeyDer;

    #[test]
    fn e_8_a_made_key_is_a_new_p256_key_whose_halves_fit() {
        let (one, two) = (ServerKey::generate().unwrap(), ServerKey::generate().unwrap());
        assert_ne!(one.spki, two.spki);
        assert_eq!(one.spki.len(), 91, "a P-256 key (RFC 5480)");
        let pair = rcgen::KeyPair::try_from(&PrivatePkcs8KeyDer::from(one.pkcs8.as_slice())).unwrap();
        assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&pair), one.spki);
        assert_eq!(one.request().spki_sha256, sha256(&one.spki));
    }
}

//! Authorities' private keys, wherever they are, and what each may sign (K-3): certificates of its kinds and lists, in its own name. Whoever asks;
//! refuses to know who that is.

use super::{Error, profile::Kind, recognise, token::TokenKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, UnparsedPublicKey, VerificationAlgorithm};
use rcgen::{Issuer, KeyPair, PublicKeyData, SigningKey};
use rustls_pki_types::CertificateDer;
use wire::roots::RootKey;
use x509_parser::prelude::FromDer as _;

/// A private key, wherever it is.
pub(super) enum Held {
    /// In our memory; sealed in the database.
    Here(KeyPair),
    /// On the token, which does not give it away (K-4).
    Token(TokenKey),
    /// Another authority's, behind something that may keep whoever asks waiting: a token on a network, to the tests.
    #[cfg(test)]
    Slow {
        /// Whose key signs in the end.
        key: std::sync::Arc<Issuer<'static, GuardedKey>>,
        /// Called before each signature.
        wait: Wait,
    },
}

/// Comes back when it may be signed, or says that it can't be.
#[cfg(test)]
pub(super) type Wait = std::sync::Arc<dyn Fn() -> Result<(), rcgen::Error> + Send + Sync>;

impl Held {
    /// Whether a signature may take its time.
    pub(super) const fn is_slow(&self) -> bool {
        !matches!(self, Self::Here(_))
    }
}

impl PublicKeyData for Held {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Here(key) => key.der_bytes(),
            Self::Token(key) => key.der_bytes(),
            #[cfg(test)]
            Self::Slow { key, .. } => key.key().der_bytes(),
        }
    }
    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::Here(key) => key.algorithm(),
            Self::Token(key) => key.algorithm(),
            #[cfg(test)]
            Self::Slow { key, .. } => key.key().algorithm(),
        }
    }
}

impl SigningKey for Held {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Here(key) => key.sign(message),
            Self::Token(key) => key.sign(message),
            #[cfg(test)]
            Self::Slow { key, wait } => wait().and_then(|()| key.key().sign(message)),
        }
    }
}

/// A private key that signs only these kinds, in its own name, and its own lists of revoked certificates.
pub(super) struct GuardedKey {
    pub(super) key: Held,
    may: &'static [Kind],
    /// Raw subject and key identifier; none for the one signature by which a root signs itself.
    own: Option<(Vec<u8>, Vec<u8>)>,
}

impl GuardedKey {
    /// One that signs a single certificate: the one by which a root certifies itself.
    pub(super) const fn of_itself(key: Held) -> Self {
        Self { key, may: &[Kind::Root], own: None }
    }

    /// Whether it may sign this: a certificate of its kinds or a list, each of its own (K-3).
    fn judge(&self, message: &[u8]) -> Result<(), recognise::Foreign> {
        match (recognise::kind(message), &self.own) {
            (Ok(kind), own) if self.may.contains(&kind) => match own {
                Some((name, _)) if recognise::issuer(message).as_ref() != Some(name) => Err(recognise::Foreign("another issuer's")),
                _ => Ok(()),
            },
            (Err(_), Some((name, ski))) => recognise::list(message, name, ski),
            (Err(why), None) => Err(why),
            (Ok(_), _) => Err(recognise::Foreign("a kind that this authority does not sign")),
        }
    }
}

impl PublicKeyData for GuardedKey {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }
    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.key.algorithm()
    }
}

impl SigningKey for GuardedKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        if let Err(why) = self.judge(message) {
            tracing::error!(%why, "an authority's key was asked to sign what it may not");
            // Not what a token says that can't sign now: asking again would not help.
            return Err(rcgen::Error::X509(why.to_string()));
        }
        self.key.sign(message)
    }
}

/// What an authority of this kind may sign.
const fn issues(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::Root => &[Kind::Cross, Kind::DeviceAuthority, Kind::ServerAuthority, Kind::ClaimAuthority],
        Kind::DeviceAuthority => &[Kind::Device, Kind::OcspSigner],
        Kind::ServerAuthority => &[Kind::Server, Kind::OcspSigner],
        Kind::ClaimAuthority => &[Kind::Claim, Kind::OcspSigner],
        Kind::Cross | Kind::Server | Kind::Device | Kind::Claim | Kind::OcspSigner => &[],
    }
}

/// The authority's key, ready to sign in its name.
pub(super) fn guarded(der: &CertificateDer<'static>, kind: Kind, key: Held) -> Result<Issuer<'static, GuardedKey>, Error> {
    let (name, ski, _) = recognise::authority(der).ok_or_else(|| Error::Build("an authority's certificate can't be read".to_owned()))?;
    Ok(Issuer::from_ca_cert_der(der, GuardedKey { key, may: issues(kind), own: Some((name, ski)) })?)
}

/// What a key of ours signs with.
pub(super) fn algorithm(key: RootKey) -> &'static rcgen::SignatureAlgorithm {
    match key {
        RootKey::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        RootKey::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
    }
}

/// Which one a key of ours is, by its public half: the point, uncompressed.
pub(super) const fn which(public: &[u8]) -> RootKey {
    const P384_POINT: usize = 97;
    if public.len() == P384_POINT { RootKey::P384 } else { RootKey::P256 }
}

/// What verifies what a key of ours signs.
pub(super) fn verifier(key: RootKey) -> &'static dyn VerificationAlgorithm {
    match key {
        RootKey::P256 => &ECDSA_P256_SHA256_ASN1,
        RootKey::P384 => &ECDSA_P384_SHA384_ASN1,
    }
}

/// Signs with the key and verifies with the certificate.
pub(super) fn belongs(key: &impl SigningKey, certificate: &CertificateDer<'_>) -> Result<(), ()> {
    const MESSAGE: &[u8] = b"fleetward key self-test";
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).map_err(|_| ())?;
    let signature = key.sign(MESSAGE).map_err(|_| ())?;
    let public = &parsed.public_key().subject_public_key.data;
    UnparsedPublicKey::new(verifier(which(public)), public).verify(MESSAGE, &signature).map_err(|_| ())
}

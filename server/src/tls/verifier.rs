//! The check of a client certificate inside the handshake: chain, signature, times and purpose by webpki over the live anchors, then our own
//! state (H-3). Memory only. Refuses to use CRLs: one list in the verifier would fail every authority without one.

use super::{
    ends::Ends,
    reason::{self, Reason},
    witness::{self, Seen},
};
use arc_swap::ArcSwapOption;
use fleet::pki::{Refusal, RegisteredAnchor, TrustHandle, registered};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;

/// Leaf sizes and chain lengths above these are no device's (H-3).
const MAX_LEAF: usize = 8 * 1024;
const MAX_INTERMEDIATES: usize = 3;

/// Signatures a device may make: the key types of P-1 and nothing else that the crypto library knows.
const SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The chain check over one version of the anchors.
struct Chains {
    version: u64,
    /// Over our own authorities; none when none of them is believed. Registered ones stand beside them, whatever becomes of ours (E-10).
    ours: Option<Arc<dyn ClientCertVerifier>>,
    registered: Ends,
}

impl Chains {
    /// Whether a chain ends in one of our own authorities.
    fn end_in_ours(&self, leaf: &CertificateDer<'_>, between: &[CertificateDer<'_>], now: UnixTime) -> Result<ClientCertVerified, Error> {
        match &self.ours {
            Some(webpki) => webpki.verify_client_cert(leaf, between, now),
            None => Err(reason::of_nobody(leaf, now)),
        }
    }
}

/// Follows the anchors without a restart of the listener.
pub(super) struct DeviceVerifier {
    trust: TrustHandle,
    provider: Arc<CryptoProvider>,
    mandatory: bool,
    /// The word for it in the books.
    listener: &'static str,
    chains: ArcSwapOption<Chains>,
}

impl std::fmt::Debug for DeviceVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceVerifier").field("mandatory", &self.mandatory).finish_non_exhaustive()
    }
}

impl DeviceVerifier {
    pub fn new(trust: TrustHandle, provider: Arc<CryptoProvider>, mandatory: bool) -> Self {
        let listener = if mandatory { "device" } else { "enrol" };
        Self { trust, provider, mandatory, listener, chains: ArcSwapOption::empty() }
    }

    /// The same of another listener.
    #[must_use]
    pub fn named(self, listener: &'static str) -> Self {
        Self { listener, ..self }
    }

    /// webpki's verifiers over the anchors as they are now.
    fn chains(&self) -> Result<Arc<Chains>, Error> {
        let anchors = self.trust.device_anchors();
        if let Some(chains) = self.chains.load().as_ref()
            && chains.version == anchors.version
        {
            return Ok(Arc::clone(chains));
        }
        let mut roots = RootCertStore::empty();
        // On the device listener a claim's chain ends nowhere.
        let claims = anchors.claims.iter().filter(|_| !self.mandatory);
        for certificate in anchors.certificates.iter().chain(claims) {
            roots.add(certificate.clone())?;
        }
        // webpki makes no verifier over nothing.
        let ours = if roots.is_empty() {
            tracing::warn!(listener = self.listener, "no authority of ours is believed; only devices of registered ones are let in");
            None
        } else {
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
            let built = builder.build().map_err(|error| {
                tracing::error!(%error, "no authority to check devices with");
                Error::InvalidCertificate(CertificateError::UnknownIssuer)
            })?;
            Some(built)
        };
        let registered = Ends::of(&anchors.registered, &self.provider);
        let chains = Arc::new(Chains { version: anchors.version, ours, registered });
        self.chains.store(Some(Arc::clone(&chains)));
        Ok(chains)
    }

    /// An authority's certificate in a device's place is refused before anybody asks who signed it. By one that is believed here it is good for something
    /// else, by anybody else it is a stranger's like any other.
    fn placed(&self, leaf: &CertificateDer<'_>, error: Error) -> Error {
        if !reason::is_an_authority(&error) {
            return error;
        }
        let anchors = self.trust.device_anchors();
        let theirs = anchors.registered.iter().map(|anchor| &anchor.certificate);
        let mut believed = anchors.certificates.iter().chain(&anchors.claims).chain(theirs);
        let known = believed.any(|anchor| anchor.as_ref() == leaf.as_ref() || registered::has_signed(leaf, anchor));
        let why = if known { CertificateError::InvalidPurpose } else { CertificateError::UnknownIssuer };
        why.into()
    }

    /// What a registered authority's device may do: prove its key, also when nobody knows it yet. Then it is asked again.
    fn of_registered(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        anchor: &Arc<RegisteredAnchor>,
    ) -> Result<(), Refusal> {
        // What its owner has revoked above the device lets nobody in either.
        if between.iter().any(|certificate| anchor.lists(certificate)) {
            return Err(Refusal::Revoked);
        }
        match self.trust.check_registered(leaf, anchor) {
            Ok(_) | Err(Refusal::Arriving) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// The end of the check: the chain is in order, and our own state has said whether it may be used now.
    fn decided(
        &self,
        leaf: &CertificateDer<'_>,
        verified: ClientCertVerified,
        allowed: Result<(), Refusal>,
    ) -> Result<ClientCertVerified, Error> {
        allowed.map(|()| verified).map_err(|refusal| {
            tracing::debug!(listener = self.listener, %refusal, "certificate refused");
            self.refuse(leaf, Reason::of_refusal(refusal), alert(refusal).into())
        })
    }

    /// Says to the handshake's own task why it fails.
    fn refuse(&self, leaf: &CertificateDer<'_>, reason: Reason, error: Error) -> Error {
        witness::note(Seen { reason, leaf: leaf.to_vec(), listener: self.listener, unfit: None });
        error
    }

    /// The same of a chain that ends nowhere. Where a registered authority's key has signed it all the same, its owner has something to mend.
    fn ends_nowhere(&self, chains: &Chains, leaf: &CertificateDer<'_>, between: &[CertificateDer<'_>], error: Error) -> Error {
        let unfit = reason::for_owner(&error).and_then(|why| Some((chains.registered.behind(leaf, between)?, why)));
        let error = self.placed(leaf, error);
        witness::note(Seen { reason: Reason::of_chain(&error), leaf: leaf.to_vec(), listener: self.listener, unfit });
        error
    }

    /// A signature that does not fit the certificate: it was shown by somebody who has no key for it.
    fn proved(&self, leaf: &CertificateDer<'_>, checked: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
        checked.map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::BadSignature) => self.refuse(leaf, Reason::KeyNotProved, error),
            other => other,
        })
    }

    fn advertised(dss: &DigitallySignedStruct) -> Result<(), Error> {
        if SCHEMES.contains(&dss.scheme) { Ok(()) } else { Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()) }
    }
}

/// The alert that tells the device what to do (H-3).
fn alert(refusal: Refusal) -> CertificateError {
    match refusal {
        Refusal::Revoked | Refusal::Superseded => CertificateError::Revoked,
        Refusal::Expired => CertificateError::Expired,
        Refusal::NotYetValid => CertificateError::NotValidYet,
        Refusal::Authority => CertificateError::UnknownIssuer,
        // access_denied: the certificate is in order, the device is not let in.
        Refusal::Unknown
        | Refusal::NotYetKnown
        | Refusal::DeviceInactive
        | Refusal::Arriving
        | Refusal::TurnedAway
        | Refusal::Names
        | Refusal::ListEnded
        | Refusal::ListAwaited
        | Refusal::Stale => CertificateError::ApplicationVerificationFailure,
    }
}

impl ClientCertVerifier for DeviceVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: the anchors change while we run, and their names are nobody's business before the handshake. Clients then send what they have.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if leaf.len() > MAX_LEAF || intermediates.len() > MAX_INTERMEDIATES {
            // Not kept: nobody knows how large it is.
            let nothing = CertificateDer::from_slice(&[]);
            return Err(self.refuse(&nothing, Reason::Malformed, CertificateError::BadEncoding.into()));
        }
        let chains = self.chains()?;
        // What is shown on the enrol listener may be a claim's, and comes once.
        if self.mandatory
            && let Some(allowed) = self.trust.anchored(leaf, chains.version)
        {
            return self.decided(leaf, ClientCertVerified::assertion(), allowed);
        }
        let (verified, allowed) = match chains.end_in_ours(leaf, intermediates, now) {
            Ok(verified) => {
                let allowed = if self.mandatory {
                    self.trust.check_at(leaf, chains.version)
                } else {
                    self.trust.claim(leaf).map_or_else(|| self.trust.check(leaf).map(drop), |claim| claim.map(drop))
                };
                (verified, allowed)
            }
            Err(error) => {
                let Some((anchor, verified)) = chains.registered.find(leaf, intermediates, now, || self.trust.issuer(leaf)) else {
                    return Err(self.ends_nowhere(&chains, leaf, intermediates, error));
                };
                (verified, self.of_registered(leaf, intermediates, &anchor))
            }
        };
        self.decided(leaf, verified, allowed)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::advertised(dss)?;
        let checked = rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms);
        self.proved(cert, checked)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::advertised(dss)?;
        let checked = rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms);
        self.proved(cert, checked)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

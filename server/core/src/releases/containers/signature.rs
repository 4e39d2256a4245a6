//! Pure: signatures inside images, held against the keys that an organization knows for them (U-5): whether one fits what it signs, and by whom it is. What
//! the device asks for beside that (purposes, ends, lists of revoked certificates) is for its updater; so is what the signed text says of the payloads.

use super::cms::{Hash, Scheme, SignedData, Signer, Whose, fits};
use crate::text::spaced;
use wire::{
    Timestamp,
    releases::{ImageKeyKind, ImageSignature, ImageSignatureKind, ImageSignatureState},
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::ParsedExtension,
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519},
    prelude::FromDer as _,
    x509::SubjectPublicKeyInfo,
};

/// Most authorities between who signs and what is known.
const MOST_LINKS: usize = 4;
/// Most characters of a name that others gave themselves.
const LONGEST: usize = 200;
/// Bytes of two numbers of P-256.
const FIXED: usize = 64;

/// A signature inside an image, with what it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::releases) struct Signed {
    /// How it is made.
    pub kind: ImageSignatureKind,
    /// Its bytes.
    pub signature: Vec<u8>,
    /// What is signed; none where that is not at hand, or where the signature holds it.
    pub content: Option<Vec<u8>>,
}

/// An image key that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::releases) struct Known {
    /// What people call it.
    pub name: String,
    /// What its bytes are.
    pub kind: ImageKeyKind,
    /// DER: of the certificate, or of the `SubjectPublicKeyInfo`.
    pub der: Vec<u8>,
}

/// What is told of a key that is to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::releases) struct About {
    /// What it is.
    pub kind: ImageKeyKind,
    /// The certificate's subject, or the algorithm of the key.
    pub text: String,
    /// When the certificate ends.
    pub not_after: Option<Timestamp>,
}

/// A certificate beside its bytes.
struct Held<'a> {
    der: &'a [u8],
    parsed: X509Certificate<'a>,
}

impl<'a> Held<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        rest.is_empty().then_some(Self { der, parsed })
    }

    /// Whether it is the one that somebody who has signed names.
    fn is(&self, whose: &Whose) -> bool {
        match whose {
            Whose::Serial { issuer, number } => {
                self.parsed.issuer().as_raw() == issuer.as_slice() && self.parsed.raw_serial() == number.as_slice()
            }
            Whose::Key(id) => self.parsed.extensions().iter().any(|e| match e.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(own) => own.0 == id.as_slice(),
                _ => false,
            }),
        }
    }

    /// Whether it is signed by this authority.
    fn is_below(&self, authority: &Self) -> bool {
        authority.parsed.is_ca()
            && self.parsed.issuer().as_raw() == authority.parsed.subject().as_raw()
            && self.parsed.verify_signature(Some(authority.parsed.public_key())).is_ok()
    }

    fn subject(&self) -> String {
        spaced(&self.parsed.subject().to_string(), LONGEST)
    }

    fn ends(&self) -> Timestamp {
        Timestamp(self.parsed.validity().not_after.timestamp().saturating_mul(1000))
    }
}

/// The known keys, read. What can't be read was never let in.
struct Knowing<'a> {
    certificates: Vec<(&'a str, Held<'a>)>,
    keys: Vec<(&'a str, SubjectPublicKeyInfo<'a>)>,
}

impl<'a> Knowing<'a> {
    fn of(known: &'a [Known]) -> Self {
        let of_kind = |kind: ImageKeyKind| known.iter().filter(move |k| k.kind == kind);
        let certificates = of_kind(ImageKeyKind::Certificate).filter_map(|k| Some((k.name.as_str(), Held::read(&k.der)?))).collect();
        let keys =
            of_kind(ImageKeyKind::Key).filter_map(|k| Some((k.name.as_str(), SubjectPublicKeyInfo::from_der(&k.der).ok()?.1))).collect();
        Self { certificates, keys }
    }

    fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.keys.is_empty()
    }

    /// The known key by which a certificate is trusted: its own, or an authority's above it.
    fn trusts(&self, leaf: &Held<'_>, chain: &[Held<'_>]) -> Option<&'a str> {
        if let Some((name, _)) = self.keys.iter().find(|(_, key)| key.raw == leaf.parsed.public_key().raw) {
            return Some(*name);
        }
        let mut at = leaf;
        for _ in 0..=MOST_LINKS {
            if let Some((name, _)) = self.certificates.iter().find(|(_, known)| known.der == at.der || at.is_below(known)) {
                return Some(*name);
            }
            at = chain.iter().find(|above| above.der != at.der && at.is_below(above))?;
        }
        None
    }
}

/// How the signature stands to these keys.
pub(in crate::releases) fn judge(found: &Signed, known: &[Known]) -> ImageSignature {
    let knowing = Knowing::of(known);
    match found.kind {
        ImageSignatureKind::Cms => of_cms(found, &knowing),
        ImageSignatureKind::Raw => of_raw(found, &knowing),
        ImageSignatureKind::Pgp => told(ImageSignatureKind::Pgp, ImageSignatureState::Unchecked, "a signature of OpenPGP is not read here"),
    }
}

fn told(kind: ImageSignatureKind, state: ImageSignatureState, why: &str) -> ImageSignature {
    ImageSignature { kind, state, by: Vec::new(), keys: Vec::new(), why: why.to_owned(), until: None }
}

/// Every one of those who have signed has to be trusted, as the updaters ask for.
fn of_cms(found: &Signed, knowing: &Knowing<'_>) -> ImageSignature {
    let unread = told(ImageSignatureKind::Cms, ImageSignatureState::Unchecked, "it can't be read");
    let Some(signed) = SignedData::read(&found.signature) else { return unread };
    let chain: Vec<Held<'_>> = signed.certificates.iter().filter_map(|der| Held::read(der)).collect();
    if signed.signers.is_empty() {
        return told(ImageSignatureKind::Cms, ImageSignatureState::UnknownSigner, "nobody has signed it");
    }
    let mut signature = told(ImageSignatureKind::Cms, ImageSignatureState::Trusted, "");
    // What stands beside counts: who puts something else into the signature has signed that.
    let content = found.content.as_deref().or(signed.content.as_deref());
    for signer in &signed.signers {
        let (state, why) = judged(&signed, signer, content, &chain, knowing, &mut signature);
        if worse(state, signature.state) {
            (signature.state, signature.why) = (state, why.to_owned());
        }
    }
    if signature.state != ImageSignatureState::Trusted {
        signature.keys.clear();
    }
    signature
}

/// Of several the one that is told: what is wrong before what is unknown before what can't be checked.
const fn worse(one: ImageSignatureState, than: ImageSignatureState) -> bool {
    const fn rank(state: ImageSignatureState) -> u8 {
        match state {
            ImageSignatureState::Trusted => 0,
            ImageSignatureState::Unchecked => 1,
            ImageSignatureState::UnknownSigner => 2,
            ImageSignatureState::Invalid => 3,
        }
    }
    rank(one) > rank(than)
}

fn judged(
    signed: &SignedData,
    signer: &Signer,
    content: Option<&[u8]>,
    chain: &[Held<'_>],
    knowing: &Knowing<'_>,
    signature: &mut ImageSignature,
) -> (ImageSignatureState, &'static str) {
    let here = knowing.certificates.iter().map(|(_, known)| known);
    let Some(certificate) = chain.iter().chain(here).find(|held| held.is(&signer.whose)) else {
        return (ImageSignatureState::UnknownSigner, "the certificate of who signed it is neither in it nor known here");
    };
    signature.by.push(certificate.subject());
    signature.until = Some(signature.until.map_or(certificate.ends(), |until| until.min(certificate.ends())));
    let Some(content) = content else {
        return (ImageSignatureState::Unchecked, "it signs the whole file, which is not read for it here");
    };
    match signed.is_by(signer, certificate.parsed.public_key(), content) {
        None => (ImageSignatureState::Unchecked, "it is made by an algorithm that is not read here"),
        Some(false) => (ImageSignatureState::Invalid, "it does not fit what it signs: something was changed after it was made"),
        Some(true) => match knowing.trusts(certificate, chain) {
            Some(name) => {
                signature.keys.push(name.to_owned());
                (ImageSignatureState::Trusted, "")
            }
            None if knowing.is_empty() => (ImageSignatureState::UnknownSigner, "no image key is known here"),
            None => (ImageSignatureState::UnknownSigner, "whoever made it is vouched for by none of the image keys that are known here"),
        },
    }
}

/// A signature that names nobody is tried with every known key.
fn of_raw(found: &Signed, knowing: &Knowing<'_>) -> ImageSignature {
    let Some(content) = &found.content else {
        return told(ImageSignatureKind::Raw, ImageSignatureState::Unchecked, "what it signs is not at hand here");
    };
    let made = |key: &SubjectPublicKeyInfo<'_>| {
        let ecdsa = if found.signature.len() == FIXED { Scheme::EcdsaFixed } else { Scheme::Ecdsa };
        let all = [Scheme::Pkcs1, Scheme::Pss, ecdsa, Scheme::Ed25519];
        all.into_iter().any(|scheme| fits(key, (scheme, Hash::Sha256), content, &found.signature) == Some(true))
    };
    let certificate = knowing.certificates.iter().find(|(_, known)| made(known.parsed.public_key()));
    let key = knowing.keys.iter().find(|(_, key)| made(key));
    let name = certificate.map(|(name, _)| *name).or(key.map(|(name, _)| *name));
    match name {
        Some(name) => ImageSignature {
            by: certificate.map(|(_, known)| known.subject()).into_iter().collect(),
            keys: vec![name.to_owned()],
            until: certificate.map(|(_, known)| known.ends()),
            ..told(ImageSignatureKind::Raw, ImageSignatureState::Trusted, "")
        },
        None if knowing.is_empty() => told(ImageSignatureKind::Raw, ImageSignatureState::UnknownSigner, "no image key is known here"),
        None => told(ImageSignatureKind::Raw, ImageSignatureState::UnknownSigner, "it is by none of the image keys that are known here"),
    }
}

/// What a certificate or a public key says of itself, DER; none when it is neither, or of a type that signs no images here.
pub(in crate::releases) fn about(der: &[u8]) -> Option<About> {
    if let Some(held) = Held::read(der) {
        algorithm(held.parsed.public_key())?;
        return Some(About { kind: ImageKeyKind::Certificate, text: held.subject(), not_after: Some(held.ends()) });
    }
    let (rest, key) = SubjectPublicKeyInfo::from_der(der).ok()?;
    let text = algorithm(&key).filter(|_| rest.is_empty())?;
    Some(About { kind: ImageKeyKind::Key, text: text.to_owned(), not_after: None })
}

fn algorithm(key: &SubjectPublicKeyInfo<'_>) -> Option<&'static str> {
    let kind = &key.algorithm.algorithm;
    if *kind == OID_PKCS1_RSAENCRYPTION {
        return Some("RSA");
    }
    if *kind == OID_SIG_ED25519 {
        return Some("Ed25519");
    }
    let curve = key.algorithm.parameters.as_ref().filter(|_| *kind == OID_KEY_TYPE_EC_PUBLIC_KEY)?.as_oid().ok()?;
    if curve == OID_EC_P256 { Some("P-256") } else { (curve == OID_NIST_EC_P384).then_some("P-384") }
}

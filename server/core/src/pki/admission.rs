//! Pure: what a certificate must be that was signed elsewhere before it counts as an authority here (P-1 … P-9). Refuses to know
//! whose key it is and what is there already.

use super::{
    csr::{self, CsrError},
    decode, der,
    profile::{self, Kind},
};
use rustls_pki_types::CertificateDer;
use wire::Timestamp;
use x509_parser::{
    asn1_rs::Tag,
    certificate::X509Certificate,
    extensions::ParsedExtension,
    oid_registry::{
        OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ED25519,
    },
    prelude::FromDer as _,
    x509::X509Version,
};

// keyUsage's BIT STRING read from its first bit (RFC 5280 §4.2.1.3).
const CERTIFIES: u16 = (1 << 5) | (1 << 6);

/// The shortest life that an issuing authority may have left: its leaves live 90 days.
const SHORTEST: i64 = 90 * 24 * profile::HOUR;
/// A certificate may be this far ahead of our clock.
const AHEAD: i64 = 5 * 60_000;

/// Which rule a certificate breaks, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub String);

fn unfit<T>(text: impl Into<String>) -> Result<T, Unfit> {
    Err(Unfit(text.into()))
}

/// A certificate that was read and is strictly encoded.
pub struct Read<'a> {
    pub der: &'a CertificateDer<'static>,
    pub parsed: X509Certificate<'a>,
    /// Subject key identifier.
    pub ski: Vec<u8>,
    /// Its subject in one line, with what is not seen escaped.
    pub subject: String,
}

impl<'a> Read<'a> {
    /// Reads one; refuses what no authority's certificate can be.
    pub fn of(der: &'a CertificateDer<'static>) -> Result<Self, Unfit> {
        der::strict(der).map_err(|e| Unfit(format!("A certificate is malformed: {e}.")))?;
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| Unfit("A certificate can't be read.".to_owned()))?;
        let subject = decode::escaped(&parsed.subject().to_string());
        if parsed.version() != X509Version::V3 {
            return unfit(format!("{subject} is not a certificate of version 3."));
        }
        let ski = parsed.extensions().iter().find_map(|e| match e.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let Some(ski) = ski else { return unfit(format!("{subject} has no subject key identifier (P-9).")) };
        Ok(Self { der, parsed, ski, subject })
    }

    pub fn since(&self) -> Timestamp {
        Timestamp(self.parsed.validity().not_before.timestamp().saturating_mul(1000))
    }

    pub fn until(&self) -> Timestamp {
        Timestamp(self.parsed.validity().not_after.timestamp().saturating_mul(1000))
    }

    /// Whether this is the certificate of a root.
    pub fn signs_itself(&self) -> bool {
        self.parsed.subject().as_raw() == self.parsed.issuer().as_raw()
    }

    /// The serial number, as it is encoded.
    pub fn serial(&self) -> &[u8] {
        self.parsed.raw_serial()
    }

    /// How lists name the algorithm of its key.
    pub fn key_alg(&self) -> Result<String, Unfit> {
        csr::key(self.parsed.public_key()).map(|alg| alg.to_string()).map_err(|e: CsrError| Unfit(format!("{}: {e} (P-1).", self.subject)))
    }

    /// Whether the key of `by` has signed it, with an algorithm of today (P-1).
    pub fn signed_by(&self, by: &Read<'_>) -> bool {
        let algorithm = &self.parsed.signature_algorithm.algorithm;
        let today = [
            OID_SIG_ECDSA_WITH_SHA256,
            OID_SIG_ECDSA_WITH_SHA384,
            OID_SIG_ED25519,
            OID_PKCS1_SHA256WITHRSA,
            OID_PKCS1_SHA384WITHRSA,
            OID_PKCS1_SHA512WITHRSA,
        ];
        self.parsed.issuer().as_raw() == by.parsed.subject().as_raw()
            && today.contains(algorithm)
            && self.parsed.verify_signature(Some(by.parsed.public_key())).is_ok()
    }

    /// What every authority's certificate must have, whoever signed it.
    fn authority(&self) -> Result<(), Unfit> {
        let s = &self.subject;
        if self.parsed.subject().as_raw().len() <= 2 {
            return unfit("An authority's certificate has no subject (P-7).");
        }
        if !matches!(self.serial(), [first, ..] if self.serial().len() <= 20 && first & 0x80 == 0) {
            return unfit(format!("{s} has a serial number that is negative or longer than 20 octets (P-2)."));
        }
        let constraints = self.parsed.basic_constraints().ok().flatten().filter(|c| c.critical && c.value.ca);
        if constraints.is_none() {
            return unfit(format!("{s} has no critical basicConstraints with CA:TRUE."));
        }
        if self.usage() & CERTIFIES != CERTIFIES {
            return unfit(format!("{s} must have keyUsage with keyCertSign and cRLSign."));
        }
        for e in self.parsed.extensions() {
            match e.parsed_extension() {
                ParsedExtension::NameConstraints(_) | ParsedExtension::PolicyConstraints(_) | ParsedExtension::PolicyMappings(_) => {
                    return unfit(format!("{s} has name or policy constraints, which devices' TLS does not follow (P-8)."));
                }
                ParsedExtension::BasicConstraints(_) | ParsedExtension::KeyUsage(_) | ParsedExtension::ExtendedKeyUsage(_) => {}
                _ if e.critical => return unfit(format!("{s} has a critical extension that is not known here: {}.", e.oid)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Bits of keyUsage; none without the extension.
    fn usage(&self) -> u16 {
        self.parsed.key_usage().ok().flatten().map_or(0, |u| u.value.flags)
    }

    fn path(&self) -> Option<u32> {
        self.parsed.basic_constraints().ok().flatten().and_then(|c| c.value.path_len_constraint)
    }

    /// Whether the builder of certificates writes the subject as an issuer's name to the byte.
    fn repeatable(&self) -> bool {
        let mut seen = Vec::new();
        self.parsed.subject().iter_rdn().all(|rdn| {
            let mut parts = rdn.iter();
            let (Some(part), None) = (parts.next(), parts.next()) else { return false };
            let new = !seen.contains(part.attr_type());
            seen.push(part.attr_type().clone());
            new && matches!(part.attr_value().tag(), Tag::Utf8String | Tag::PrintableString)
        })
    }

    fn dates(&self, now: Timestamp) -> Result<(), Unfit> {
        let s = &self.subject;
        if self.since().0 > now.0 + AHEAD {
            return unfit(format!("{s} is valid from {} only; is the clock where it was signed right?", self.since()));
        }
        if self.until() <= now {
            return unfit(format!("{s} ended {}.", self.until()));
        }
        Ok(())
    }

    /// Whether it may be a root here.
    pub fn root(&self, now: Timestamp) -> Result<(), Unfit> {
        let s = &self.subject;
        if !self.signs_itself() || !self.signed_by(self) {
            return unfit(format!("{s} has not signed itself: bring the root's certificate, and sign requests with the root directly."));
        }
        self.authority()?;
        self.key_alg()?;
        if self.path() == Some(0) {
            return unfit(format!("{s} has pathlen:0, so no authority for devices can stand below it."));
        }
        if self.parsed.extended_key_usage().ok().flatten().is_some() {
            return unfit(format!("{s} has an extended key usage; a root signs authorities for devices and servers alike (P-8)."));
        }
        self.dates(now)
    }

    /// Whether it may issue for this use under that root.
    pub fn issuing(&self, kind: Kind, root: &Read<'_>, now: Timestamp) -> Result<(), Unfit> {
        let s = &self.subject;
        self.authority()?;
        if self.path() != Some(0) {
            return unfit(format!("{s} must have pathlen:0 in its basicConstraints."));
        }
        if self.usage() != CERTIFIES {
            return unfit(format!("{s} must have keyUsage with keyCertSign and cRLSign, and nothing else."));
        }
        let purposes = self.parsed.extended_key_usage().ok().flatten().map(|e| e.value);
        let exact = purposes.is_some_and(|p| {
            let more = p.any || p.code_signing || p.email_protection || p.time_stamping || !p.other.is_empty();
            p.ocsp_signing && !more && p.server_auth == (kind == Kind::ServerAuthority) && p.client_auth == (kind != Kind::ServerAuthority)
        });
        if !exact {
            let wanted = if kind == Kind::ServerAuthority { "serverAuth" } else { "clientAuth" };
            return unfit(format!("{s} must have extendedKeyUsage with {wanted} and OCSPSigning, and nothing else (P-8)."));
        }
        if !self.parsed.subject_alternative_name().is_ok_and(|names| names.is_none()) {
            return unfit(format!("{s} has alternative names, which no authority of the profile has."));
        }
        if self.parsed.subject().as_raw() == root.parsed.subject().as_raw() {
            return unfit(format!("{s} is also the name of its root; every key needs a name of its own (P-7)."));
        }
        if !self.repeatable() {
            return unfit(format!(
                "{s} has a subject that can't be written into certificates below it: use each kind of part once, as UTF8String or PrintableString (P-9)."
            ));
        }
        self.under(root)?;
        self.dates(now)?;
        let life = self.until().since(self.since());
        if life > kind.longest() + profile::BACKDATE {
            let most = if kind == Kind::DeviceAuthority { "fifteen" } else { "five" };
            return unfit(format!("{s} is valid for more than {most} years (profile of issuing authorities)."));
        }
        if self.until().since(now) < SHORTEST {
            return unfit(format!("{s} ends within 90 days, which is as long as its certificates live (P-6)."));
        }
        Ok(())
    }

    /// Whether it may be a certificate of one root for another's key: the same name, key and key identifier.
    pub fn cross(&self, subject: &Read<'_>, issuer: &Read<'_>, now: Timestamp) -> Result<(), Unfit> {
        let s = &self.subject;
        let same = self.parsed.subject().as_raw() == subject.parsed.subject().as_raw()
            && self.parsed.public_key().raw == subject.parsed.public_key().raw
            && self.ski == subject.ski;
        if !same {
            return unfit(format!("{s} does not name the root whose key it has, to the byte (P-9)."));
        }
        self.authority()?;
        if self.path() == Some(0) {
            return unfit(format!("{s} has pathlen:0, so no authority for devices can stand below it."));
        }
        if self.parsed.extended_key_usage().ok().flatten().is_some() {
            return unfit(format!("{s} has an extended key usage; a root signs authorities for devices and servers alike (P-8)."));
        }
        self.under(issuer)?;
        self.dates(now)
    }

    /// What a certificate below another must have (P-6, P-9).
    fn under(&self, by: &Read<'_>) -> Result<(), Unfit> {
        let s = &self.subject;
        let aki = self.parsed.extensions().iter().find_map(|e| match e.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|k| k.0.to_vec()),
            _ => None,
        });
        if aki.as_ref() != Some(&by.ski) {
            return unfit(format!("{s} must have an authority key identifier that is the subject key identifier of {} (P-9).", by.subject));
        }
        if self.until() > by.until() {
            return unfit(format!("{s} ends after {}, which has signed it (P-6).", by.subject));
        }
        Ok(())
    }
}

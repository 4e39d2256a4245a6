//! Pure: what every certificate we sign looks like (P-1…P-10). Refuses to take anything but a key and names to compare from
//! a request: no extension is ever copied (P-5).

use super::der;
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};
use std::net::IpAddr;
use wire::{
    Timestamp,
    ids::{ClaimId, DeviceId},
};

/// Stored with every certificate; raised when this file changes what it makes (P-12).
pub const VERSION: i64 = 1;

pub(super) const HOUR: i64 = 3_600_000;
pub(super) const DAY: i64 = 24 * HOUR;

/// A device whose clock is this far behind still accepts a fresh certificate (P-6).
pub const BACKDATE: i64 = HOUR;
/// The shortest life a leaf may have left in the second in which it is issued (P-6).
pub const SHORTEST: i64 = HOUR;

/// The longest life of a device's certificate that is renewed in the field, in milliseconds (table (a)).
pub const RENEWED: i64 = 825 * DAY;
/// The longest life of one that is given once, where the device is made: of a factory profile (table (a)).
pub const FACTORY: i64 = 3650 * DAY;

/// The kinds of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Self-signed, signs the issuing authorities.
    Root,
    /// A root's key, certified by another root.
    Cross,
    /// Signs device leaves; an anchor of the device listeners.
    DeviceAuthority,
    /// Signs the listeners' leaves; never an anchor for clients (P-8).
    ServerAuthority,
    /// Signs claims; an anchor of the enrol listener alone (E-9).
    ClaimAuthority,
    /// A shared certificate by which devices ask for their own (E-9).
    Claim,
    /// A listener.
    Server,
    /// A device.
    Device,
    /// An authority's OCSP responder (RFC 6960 §4.2.2.2; R-8).
    OcspSigner,
}

/// The OCSP responder's certificate is not itself asked about: id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1), whose value is NULL.
pub const NO_CHECK: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];

impl Kind {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Cross => "cross",
            // An authority is named after what it issues; certificates and authorities are different tables.
            Self::DeviceAuthority | Self::Device => "device",
            Self::ServerAuthority | Self::Server => "server",
            Self::ClaimAuthority | Self::Claim => "claim",
            Self::OcspSigner => "ocsp",
        }
    }

    /// Life in milliseconds, before it is cut to the issuer's.
    pub const fn life(self) -> i64 {
        match self {
            Self::Root | Self::Cross => 20 * 365 * DAY + 5 * DAY,
            Self::DeviceAuthority | Self::ServerAuthority | Self::ClaimAuthority => 5 * 365 * DAY + DAY,
            Self::Server | Self::Device => 90 * DAY,
            Self::Claim => 365 * DAY,
            Self::OcspSigner => 7 * DAY,
        }
    }

    /// The longest life in milliseconds that one may have (P-6, table (a)).
    pub const fn longest(self) -> i64 {
        match self {
            Self::Device => FACTORY,
            // As long as it issues otherwise, and as long again as what it issues last.
            Self::DeviceAuthority => self.life() + FACTORY,
            _ => self.life(),
        }
    }

    /// Whether certificates of this kind sign others.
    pub const fn is_authority(self) -> bool {
        matches!(self, Self::Root | Self::Cross | Self::DeviceAuthority | Self::ServerAuthority | Self::ClaimAuthority)
    }

    /// The extended key usages: what the certificate is good for (P-8).
    pub fn usages(self) -> Vec<ExtendedKeyUsagePurpose> {
        use ExtendedKeyUsagePurpose::{ClientAuth, OcspSigning, ServerAuth};
        match self {
            Self::Root | Self::Cross => vec![],
            // Of a claim: TLS needs clientAuth, and what it is good for says the usage of its own beside it, in [`parameters`].
            Self::DeviceAuthority | Self::ClaimAuthority => vec![ClientAuth, OcspSigning],
            Self::ServerAuthority => vec![ServerAuth, OcspSigning],
            Self::Server => vec![ServerAuth],
            Self::Device | Self::Claim => vec![ClientAuth],
            Self::OcspSigner => vec![OcspSigning],
        }
    }
}

/// From when to when, whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First instant.
    pub from: Timestamp,
    /// Last instant.
    pub until: Timestamp,
}

/// Down to the whole second, which is all that X.509 can say.
pub(super) const fn second(t: Timestamp) -> Timestamp {
    Timestamp(t.0.div_euclid(1000) * 1000)
}

/// The same as the builder wants it.
pub(super) fn instant(t: Timestamp) -> Result<time::OffsetDateTime, rcgen::Error> {
    time::OffsetDateTime::from_unix_timestamp(t.0.div_euclid(1000)).map_err(|_| rcgen::Error::Time)
}

/// The validity of a certificate made now under an issuer that ends then; none when less than [`SHORTEST`] would remain (P-6).
pub fn validity(kind: Kind, now: Timestamp, issuer_ends: Option<Timestamp>) -> Option<Validity> {
    validity_for(kind.life(), now, issuer_ends)
}

/// The same of a certificate that would hold for so many milliseconds.
pub fn validity_for(life: i64, now: Timestamp, issuer_ends: Option<Timestamp>) -> Option<Validity> {
    let until = issuer_ends.map_or(now.plus(life), |end| now.plus(life).min(end));
    let (from, until) = (second(now.plus(-BACKDATE)), second(until));
    // In whole seconds on both sides: a life of just [`SHORTEST`] is cut by the milliseconds of now otherwise.
    (until.since(second(now)) >= SHORTEST).then_some(Validity { from, until })
}

/// Twenty octets of the generator made into a serial number: positive, constant length, 158 random bits (P-2, RFC 5280 §4.1.2.2).
pub const fn serial(mut random: [u8; 20]) -> [u8; 20] {
    random[0] = (random[0] & 0x3f) | 0x40;
    random
}

/// Who a certificate names: O, CN and the alternative names of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The organization's slug.
    pub organization: String,
    /// CN.
    pub common_name: String,
    /// SAN.
    pub alternatives: Vec<SanType>,
}

impl Subject {
    /// An authority. Every key has a name of its own (P-7).
    pub fn authority(kind: Kind, organization: &str, generation: &str) -> Self {
        let what = match kind {
            Kind::Root | Kind::Cross => "Root",
            Kind::DeviceAuthority | Kind::Device => "Device",
            Kind::ServerAuthority | Kind::Server => "Server",
            Kind::ClaimAuthority | Kind::Claim => "Claim",
            Kind::OcspSigner => "OCSP",
        };
        let common_name = format!("Fleetward {what} CA {generation}");
        Self { organization: organization.to_owned(), common_name, alternatives: vec![] }
    }

    /// A device: CN is its name for clients that read CN, the URI names device, organization and trust domain (P-3).
    pub fn device(trust_domain: &str, organization: &str, device_id: &DeviceId) -> Result<Self, rcgen::Error> {
        let uri = device_uri(trust_domain, organization, device_id);
        Ok(Self {
            organization: organization.to_owned(),
            common_name: device_id.as_str().to_owned(),
            alternatives: vec![SanType::URI(uri.as_str().try_into()?)],
        })
    }

    /// A claim: its own id and nothing of a device.
    pub fn claim(organization: &str, id: &ClaimId) -> Self {
        Self { organization: organization.to_owned(), common_name: id.to_string(), alternatives: vec![] }
    }

    /// The OCSP responder of the authority with this common name.
    pub fn responder(organization: &str, authority: &str) -> Self {
        let mut common_name = format!("{authority} OCSP");
        // The upper bound of CN is 64 (X.520).
        while common_name.len() > 64 {
            common_name.pop();
        }
        Self { organization: organization.to_owned(), common_name, alternatives: vec![] }
    }

    /// A listener under these DNS names and addresses.
    pub fn server(organization: &str, names: &[String]) -> Result<Self, rcgen::Error> {
        let alternatives = names
            .iter()
            .map(|name| match name.parse::<IpAddr>() {
                Ok(address) => Ok(SanType::IpAddress(address)),
                Err(_) => Ok(SanType::DnsName(name.as_str().try_into()?)),
            })
            .collect::<Result<_, rcgen::Error>>()?;
        // The upper bound of CN is 64 (X.520); clients look at the alternative names anyway.
        let common_name = names.iter().find(|n| n.len() <= 64).map_or("fleetward", String::as_str).to_owned();
        Ok(Self { organization: organization.to_owned(), common_name, alternatives })
    }

    /// In one line, as lists show it.
    pub fn line(&self) -> String {
        format!("O={}, CN={}", self.organization, self.common_name)
    }
}

/// The identity inside a device's certificate: `spiffe://<trust-domain>/t/<organization>/d/<device_id>` (P-3).
pub fn device_uri(trust_domain: &str, organization: &str, device_id: &DeviceId) -> String {
    format!("spiffe://{trust_domain}/t/{organization}/d/{device_id}")
}

/// Where the issuer's CRL, its OCSP responder and its certificate are found; plain HTTP (P-10).
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// Base URL, frozen when the authority was made.
    pub base_url: &'a str,
    /// The issuer's id.
    pub issuer: &'a str,
}

impl Publication<'_> {
    /// Where the issuer's list is: the same words in its certificates and in the list itself.
    pub fn crl(&self) -> String {
        format!("{}/crl/{}.crl", self.base_url, self.issuer)
    }
}

/// The parameters of a certificate of this kind, complete but for the key.
pub fn parameters(
    kind: Kind,
    subject: &Subject,
    serial: [u8; 20],
    validity: Validity,
    published: Option<Publication<'_>>,
) -> Result<CertificateParams, rcgen::Error> {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, subject.organization.as_str());
    name.push(DnType::CommonName, subject.common_name.as_str());

    let mut params = CertificateParams::default();
    params.not_before = instant(validity.from)?;
    params.not_after = instant(validity.until)?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = name;
    params.subject_alt_names.clone_from(&subject.alternatives);
    params.is_ca = match kind {
        Kind::Root | Kind::Cross => IsCa::Ca(BasicConstraints::Unconstrained),
        Kind::DeviceAuthority | Kind::ServerAuthority | Kind::ClaimAuthority => IsCa::Ca(BasicConstraints::Constrained(0)),
        // `NoCa` would emit neither basicConstraints nor the key identifier (P-5).
        Kind::Server | Kind::Device | Kind::Claim | Kind::OcspSigner => IsCa::ExplicitNoCa,
    };
    params.key_usages = if kind.is_authority() {
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]
    } else {
        vec![KeyUsagePurpose::DigitalSignature]
    };
    // The builder takes no arcs of 128 bits, so a claim's usages are written by hand.
    params.extended_key_usages = if kind == Kind::Claim { vec![] } else { kind.usages() };
    params.use_authority_key_identifier_extension = kind != Kind::Root;
    if kind == Kind::OcspSigner {
        params.custom_extensions = vec![CustomExtension::from_oid_content(NO_CHECK, der::encode(0x05, &[]))];
    } else if let Some(at) = published.filter(|_| kind != Kind::Root) {
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![at.crl()] }];
        params.custom_extensions = vec![authority_information(kind, at)];
    }
    if kind == Kind::Claim {
        params.custom_extensions.push(claim_usages());
    }
    Ok(params)
}

/// What a claim is good for: the arc under `2.25` of a UUID of our own (ITU-T X.667), content octets.
pub const CLAIM_USAGE: &[u8] =
    &[0x69, 0x81, 0xde, 0xbc, 0x8e, 0xd4, 0xd1, 0xa4, 0xba, 0xb8, 0x97, 0x9c, 0xaf, 0x8a, 0xef, 0xd4, 0xfc, 0xc2, 0xc3, 0x66];

/// `ExtKeyUsageSyntax` (RFC 5280 §4.2.1.12) of a claim: id-kp-clientAuth and its own.
fn claim_usages() -> CustomExtension {
    const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
    let usages = [der::encode(0x06, CLIENT_AUTH), der::encode(0x06, CLAIM_USAGE)].concat();
    CustomExtension::from_oid_content(&[2, 5, 29, 37], der::encode(0x30, &usages))
}

/// `AuthorityInfoAccess` (RFC 5280 §4.2.2.1), which the builder does not know. The root has no OCSP responder.
fn authority_information(kind: Kind, at: Publication<'_>) -> CustomExtension {
    // id-ad-ocsp and id-ad-caIssuers: 1.3.6.1.5.5.7.48.1 and .2
    const OCSP: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
    const CA_ISSUERS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    let access = |method: &[u8], url: &str| {
        // accessMethod OBJECT IDENTIFIER, accessLocation uniformResourceIdentifier [6]
        der::encode(0x30, &[der::encode(0x06, method), der::encode(0x86, url.as_bytes())].concat())
    };
    let mut list = Vec::new();
    if !kind.is_authority() {
        list.extend(access(OCSP, &format!("{}/ocsp", at.base_url)));
    }
    list.extend(access(CA_ISSUERS, &format!("{}/ca/{}.cer", at.base_url, at.issuer)));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], der::encode(0x30, &list))
}

/// Two thirds of the life, ± 5 % of it by the device's name, so that a fleet enrolled in one hour does not renew in one.
pub fn renew_after(validity: Validity, device_id: &DeviceId) -> Timestamp {
    let life = validity.until.since(validity.from);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, device_id.as_str().as_bytes());
    let spread = i64::from(digest.as_ref()[0]) * 256 + i64::from(digest.as_ref()[1]);
    // 0..=65535 becomes −5 %…+5 %.
    validity.from.plus(life / 3 * 2 + life / 20 * (spread - 32_768) / 32_768)
}

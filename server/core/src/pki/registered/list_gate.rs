//! Pure: the gate that a registered authority's list of revoked certificates passes (E-10; RFC 5280 §5, §6.3.3), and what of it handshakes need.
//! Refuses to know whether it was brought or fetched. No address in it is ever asked.

use super::{super::der, gate::ACCEPTED, refused::Refused};
use rustls_pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use std::collections::HashSet;
use wire::Timestamp;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{ParsedExtension, X509Extension},
    prelude::FromDer as _,
    revocation_list::CertificateRevocationList,
    x509::ReasonCode,
};

/// Largest list in DER.
pub const MAX_DER: usize = 10 * 1024 * 1024;
/// Most bytes to read of what may be a list: PEM is half as long again as DER, and a little more may stand above it. What is longer is none.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
// Base64 with line breaks, and what openssl writes above it.
const MAX_PEM: usize = MAX_DER / 2 * 3;
/// A list may be this far ahead of our clock.
const AHEAD: i64 = 5 * 60_000;
/// How long after its end a list still counts for an authority that is closed then.
pub const GRACE: i64 = 24 * 3_600_000;
/// deltaCRLIndicator, 2.5.29.27.
const DELTA: &[u8] = &[0x55, 0x1d, 0x1b];
/// Octets of a list's number at most (RFC 5280 §5.2.3).
const NUMBER: usize = 20;

/// A list that passed.
#[derive(Debug)]
pub struct ListRead {
    /// DER.
    pub der: Vec<u8>,
    /// Its number, forty hex digits, so that numbers compare as text; empty when it has none.
    pub number: String,
    /// When it was made.
    pub this_update: Timestamp,
    /// Until when it holds.
    pub next_update: Timestamp,
    /// How many certificates are on it.
    pub entries: usize,
}

/// By what a list is told from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMark {
    /// Its number, forty hex digits; empty when it has none.
    pub number: String,
    /// When it was made.
    pub this_update: Timestamp,
    /// SHA-256 of it.
    pub sha256: Vec<u8>,
}

impl ListMark {
    /// Whether this one may take the place of the other: numbers only grow, and so does time (RFC 5280 §5.2.3). An old list must not bring back what a
    /// newer one has revoked.
    pub fn follows(&self, before: &Self) -> bool {
        if before.number.is_empty() {
            self.this_update > before.this_update
        } else {
            self.number > before.number && self.this_update >= before.this_update
        }
    }

    /// Whether it is the other one, or may take its place.
    pub fn reaches(&self, counted: &Self) -> bool {
        self.sha256 == counted.sha256 || self.follows(counted)
    }
}

/// What is on a list, for handshakes.
#[derive(Debug)]
pub struct OwnersList {
    /// SHA-256 of it: the same list has the same.
    pub sha256: Vec<u8>,
    /// Until when it holds.
    pub next_update: Timestamp,
    serials: HashSet<Vec<u8>>,
}

impl PartialEq for OwnersList {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}
impl Eq for OwnersList {}

impl OwnersList {
    /// Of a list that passed the gate before; none when it can't be read any more.
    pub fn of(der: &[u8], sha256: Vec<u8>) -> Option<Self> {
        let (_, list) = CertificateRevocationList::from_der(der).ok()?;
        let next_update = Timestamp(list.next_update()?.timestamp().saturating_mul(1000));
        let serials = list.iter_revoked_certificates().map(|entry| bare(entry.raw_serial()).to_vec()).collect();
        Some(Self { sha256, next_update, serials })
    }

    /// Whether the certificate with this serial number is on it.
    pub fn has(&self, serial: &[u8]) -> bool {
        self.serials.contains(bare(serial))
    }
}

/// A serial number without the zeros in front, which some makers write and some don't.
fn bare(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|octet| **octet == 0).count();
    serial.get(zeros..).unwrap_or_default()
}

/// Who has signed a certificate, by name, and under which number: what a list knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The signer's name, raw.
    pub by: Vec<u8>,
    /// Serial number, raw.
    pub serial: Vec<u8>,
}

/// The same of these bytes; none when they are no certificate.
pub fn signed(certificate: &[u8]) -> Option<Signed> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Signed { by: parsed.issuer().as_raw().to_vec(), serial: parsed.raw_serial().to_vec() })
}

/// PEM or DER to DER, in bounds and strictly encoded.
fn bytes(input: &[u8]) -> Result<Vec<u8>, Refused> {
    const SEQUENCE: u8 = 0x30;
    let der = if input.first() == Some(&SEQUENCE) {
        input.to_vec()
    } else if input.len() > MAX_PEM {
        return Err(Refused::ListTooLarge);
    } else {
        CertificateRevocationListDer::from_pem_slice(input)
            .map_err(|_| Refused::List("it is neither PEM (-----BEGIN X509 CRL-----) nor DER"))?
            .to_vec()
    };
    if der.len() > MAX_DER {
        return Err(Refused::ListTooLarge);
    }
    der::strict(&der).map_err(|_| Refused::List("it is malformed"))?;
    Ok(der)
}

/// The gate: the authority's own whole list, signed by its key, that holds now.
pub fn list(input: &[u8], authority: &[u8], now: Timestamp) -> Result<ListRead, Refused> {
    let der = bytes(input)?;
    let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| Refused::List("it is no list of revoked certificates"))?;
    let (_, ca) = X509Certificate::from_der(authority).map_err(|_| Refused::Malformed("not X.509"))?;
    if list.issuer().as_raw() != ca.subject().as_raw() {
        return Err(Refused::List(
            "it is not from this authority; a list of one below it belongs to that one, which can be registered too",
        ));
    }
    if ca.key_usage().map_err(|_| Refused::Malformed("an extension can't be read"))?.is_some_and(|u| !u.value.crl_sign()) {
        return Err(Refused::List("the authority's keyUsage lacks cRLSign, so it can't sign lists (RFC 5280 §6.3.3)"));
    }
    let one_algorithm = list.signature_algorithm == list.tbs_cert_list.signature;
    if !one_algorithm || !ACCEPTED.contains(&list.signature_algorithm.algorithm) || list.verify_signature(ca.public_key()).is_err() {
        return Err(Refused::List("its signature is not by this authority's key, or by an algorithm that is not accepted"));
    }
    let mut number = String::new();
    for e in list.extensions() {
        if let Some(found) = of_list(e)? {
            number = found;
        }
    }
    let mut entries = 0;
    for entry in list.iter_revoked_certificates() {
        entries += 1;
        entry.extensions().iter().try_for_each(of_entry)?;
    }
    let at = |t: x509_parser::time::ASN1Time| Timestamp(t.timestamp().saturating_mul(1000));
    let this_update = at(list.last_update());
    let next_update = list.next_update().map(at).ok_or(Refused::List("it does not say until when it holds (nextUpdate)"))?;
    if this_update.0 > now.0 + AHEAD {
        return Err(Refused::List("it is not valid yet; is the clock right where it was signed?"));
    }
    if next_update <= now {
        return Err(Refused::List("it has ended; bring a newer one"));
    }
    Ok(ListRead { der: der.clone(), number, this_update, next_update, entries })
}

/// Looks at an extension of the list; its number, if it is that.
fn of_list(e: &X509Extension<'_>) -> Result<Option<String>, Refused> {
    match e.parsed_extension() {
        ParsedExtension::CRLNumber(number) => {
            let octets = number.to_bytes_be();
            if octets.len() > NUMBER {
                return Err(Refused::List("its number has more than 20 octets (RFC 5280 §5.2.3)"));
            }
            Ok(Some(format!("{:0>40}", hex::encode(octets))))
        }
        // A list of users' certificates is whole as far as devices go; one with another scope lacks some of them.
        ParsedExtension::IssuingDistributionPoint(scope)
            if scope.only_contains_ca_certs
                || scope.only_contains_attribute_certs
                || scope.indirect_crl
                || scope.only_some_reasons.is_some() =>
        {
            Err(Refused::List("it is a part of a list (issuingDistributionPoint); bring the whole one"))
        }
        ParsedExtension::IssuingDistributionPoint(_) => Ok(None),
        // One that a delta's maker forgot to mark must not pass for a whole list (RFC 5280 §5.2.4).
        _ if e.critical || e.oid.as_bytes() == DELTA => {
            Err(Refused::List("it has a critical extension that is not taken here; bring a whole list, not a delta"))
        }
        _ => Ok(None),
    }
}

fn of_entry(e: &X509Extension<'_>) -> Result<(), Refused> {
    match e.parsed_extension() {
        ParsedExtension::ReasonCode(ReasonCode::RemoveFromCRL) => Err(Refused::List("it is a delta; bring a whole list")),
        _ if e.critical => {
            Err(Refused::List("an entry has a critical extension that is not taken here; certificates of other issuers can't be on it"))
        }
        _ => Ok(()),
    }
}

/// Whether the certificate is one that `name` has signed and that is on the list.
pub fn on(list: &OwnersList, name: &[u8], certificate: &Signed) -> bool {
    certificate.by == name && list.has(&certificate.serial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn mark(number: &str, made: i64, sha256: u8) -> ListMark {
        ListMark { number: number.to_owned(), this_update: Timestamp(made), sha256: vec![sha256; 32] }
    }

    #[rstest]
    #[case::next(("06", 8, 1), ("05", 7, 0), true, true)]
    #[case::made_in_the_same_second(("06", 7, 1), ("05", 7, 0), true, true)]
    #[case::the_same(("05", 7, 0), ("05", 7, 0), false, true)]
    #[case::another_of_that_number(("05", 8, 1), ("05", 7, 0), false, false)]
    #[case::older(("04", 8, 1), ("05", 7, 0), false, false)]
    #[case::made_before(("06", 6, 1), ("05", 7, 0), false, false)]
    #[case::without_a_number(("", 8, 1), ("05", 7, 0), false, false)]
    #[case::by_time(("", 8, 1), ("", 7, 0), true, true)]
    #[case::by_time_alone(("", 7, 1), ("", 7, 0), false, false)]
    fn e_10_a_list_follows_or_does_not(
        #[case] new: (&str, i64, u8),
        #[case] before: (&str, i64, u8),
        #[case] follows: bool,
        #[case] reaches: bool,
    ) {
        let (new, before) = (mark(new.0, new.1, new.2), mark(before.0, before.1, before.2));
        assert_eq!((new.follows(&before), new.reaches(&before)), (follows, reaches));
    }
}

//! Pure: OCSP requests read and answers written (RFC 6960 §4.1, §4.2; nonces by RFC 9654). Owns the bytes; who answers, and what, is
//! `responder.rs`'s business.

use super::{
    der::{self, Value, encode},
    statuses::{Revocation, Standing},
};
use aws_lc_rs::digest;
use wire::Timestamp;

/// Most certificates one message may ask about.
pub const MOST: usize = 10;
/// The longest nonce (RFC 9654 §2.1).
const LONGEST_NONCE: usize = 128;

// Tags.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const GENERALIZED_TIME: u8 = 0x18;
/// `[n]` EXPLICIT.
const fn explicit(n: u8) -> u8 {
    0xa0 | n
}

// Object identifiers, content octets.
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
/// id-pkix-ocsp-basic
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// id-pkix-ocsp-nonce
const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];
/// ecdsa-with-SHA256 (RFC 5758 §3.2: no parameters)
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// Answers without a body (RFC 6960 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The request is not one.
    Malformed = 1,
    /// We can't say at the moment.
    TryLater = 3,
    /// About certificates of somebody else.
    Unauthorized = 6,
}

/// The whole answer of this status.
pub fn refusal(status: Status) -> Vec<u8> {
    encode(SEQUENCE, &encode(ENUMERATED, &[status as u8]))
}

/// An authority as requests name it: hashes of its name and of its key.
#[derive(Debug, Clone)]
pub struct IssuerNames {
    sha1: (Vec<u8>, Vec<u8>),
    sha256: (Vec<u8>, Vec<u8>),
    sha384: (Vec<u8>, Vec<u8>),
    sha512: (Vec<u8>, Vec<u8>),
}

/// SHA-1, which OCSP still names issuers and responders by; nothing is trusted because of it.
fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

impl IssuerNames {
    /// Of an encoded subject and the bits of a public key.
    pub fn of(name: &[u8], key: &[u8]) -> Self {
        let by = |hash: &'static digest::Algorithm| {
            let of = |bytes| digest::digest(hash, bytes).as_ref().to_vec();
            (of(name), of(key))
        };
        Self {
            sha1: by(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            sha256: by(&digest::SHA256),
            sha384: by(&digest::SHA384),
            sha512: by(&digest::SHA512),
        }
    }

    /// Whether the request means this authority.
    pub fn are_in(&self, id: &CertId<'_>) -> bool {
        let (name, key) = match id.hash {
            Hash::Sha1 => &self.sha1,
            Hash::Sha256 => &self.sha256,
            Hash::Sha384 => &self.sha384,
            Hash::Sha512 => &self.sha512,
            Hash::Other => return false,
        };
        id.name == name && id.key == key
    }
}

/// How a request names an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// RFC 5019's only one; what most clients send.
    Sha1,
    /// What newer ones send.
    Sha256,
    /// What those send that have agreed on 192 bits of security.
    Sha384,
    /// The same with 256 bits.
    Sha512,
    /// None that we can compare with.
    Other,
}

/// A certificate asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertId<'a> {
    /// The whole encoding: the answer repeats it.
    pub raw: Vec<u8>,
    /// How issuer name and key are hashed.
    pub hash: Hash,
    name: &'a [u8],
    key: &'a [u8],
    /// Content octets of the serial number.
    pub serial: &'a [u8],
}

/// A request that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// One to [`MOST`].
    pub certificates: Vec<CertId<'a>>,
    /// To be repeated in the answer.
    pub nonce: Option<&'a [u8]>,
}

/// Reads a request (RFC 6960 §4.1.1); none when it is malformed, too long, or says something critical that is not understood. A signature is not
/// looked at: nothing depends on who asks.
pub fn request(input: &[u8]) -> Option<Request<'_>> {
    der::strict(input).ok()?;
    let (whole, _) = der::split(input).ok()?;
    let parts = of(whole, SEQUENCE)?;
    let (tbs, signature) = parts.split_first()?;
    if !matches!(signature, [] | [Value { tag: 0xa0, .. }]) {
        return None;
    }
    let fields = of(*tbs, SEQUENCE)?;
    let mut fields = fields.into_iter().peekable();
    if let Some(version) = fields.next_if(|f| f.tag == explicit(0)) {
        // v1 is the only one, and 0.
        let [Value { tag: INTEGER, content: [0] }] = der::children(version.content).ok()?[..] else { return None };
    }
    // Whoever asks may say their name.
    let _ = fields.next_if(|f| f.tag == explicit(1));
    let list = of(fields.next()?, SEQUENCE)?;
    let extensions = fields.next_if(|f| f.tag == explicit(2));
    if fields.next().is_some() || list.is_empty() || list.len() > MOST {
        return None;
    }
    let certificates = list.into_iter().map(one).collect::<Option<_>>()?;
    let nonce = match extensions {
        Some(extensions) => nonce(extensions).ok()?,
        None => None,
    };
    Some(Request { certificates, nonce })
}

/// The children of a constructed value with this tag.
fn of(value: Value<'_>, tag: u8) -> Option<Vec<Value<'_>>> {
    if value.tag == tag { der::children(value.content).ok() } else { None }
}

fn one(request: Value<'_>) -> Option<CertId<'_>> {
    let parts = of(request, SEQUENCE)?;
    let (id, extensions) = parts.split_first()?;
    match extensions {
        [] => {}
        [extensions] if extensions.tag == explicit(0) => unknown_extensions(*extensions)?,
        _ => return None,
    }
    let [algorithm, name, key, serial] = of(*id, SEQUENCE)?[..] else { return None };
    let algorithm = of(algorithm, SEQUENCE)?;
    let (oid, parameters) = algorithm.split_first()?;
    // Absent or NULL: both are in use (RFC 5754 §2).
    if oid.tag != OID || !matches!(parameters, [] | [Value { tag: 0x05, content: [] }]) {
        return None;
    }
    if name.tag != OCTET_STRING || key.tag != OCTET_STRING || serial.tag != INTEGER || serial.content.is_empty() {
        return None;
    }
    let hash = match oid.content {
        SHA1 => Hash::Sha1,
        SHA256 => Hash::Sha256,
        SHA384 => Hash::Sha384,
        SHA512 => Hash::Sha512,
        _ => Hash::Other,
    };
    // Lengths are minimal, so writing it again gives the same octets.
    Some(CertId { raw: encode(SEQUENCE, id.content), hash, name: name.content, key: key.content, serial: serial.content })
}

/// Id, whether it is critical, value.
type Extension<'a> = (&'a [u8], bool, &'a [u8]);

fn extension(value: Value<'_>) -> Option<Extension<'_>> {
    let (id, critical, content) = match of(value, SEQUENCE)?[..] {
        [id, content] => (id, false, content),
        [id, Value { tag: 0x01, content: [0xff] }, content] => (id, true, content),
        _ => return None,
    };
    (id.tag == OID && content.tag == OCTET_STRING).then_some((id.content, critical, content.content))
}

/// `[n] EXPLICIT Extensions`, never empty (RFC 5280 §4.1).
fn extensions(tagged: Value<'_>) -> Option<Vec<Extension<'_>>> {
    let [list] = der::children(tagged.content).ok()?[..] else { return None };
    let found: Vec<_> = of(list, SEQUENCE)?.into_iter().map(extension).collect::<Option<_>>()?;
    (!found.is_empty()).then_some(found)
}

fn unknown_extensions(tagged: Value<'_>) -> Option<()> {
    extensions(tagged)?.iter().all(|(_, critical, _)| !critical).then_some(())
}

/// The request is malformed.
struct Malformed;

/// The nonce among the request's extensions, of 1 to 128 octets (RFC 9654 §2.1: any other length is malformed).
fn nonce(tagged: Value<'_>) -> Result<Option<&[u8]>, Malformed> {
    let mut nonce = None;
    for (id, critical, content) in extensions(tagged).ok_or(Malformed)? {
        if id == NONCE {
            let (value, rest) = der::split(content).map_err(|_| Malformed)?;
            let sized = (1..=LONGEST_NONCE).contains(&value.content.len());
            if nonce.is_some() || value.tag != OCTET_STRING || !rest.is_empty() || !sized {
                return Err(Malformed);
            }
            nonce = Some(value.content);
        } else if critical {
            return Err(Malformed);
        }
    }
    Ok(nonce)
}

/// What is said about one certificate.
pub struct Said<'a> {
    /// As the request named it.
    pub id: &'a CertId<'a>,
    /// None: never issued.
    pub standing: Option<Standing>,
}

/// `ResponseData` (RFC 6960 §4.2.1), to be signed.
pub fn data(responder_key: &[u8], said: &[Said<'_>], nonce: Option<&[u8]>, now: Timestamp, until: Timestamp) -> Vec<u8> {
    // byKey: SHA-1 of the responder's public key.
    let mut content = encode(explicit(2), &encode(OCTET_STRING, &sha1(responder_key)));
    content.extend(time(now));
    let singles: Vec<u8> = said.iter().flat_map(|s| single(s, now, until)).collect();
    content.extend(encode(SEQUENCE, &singles));
    if let Some(nonce) = nonce {
        let value = encode(OCTET_STRING, &encode(OCTET_STRING, nonce));
        let extension = encode(SEQUENCE, &[encode(OID, NONCE), value].concat());
        content.extend(encode(explicit(1), &encode(SEQUENCE, &extension)));
    }
    encode(SEQUENCE, &content)
}

fn single(said: &Said<'_>, now: Timestamp, until: Timestamp) -> Vec<u8> {
    let status = match said.standing {
        Some(Standing::Good) => encode(0x80, &[]),
        Some(Standing::Revoked(Revocation { at, reason })) => {
            let mut info = time(at);
            // Unspecified is left out, as in the list (RFC 5280 §5.3.1).
            if reason != 0 {
                info.extend(encode(explicit(0), &encode(ENUMERATED, &[reason])));
            }
            encode(0xa1, &info)
        }
        None => encode(0x82, &[]),
    };
    let content = [said.id.raw.clone(), status, time(now), encode(explicit(0), &time(until))].concat();
    encode(SEQUENCE, &content)
}

/// `GeneralizedTime` in whole seconds, UTC.
fn time(at: Timestamp) -> Vec<u8> {
    let (year, month, day, hour, minute, second, _) = at.civil();
    encode(GENERALIZED_TIME, format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z").as_bytes())
}

/// The whole answer around signed data, with the responder's certificate.
pub fn response(data: &[u8], signature: &[u8], certificate: &[u8]) -> Vec<u8> {
    let algorithm = encode(SEQUENCE, &encode(OID, ECDSA_SHA256));
    // No unused bits.
    let signature = encode(BIT_STRING, &[&[0], signature].concat());
    let certificates = encode(explicit(0), &encode(SEQUENCE, certificate));
    let basic = encode(SEQUENCE, &[data, &algorithm, &signature, &certificates].concat());
    let bytes = encode(SEQUENCE, &[encode(OID, BASIC), encode(OCTET_STRING, &basic)].concat());
    encode(SEQUENCE, &[encode(ENUMERATED, &[0]), encode(explicit(0), &bytes)].concat())
}

//! Pure: how PKCS#11 writes keys and signatures of the two curves that authorities' keys are on (P-1), and how X.509 does. Refuses to know sessions.

use crate::pki::der;
use aws_lc_rs::digest::{self, Digest, SHA256, SHA384};
use wire::roots::RootKey;

/// `secp256r1` and `secp384r1`, DER (RFC 5480 §2.1.1.1).
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// What `CKA_EC_PARAMS` says of a key on this curve (PKCS#11 §6.3.3).
pub(super) const fn parameters(curve: RootKey) -> &'static [u8] {
    match curve {
        RootKey::P256 => P256,
        RootKey::P384 => P384,
    }
}

/// The curve that these parameters name, if it is one of ours.
pub(super) fn named(parameters: &[u8]) -> Option<RootKey> {
    match parameters {
        P256 => Some(RootKey::P256),
        P384 => Some(RootKey::P384),
        _ => None,
    }
}

/// How many octets a coordinate has, and a half of a signature.
const fn half(curve: RootKey) -> usize {
    match curve {
        RootKey::P256 => 32,
        RootKey::P384 => 48,
    }
}

/// What `CKM_ECDSA` signs of a message: its digest, as long as the curve's order.
pub(super) fn digest(curve: RootKey, message: &[u8]) -> Digest {
    match curve {
        RootKey::P256 => digest::digest(&SHA256, message),
        RootKey::P384 => digest::digest(&SHA384, message),
    }
}

/// The uncompressed point inside the OCTET STRING that PKCS#11 puts around it (§6.3.3); some modules leave that out. None when it has not the length of
/// one of this curve.
pub(super) fn unwrapped(curve: RootKey, point: &[u8]) -> Option<Vec<u8>> {
    let length = 1 + 2 * half(curve);
    let bare = match point {
        [0x04, wrapped, rest @ ..] if usize::from(*wrapped) == length && rest.len() == length => rest,
        bare => bare,
    };
    (bare.len() == length && bare.first() == Some(&0x04)).then(|| bare.to_vec())
}

/// `ECDSA-Sig-Value` (RFC 3279 §2.2.3) of r and s, which PKCS#11 writes one after the other, each as long as a coordinate (§6.3.1).
pub(super) fn signature(curve: RootKey, raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(half(curve)).filter(|_| raw.len() == 2 * half(curve))?;
    Some(der::encode(0x30, &[integer(r), integer(s)].concat()))
}

/// A positive INTEGER in as few octets as there may be (X.690 §8.3).
fn integer(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len().saturating_sub(1));
    let digits = bytes.get(first..).unwrap_or_default();
    let pad: &[u8] = if digits.first().is_some_and(|b| b & 0x80 != 0) { &[0] } else { &[] };
    der::encode(0x02, &[pad, digits].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::p256(RootKey::P256, 32)]
    #[case::p384(RootKey::P384, 48)]
    fn r_and_s_become_der_integers_of_the_shortest_form(#[case] curve: RootKey, #[case] half: usize) {
        let mut raw = vec![0; 2 * half];
        raw[half - 1] = 1;
        raw[half] = 0x80;
        let der = signature(curve, &raw).unwrap();
        let s = u8::try_from(half + 1).unwrap();
        assert_eq!(der[..5], [0x30, s + 5, 0x02, 1, 1]);
        assert_eq!(der[5..9], [0x02, s, 0, 0x80]);
        assert!(der::strict(&der).is_ok());
        assert!(signature(curve, &raw[1..]).is_none());
        assert_eq!(signature(curve, &vec![0; 2 * half]).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        let longest = signature(curve, &vec![0xff; 2 * half]).unwrap();
        assert_eq!(longest.len(), 2 + 2 * (3 + half));
        assert!(der::strict(&longest).is_ok());
    }

    #[test]
    fn a_signature_of_the_other_curve_is_none() {
        assert!(signature(RootKey::P256, &[1; 96]).is_none());
        assert!(signature(RootKey::P384, &[1; 64]).is_none());
    }

    #[rstest]
    #[case::p256(RootKey::P256, 65)]
    #[case::p384(RootKey::P384, 97)]
    fn a_point_is_taken_with_and_without_its_octet_string(#[case] curve: RootKey, #[case] length: u8) {
        let mut bare = vec![7; usize::from(length)];
        bare[0] = 4;
        // What would be the length of an OCTET STRING is a coordinate's first octet here.
        bare[1] = length;
        assert_eq!(unwrapped(curve, &bare).as_deref(), Some(bare.as_slice()));
        assert_eq!(unwrapped(curve, &[&[0x04, length], bare.as_slice()].concat()), Some(bare.clone()));
        assert_eq!(unwrapped(curve, &[]), None);
        assert_eq!(unwrapped(curve, &[0x04; 70]), None);
        let other = if curve == RootKey::P256 { RootKey::P384 } else { RootKey::P256 };
        assert_eq!(unwrapped(other, &bare), None);
        assert_eq!(named(parameters(curve)), Some(curve));
    }

    #[test]
    fn other_curves_and_explicit_parameters_are_not_ours() {
        // secp521r1, secp256k1, and a SEQUENCE as explicit parameters begin with.
        for other in [&[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23][..], &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a], &[0x30, 0x82], &[]] {
            assert_eq!(named(other), None);
        }
    }
}

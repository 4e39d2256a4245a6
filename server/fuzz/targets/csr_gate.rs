//! The gate of all CSRs (E-4, A-18): whatever comes is refused or is what it says.
//!
//! No mutation keeps a signature right, so an input that begins with `S` is not a CSR but the two parts of one that a device writes freely, its
//! subject and its attributes; the target puts them around a key of its own and signs them.

#![no_main]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use fleet::pki::csr::{self, Csr};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed of 32 bytes"));

fuzz_target!(|input: &[u8]| {
    let signed;
    let input = match input {
        [b'S', high, low, parts @ ..] => {
            let (subject, attributes) = parts.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(parts.len()));
            signed = request(subject, attributes);
            &signed
        }
        whole => whole,
    };
    let Ok(csr) = csr::gate(input, None) else { return };
    assert_key(&csr);
    assert!(csr.uris.iter().all(|uri| holds(input, uri.as_bytes()) || input.starts_with(b"-")), "a name that was not asked for");

    // Asked for another device, the same request passes only if it names none.
    let other = "someone-else".parse().expect("a device id");
    match csr::gate(input, Some(&other)) {
        Ok(same) => assert!(same == csr && csr.common_name.is_none_or(|name| name == other), "a request passed for another device"),
        Err(_) => assert!(csr.common_name.is_some(), "a request without a name was refused for one"),
    }
});

/// What passes can be issued for, and its key is written as every reader reads it.
fn assert_key(csr: &Csr) {
    let key = rcgen::SubjectPublicKeyInfo::from_der(&csr.spki).expect("a key that passed the gate is readable");
    let again = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(again, csr.spki, "the key would be certified in another form");
    assert_eq!(csr.spki_sha256, csr::sha256(&csr.spki));
}

fn holds(input: &[u8], part: &[u8]) -> bool {
    part.is_empty() || input.windows(part.len()).any(|window| window == part)
}

/// `CertificationRequest` (RFC 2986 §4.2) over these content octets, signed with Ed25519.
fn request(subject: &[u8], attributes: &[u8]) -> Vec<u8> {
    let algorithm = der(0x30, &[&der(0x06, &[&[0x2b, 0x65, 0x70]])]);
    let bits = |bytes: &[u8]| der(0x03, &[&[0], bytes]);
    let key = der(0x30, &[&algorithm, &bits(KEY.public_key().as_ref())]);
    let info = der(0x30, &[&[0x02, 1, 0], &der(0x30, &[subject]), &key, &der(0xa0, &[attributes])]);
    let signature = KEY.sign(&info);
    der(0x30, &[&info, &algorithm, &bits(signature.as_ref())])
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let mut value = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        0x100..=0xffff => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        _ => vec![tag, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8],
    };
    value.extend(content);
    value
}

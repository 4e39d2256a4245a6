//! The reader of OCSP requests: whatever comes is refused or is within its bounds, and is read the same when it is written again.

#![no_main]

use fleet::pki::{MOST_OCSP_CERTIFICATES, read_ocsp_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(request) = read_ocsp_request(input) else { return };
    assert!((1..=MOST_OCSP_CERTIFICATES).contains(&request.certificates.len()));
    assert!(request.nonce.is_none_or(|nonce| (1..=128).contains(&nonce.len())));
    for id in &request.certificates {
        // The answer repeats it: it must be what was asked, byte for byte.
        assert!(input.windows(id.raw.len()).any(|window| window == id.raw), "a certificate that was not asked about");
    }
    let list: Vec<u8> = request.certificates.iter().flat_map(|id| der(0x30, &id.raw)).collect();
    let written = der(0x30, &der(0x30, &der(0x30, &list)));
    let again = read_ocsp_request(&written).expect("what was read can be written");
    assert_eq!(again.certificates, request.certificates);
    assert_eq!(again.nonce, None);
});

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut value = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        0x100..=0xffff => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        _ => vec![tag, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8],
    };
    value.extend_from_slice(content);
    value
}

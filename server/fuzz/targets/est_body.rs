//! The decoder of EST bodies (E-12, A-18): whatever comes is refused or becomes one PEM block that the gate can judge, and what is sent as
//! EST sends it comes back.

#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::pki::{csr, est};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(pem) = est::request(body) {
        let judged = csr::gate(pem.as_bytes(), None);
        if body.first() == Some(&0x30) {
            assert_eq!(bytes_of(&pem), body, "DER was changed on its way");
            assert_eq!(judged, csr::gate(body, None), "PEM and DER of one request are judged differently");
        } else if !body.windows(5).any(|window| window == b"-----") {
            let bare: Vec<u8> = body.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'=').collect();
            let again = STANDARD.encode(bytes_of(&pem));
            assert_eq!(again.trim_end_matches('=').as_bytes(), bare, "base64 was read as something else");
        }
    }
    // Any DER that EST would send, as it sends it.
    let der = [&[0x30], body].concat();
    let sent = est::encode(&der);
    assert!(sent.lines().all(|line| line.len() <= 64) && sent.ends_with('\n'), "{sent}");
    assert_eq!(bytes_of(&est::request(sent.as_bytes()).expect("what we write we can read")), der);
});

/// What a PEM block of ours holds.
fn bytes_of(pem: &str) -> Vec<u8> {
    let inside: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(inside).expect("base64 in PEM")
}

//! The seeds of the corpora, made from the tests' data and from one example of every frame. Written anew they come out the same.

use std::fs;

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::paths;

/// CSRs that the unit tests judge, each under a line `== NAME VERDICT`.
const REQUESTS: &str = "server/core/src/pki/testdata/requests.txt";

/// One of each frame, and what odd devices make of them.
const FRAMES: [(&str, &str); 17] = [
    (
        "hello",
        r#"{"type":"hello","agent":"a/1","boot_id":"b","firmware":{"version":"1.0.0","sequence":7,"device_type":"gw","hardware":"A"},"attributes":{"os":"linux"},"stream":"s"}"#,
    ),
    (
        "hello-slots",
        r#"{"type":"hello","agent":"a/1","boot_id":"b","firmware":{"version":"1.0.0","device_type":"gw"},"stream":"s","slots":[{"name":"rootfs.0","version":"1.0.0","state":"running"},{"name":"rootfs.1","state":"empty"}]}"#,
    ),
    (
        "hello-slots-later",
        r#"{"type":"hello","agent":"a/1","boot_id":"b","firmware":{"version":"1.0.0","device_type":"gw"},"stream":"s","slots":[{"name":"a","version":"1.0.0","state":"booted"},{"name":"b","state":"empty"}]}"#,
    ),
    ("samples", r#"{"type":"samples","seq":7,"samples":[{"m":"cpu.load","t":1700000000000,"v":0.5},{"m":"t","t":-1,"v":-1.5e-7}]}"#),
    ("samples-empty", r#"{"type":"samples","seq":18446744073709551615,"samples":[]}"#),
    ("samples-nan", r#"{"type":"samples","seq":3,"samples":[{"m":"a","t":1,"v":NaN},{"m":"b\"Infinity","t":1,"v":2}]}"#),
    ("samples-infinity", r#"{"type":"samples","seq":3,"samples":[{"m":"a","t":1,"v":-Infinity},{"m":"b","t":1,"v":1e999},7,null]}"#),
    ("samples-later", r#"{"type":"samples","seq":7,"samples":[{"m":"cpu","t":1,"v":0.5,"unit":"x"}],"later":{"a":[1,{}]}}"#),
    ("status", r#"{"type":"status","update_id":"upd_0197a2b4c5d67e8f9a0b1c2d3e4f5a6b","state":"downloading","progress":40}"#),
    (
        "status-failed",
        r#"{"type":"status","update_id":"upd_0197a2b4c5d67e8f9a0b1c2d3e4f5a6b","state":"failed","code":"digest_mismatch","detail":"\u00e9\ud83d\ude00","firmware":{"version":"2","device_type":"gw"}}"#,
    ),
    (
        "status-slots",
        r#"{"type":"status","update_id":"upd_0197a2b4c5d67e8f9a0b1c2d3e4f5a6b","state":"reverted","slots":[{"name":"a","version":"1","state":"good"},{"name":"b","version":"2","state":"bad"}]}"#,
    ),
    ("welcome", r#"{"type":"welcome","device_id":"gw-1","server_time":"2026-11-22T10:00:00.000Z","acked":7,"ping_s":30}"#),
    ("ack", r#"{"type":"ack","seq":7}"#),
    ("refused", r#"{"type":"refused","seq":7,"samples":2,"code":"too_old","message":"Samples are at most 30 days old."}"#),
    ("cancel", r#"{"type":"cancel","update_id":"upd_0197a2b4c5d67e8f9a0b1c2d3e4f5a6b"}"#),
    ("renew", r#"{"type":"renew"}"#),
    ("unknown", r#"{"type":"later","a":[[[[]]]]}"#),
];

pub fn write() -> Result<()> {
    let text = fs::read_to_string(paths::root().join(REQUESTS)).with_context(|| format!("reading {REQUESTS}"))?;
    for (name, pem, der) in requests(&text)? {
        seed("csr_gate", &format!("{name}.der"), &der)?;
        seed("csr_gate", &format!("{name}.parts"), &parts(&der).with_context(|| format!("{name} has no parts"))?)?;
        if ["p256", "ed25519", "rsa2048"].contains(&name) {
            seed("csr_gate", &format!("{name}.pem"), pem.as_bytes())?;
            let bare = STANDARD.encode(&der);
            let lines: String = bare.as_bytes().chunks(64).flat_map(|line| [line, b"\r\n"].concat()).map(char::from).collect();
            for (form, body) in [("der", der.as_slice()), ("bare", bare.as_bytes()), ("lines", lines.as_bytes()), ("pem", pem.as_bytes())] {
                seed("est_body", &format!("{name}.{form}"), body)?;
            }
            seed("est_body", &format!("{name}.unpadded"), format!(" \t{}", bare.trim_end_matches('=')).as_bytes())?;
        }
    }
    for (name, request) in questions() {
        seed("ocsp_request", name, &request)?;
    }
    for (name, frame) in FRAMES {
        seed("device_frames", name, frame.as_bytes())?;
    }
    Ok(())
}

fn seed(target: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let dir = super::corpus(target);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join(name), bytes)?;
    Ok(())
}

/// Name, PEM and DER of each request.
fn requests(text: &str) -> Result<Vec<(&str, String, Vec<u8>)>> {
    let mut found = Vec::new();
    for section in text.split("== ").filter(|section| section.contains("-----BEGIN")) {
        let (head, pem) = section.split_once('\n').context("a section without lines")?;
        let name = head.split_whitespace().next().context("a section without a name")?;
        let bare: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        found.push((name, pem.to_owned(), STANDARD.decode(bare).with_context(|| format!("the PEM of {name}"))?));
    }
    Ok(found)
}

/// What a device writes freely in its CSR, as the target signs it: `S`, the length of the subject in two octets, subject, attributes.
fn parts(request: &[u8]) -> Option<Vec<u8>> {
    let whole = split(request)?.1;
    let info = split(whole)?.1;
    // Version, subject, key, attributes.
    let (_, _, rest) = split(info)?;
    let (_, subject, rest) = split(rest)?;
    let (_, _, rest) = split(rest)?;
    let (_, attributes, _) = split(rest)?;
    let length = u16::try_from(subject.len()).ok()?.to_be_bytes();
    Some([b"S", &length[..], subject, attributes].concat())
}

/// The first value: its tag, its content and what follows it.
fn split(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk::<2>()?;
    let octets = if length < 0x80 { 0 } else { usize::from(length & 0x7f) };
    let (long, rest) = rest.split_at_checked(octets)?;
    let length = if octets == 0 { usize::from(length) } else { long.iter().fold(0, |sum, octet| (sum << 8) | usize::from(*octet)) };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// OCSP requests (RFC 6960 §4.1.1) of every shape that clients send, and some that none should.
fn questions() -> Vec<(&'static str, Vec<u8>)> {
    const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
    const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];
    let one = |hash: &[u8], size: usize, serial: u8| {
        let algorithm = der(0x30, &[&der(0x06, &[hash]), &der(0x05, &[])]);
        der(
            0x30,
            &[&der(0x30, &[&algorithm, &der(0x04, &[&vec![1; size]]), &der(0x04, &[&vec![2; size]]), &der(0x02, &[&[0x40, serial]])])],
        )
    };
    let list = |count: u8| der(0x30, &[&(0..count).flat_map(|n| one(SHA1, 20, n)).collect::<Vec<u8>>()]);
    let whole = |fields: &[&[u8]]| der(0x30, &[&der(0x30, fields)]);
    let nonce = |size: usize| {
        let value = der(0x04, &[&der(0x04, &[&vec![3; size]])]);
        der(0xa2, &[&der(0x30, &[&der(0x30, &[&der(0x06, &[NONCE]), &value])])])
    };
    let critical = der(0xa2, &[&der(0x30, &[&der(0x30, &[&der(0x06, &[&[0x2a, 3]]), &der(0x01, &[&[0xff]]), &der(0x04, &[])])])]);
    let name = der(0xa1, &[&der(0x86, &[b"urn:who"])]);
    vec![
        ("sha1", whole(&[&list(1)])),
        ("sha256", whole(&[&der(0x30, &[&one(SHA256, 32, 9)])])),
        ("ten", whole(&[&list(10)])),
        ("eleven", whole(&[&list(11)])),
        ("none", whole(&[&list(0)])),
        ("nonce", whole(&[&list(1), &nonce(16)])),
        ("nonce-longest", whole(&[&list(2), &nonce(128)])),
        ("nonce-giant", whole(&[&list(1), &nonce(200)])),
        ("critical", whole(&[&list(1), &critical])),
        ("version-and-name", whole(&[&der(0xa0, &[&der(0x02, &[&[0]])]), &name, &list(1)])),
        ("signed", der(0x30, &[&der(0x30, &[&list(1)]), &der(0xa0, &[&der(0x30, &[])])])),
    ]
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let used = length.iter().skip_while(|octet| **octet == 0).copied().collect::<Vec<u8>>();
    let length = match (content.len(), u8::try_from(used.len())) {
        (short @ 0..=0x7f, _) => vec![u8::try_from(short).unwrap_or_default()],
        (_, count) => [&[0x80 | count.unwrap_or_default()], used.as_slice()].concat(),
    };
    [&[tag], length.as_slice(), content.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_as_they_are_joined() {
        for size in [0, 5, 127, 128, 300, 70_000] {
            let content = vec![7; size];
            let value = [der(0x04, &[&content]), vec![9]].concat();
            assert_eq!(split(&value), Some((0x04, content.as_slice(), &[9][..])), "{size}");
        }
        assert_eq!(split(&[0x30, 5, 1]), None);
    }

    #[test]
    fn the_committed_seeds_are_these() {
        for (target, name, bytes) in questions().into_iter().map(|(name, bytes)| ("ocsp_request", name, bytes)) {
            assert_eq!(fs::read(super::super::corpus(target).join(name)).unwrap(), bytes, "{target}/{name}");
        }
        let text = fs::read_to_string(paths::root().join(REQUESTS)).unwrap();
        for (name, _, der) in requests(&text).unwrap() {
            let committed = fs::read(super::super::corpus("csr_gate").join(format!("{name}.parts"))).unwrap();
            assert_eq!(committed, parts(&der).unwrap(), "run `cargo xtask fuzz --seeds`: {name}");
        }
    }
}

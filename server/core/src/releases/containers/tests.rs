//! Containers as their own tools write them, broken in every way, and what they say against a manifest.

use super::*;
use crate::pki::der::encode;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write as _;

fn of(file: &[u8]) -> Option<Container> {
    let head = &file[..file.len().min(HEAD)];
    let tail = &file[file.len().saturating_sub(TAIL)..];
    recognise(Ends { head, tail, size: file.len() as u64 })
}

fn cpio(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in members {
        let fields = [1, 0o100_644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        out.extend_from_slice(b"070701");
        for field in fields {
            out.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

const LIBCONFIG: &str = r#"
/* An image of two copies. */
software =
{
    version = "2.4" ".1";  # one text
    description = "Firmware of the \"gateway\"";
    hardware-compatibility: [ "1.0", "1.2" ];
    // the boards
    gateway-x: {
        hardware-compatibility: [ "2.0", "1.0" ]
        stable: { copy1: { images: ({ filename = "rootfs.gz"; device = "/dev/mmcblk0p2"; compressed = true; offset = 0x10L; ratio = 1.5 }, ); }; };
    };
    @include "more.cfg"
}
"#;

fn swu() -> Vec<u8> {
    cpio(&[("sw-description", LIBCONFIG.as_bytes()), ("sw-description.sig", &[7; 256]), ("rootfs.gz", &[1; 3000]), ("TRAILER!!!", b"")])
}

fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

const INFO: &[u8] = br#"{"payloads":[{"type":"rootfs-image"}],"artifact_provides":{"artifact_name":"release-7"},
    "artifact_depends":{"device_type":["beaglebone","gateway"]}}"#;
const VERSION: &[u8] = br#"{"format":"mender","version":3}"#;

fn mender(header: &str, content: &[u8]) -> Vec<u8> {
    packed(&[("version", VERSION), ("manifest", b"0 version\n"), (header, content), ("data/0000.tar.gz", &[3; 5000])])
}

fn cms(manifest: Option<&str>) -> Vec<u8> {
    let data_type = encode(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]);
    let held = manifest.map(|m| encode(0xa0, &encode(0x04, m.as_bytes()))).unwrap_or_default();
    let inner = encode(0x30, &[data_type, held].concat());
    let data = encode(0x30, &[encode(0x02, &[1]), encode(0x31, &[]), inner, encode(0x31, &[])].concat());
    let kind = encode(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02]);
    encode(0x30, &[kind, encode(0xa0, &data)].concat())
}

const MANIFEST: &str =
    "[update]\ncompatible=Example Gateway\nversion=2026.11-1\n\n[bundle]\nformat=verity\nverity-size=4096\n\n[image.rootfs]\nversion=no\n";

fn rauc(manifest: Option<&str>) -> Vec<u8> {
    let mut file = vec![0; 4096];
    file[..4].copy_from_slice(b"hsqs");
    file[40..48].copy_from_slice(&4000_u64.to_le_bytes());
    let signature = cms(manifest);
    file.extend_from_slice(&signature);
    file.extend_from_slice(&(signature.len() as u64).to_be_bytes());
    file
}

#[test]
fn a_swupdate_image_says_its_version_and_its_hardware() {
    let c = of(&swu()).unwrap();
    assert_eq!((c.kind, c.version.as_str(), c.name.as_str()), (ContainerKind::Swupdate, "2.4.1", "Firmware of the \"gateway\""));
    assert_eq!((c.fits, c.signature, c.note.as_str()), (vec!["1.0".into(), "1.2".into(), "2.0".into()], Some(256), ""));
    let json = br##"{"software":{"version":"3","gw":{"hardware-compatibility":["#RE:^1\\.[0-9]$"]}}}"##;
    let c = of(&cpio(&[("sw-description", json), ("TRAILER!!!", b"")])).unwrap();
    assert_eq!((c.version.as_str(), c.fits, c.signature), ("3", vec!["#RE:^1\\.[0-9]$".into()], Some(0)));
    assert_eq!(of(&cpio(&[("etc/passwd", b"x"), ("sw-description", json)])), None, "any other archive");
}

#[test]
fn a_description_that_is_not_understood_is_said_so() {
    for (description, says) in [
        (&b"\xff\xfe\x00"[..], "encrypted"),
        (b"software = { version = \"1\"", "ends inside a group"),
        (b"softwares = { };", "no software"),
        (b"{\"software\": 7}", "no software"),
        (b"software = ", "ends before a value"),
        (b"7 = 8;", "does not begin with a name"),
        ([&b"software = "[..], &[b'('; 1000]].concat().as_slice(), "too deeply"),
    ] {
        let c = of(&cpio(&[("sw-description", description)])).unwrap();
        assert!(c.note.contains(says), "{}", c.note);
        assert_eq!((c.version.as_str(), c.fits.len()), ("", 0));
    }
    let large = vec![b' '; 300 << 10];
    assert!(of(&cpio(&[("sw-description", &large)])).unwrap().note.contains("307200 bytes was not read"));
}

#[test]
fn a_mender_artifact_says_its_name_and_its_types() {
    let header = packed(&[("header-info", INFO), ("scripts/a", b"#!/bin/sh\n")]);
    for file in [mender("header.tar.gz", &gzip(&header)), mender("header.tar", &header)] {
        let c = of(&file).unwrap();
        assert_eq!((c.kind, c.name.as_str(), c.note.as_str()), (ContainerKind::Mender, "release-7", "rootfs-image"));
        assert_eq!((c.fits, c.signature), (vec!["beaglebone".into(), "gateway".into()], Some(0)));
    }
    let two = packed(&[("header-info", &br#"{"updates":[{"type":"x"}],"device_types_compatible":["a"],"artifact_name":"old"}"#[..])]);
    let files: &[(&str, &[u8])] = &[("version", VERSION), ("manifest", b""), ("manifest.sig", &[1; 72]), ("header.tar.gz", &gzip(&two))];
    let c = of(&packed(files)).unwrap();
    assert_eq!((c.name.as_str(), c.fits, c.signature), ("old", vec!["a".into()], Some(72)));
    assert!(of(&mender("header.tar.xz", b"\xfd7zXZ")).unwrap().note.contains("not read"));
    assert_eq!(of(&packed(&[("version", b"{\"format\":\"other\"}"), ("header.tar", &header)])), None);
    assert_eq!(of(&packed(&[("readme", b"x"), ("version", VERSION)])), None, "any other archive");
}

#[test]
fn a_header_that_grows_without_end_is_not_unpacked() {
    // 64 MiB of one file before the info: some kilobytes here.
    let bomb = gzip(&packed(&[("scripts/big", &vec![0; 64 << 20]), ("header-info", INFO)]));
    assert!(bomb.len() < HEAD / 2);
    let c = of(&mender("header.tar.gz", &bomb)).unwrap();
    assert_eq!((c.name.as_str(), c.note.as_str()), ("", "its header was not read"));
    let info = vec![b' '; 2 << 20];
    assert_eq!(of(&mender("header.tar.gz", &gzip(&packed(&[("header-info", &info)])))).unwrap().note, "its header was not read");
}

#[test]
fn a_rauc_bundle_says_what_it_fits_where_its_signature_holds_it() {
    let c = of(&rauc(Some(MANIFEST))).unwrap();
    assert_eq!((c.kind, c.version.as_str(), c.fits.as_slice()), (ContainerKind::Rauc, "2026.11-1", &["Example Gateway".to_owned()][..]));
    assert_eq!((c.note.as_str(), c.signature), ("format verity", i64::try_from(cms(Some(MANIFEST)).len()).ok()));
    let plain = of(&rauc(None)).unwrap();
    assert!(plain.fits.is_empty() && plain.note.starts_with("format plain"), "{plain:?}");
    assert_eq!((is_plain(&plain), is_plain(&c)), (true, false));
    let said = of(&rauc(Some(&MANIFEST.replace("verity\n", "plain\n")))).unwrap();
    assert!(is_plain(&said), "what says so of itself as well: {said:?}");
    // A squashfs without a signature, and a signature without a squashfs, are just files.
    assert_eq!(of(&rauc(None)[..4096]), None);
    let mut other = rauc(None);
    other[0] = b'x';
    assert_eq!(of(&other), None);
}

#[test]
fn what_contradicts_the_manifest_is_said() {
    let hardware = |all: &[&str]| all.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>();
    let c = of(&swu()).unwrap();
    assert_eq!(contradictions("fw.swu", &c, "gateway", &[]), None, "the manifest leaves it open");
    assert_eq!(contradictions("fw.swu", &c, "gateway", &hardware(&["1.0", "2.0"])), None);
    let said = contradictions("fw.swu", &c, "gateway", &hardware(&["1.0", "3.0"])).unwrap();
    assert!(said.contains("hardware 1.0, 1.2, 2.0") && said.contains("also says 3.0"), "{said}");
    let pattern = Container { fits: vec!["#RE:^3".into()], ..c };
    assert_eq!(contradictions("fw.swu", &pattern, "gateway", &hardware(&["3.0"])), None, "SWUpdate judges that itself");
    let c = of(&mender("header.tar", &packed(&[("header-info", INFO)]))).unwrap();
    assert_eq!(contradictions("fw.mender", &c, "gateway", &[]), None);
    assert!(contradictions("fw.mender", &c, "sensor", &[]).unwrap().contains("beaglebone, gateway"));
    let c = of(&rauc(Some(MANIFEST))).unwrap();
    assert_eq!(contradictions("fw.raucb", &c, "sensor", &[]), None, "its names are its own");
}

fn checked(c: Option<Container>) -> Result<(), TestCaseError> {
    for text in c.iter().flat_map(|c| c.fits.iter().chain([&c.name, &c.version, &c.note])) {
        prop_assert!(text.chars().count() <= LONGEST && !text.chars().any(crate::text::unseen), "{text:?}");
    }
    prop_assert!(c.is_none_or(|c| c.fits.len() <= MOST_FITS));
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(file in prop::collection::vec(any::<u8>(), 0..2000)) {
        checked(of(&file))?;
    }

    #[test]
    fn a_broken_container_is_judged_without_a_panic(
        which in 0..4_usize,
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        whole: bool,
    ) {
        let header = gzip(&packed(&[("header-info", INFO)]));
        let mut file = match which {
            0 => swu(),
            1 => mender("header.tar.gz", &header),
            2 => rauc(Some(MANIFEST)),
            _ => cpio(&[("sw-description", LIBCONFIG.as_bytes())]),
        };
        // Near the beginning, where lengths and names are, most of the time.
        for (at, byte) in hits {
            let span = if byte % 2 == 0 { file.len().min(1600) } else { file.len() };
            let at = at.index(span);
            file[at] = byte;
        }
        if !whole {
            file.truncate(cut.index(file.len()));
        }
        checked(of(&file))?;
    }

    #[test]
    fn any_description_is_read_or_refused(text in "[a-z={}()\\[\\];:,\"\\\\#/* \n0-9x.@-]{0,300}") {
        let _ = libconfig::parse(&text);
        checked(of(&cpio(&[("sw-description", text.as_bytes())])))?;
    }
}

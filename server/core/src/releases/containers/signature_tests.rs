//! Signatures inside images as openssl makes them, changed in every way, and the keys they are held against. `testdata/signatures.txt` has them, made with
//! `openssl cms -sign`, `openssl dgst -sign` and keys of a day: an authority, the certificate of builds below it, and an RSA key with one of its own.

use super::{
    Ends, doubts,
    signature::{Known, Signed, about, judge},
    signed, unread,
};
use crate::pki::der::encode;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use wire::releases::{Container, ContainerKind, ImageKeyKind, ImageSignatureKind, ImageSignatureState};

fn file(name: &str) -> Vec<u8> {
    let all = include_str!("testdata/signatures.txt");
    let block =
        all.split("== ").find_map(|block| block.strip_prefix(name)?.strip_prefix('\n')).unwrap_or_else(|| panic!("{name} is not there"));
    STANDARD.decode(block.split_whitespace().collect::<String>()).unwrap()
}

fn known(names: &[&str]) -> Vec<Known> {
    let kind = |name: &str| if name.ends_with("-key") { ImageKeyKind::Key } else { ImageKeyKind::Certificate };
    names.iter().map(|name| Known { name: (*name).into(), kind: kind(name), der: file(name) }).collect()
}

fn cms(name: &str) -> Signed {
    Signed { kind: ImageSignatureKind::Cms, signature: file(name), content: Some(file("sw-description")) }
}

#[test]
fn u_5_a_cms_signature_is_by_who_is_known_or_by_whom_they_have_certified() {
    for name in ["cms", "cms-key-id", "cms-no-attributes"] {
        for (keys, by) in [(&["authority"][..], "authority"), (&["rsa", "builds"], "builds"), (&["builds-key"], "builds-key")] {
            let signature = judge(&cms(name), &known(keys));
            assert_eq!((signature.state, signature.keys), (ImageSignatureState::Trusted, vec![by.to_owned()]), "{name} by {keys:?}");
            assert_eq!(signature.by, ["O=Example, CN=Example builds"]);
            assert!(signature.until.is_some_and(|until| until.readable().contains("2125")), "{:?}", signature.until);
        }
        for keys in [&["rsa"][..], &["rsa-key"], &[]] {
            let signature = judge(&cms(name), &known(keys));
            assert_eq!(
                (signature.state, signature.keys.len(), signature.by.len()),
                (ImageSignatureState::UnknownSigner, 0, 1),
                "{name} by {keys:?}"
            );
            assert_eq!(signature.why.contains("no image key is known"), keys.is_empty(), "{}", signature.why);
        }
    }
    for name in ["cms-rsa", "cms-rsa-pss", "cms-no-certificate"] {
        assert_eq!(judge(&cms(name), &known(&["rsa"])).state, ImageSignatureState::Trusted, "{name}");
    }
    let without = judge(&cms("cms-no-certificate"), &known(&["authority"]));
    assert_eq!((without.state, without.by.len()), (ImageSignatureState::UnknownSigner, 0), "{without:?}");
}

#[test]
fn what_was_changed_after_it_was_signed_is_invalid() {
    for name in ["cms", "cms-key-id", "cms-no-attributes", "cms-rsa", "cms-rsa-pss"] {
        let mut changed = cms(name);
        changed.content.as_mut().unwrap()[30] ^= 1;
        assert_eq!(judge(&changed, &known(&["authority", "rsa"])).state, ImageSignatureState::Invalid, "{name}");
    }
    let longer = Signed { content: Some([file("sw-description"), b"more".to_vec()].concat()), ..cms("cms") };
    assert_eq!(judge(&longer, &known(&["authority"])).state, ImageSignatureState::Invalid);
    // A signature that holds what it signs does not speak for what stands beside it.
    let other = Signed { content: Some(file("sw-description")), ..cms("cms-with-manifest") };
    assert_eq!(judge(&other, &known(&["authority"])).state, ImageSignatureState::Invalid);
}

#[test]
fn a_bundle_of_rauc_is_signed_by_what_it_holds() {
    let mut bundle = vec![0; 4096];
    bundle[..4].copy_from_slice(b"hsqs");
    let signature = file("cms-with-manifest");
    bundle.extend_from_slice(&signature);
    bundle.extend_from_slice(&(signature.len() as u64).to_be_bytes());
    let ends = Ends { head: &bundle[..4096], tail: &bundle, size: bundle.len() as u64 };
    assert_eq!(super::recognise(ends).unwrap().fits, ["Example Gateway"]);
    let found = signed(ContainerKind::Rauc, ends).unwrap();
    let signature = judge(&found, &known(&["authority"]));
    assert_eq!(
        (signature.state, signature.by.as_slice()),
        (ImageSignatureState::Trusted, &["O=Example, CN=Example builds".to_owned()][..])
    );
    // In the plain format the whole file is signed, which is not read for it.
    let plain = Signed { content: None, ..cms("cms") };
    assert_eq!(judge(&plain, &known(&["authority"])).state, ImageSignatureState::Unchecked);
}

#[test]
fn an_image_of_swupdate_is_signed_beside_its_description() {
    let image = |signature: &[u8]| {
        let (mut out, description) = (Vec::new(), file("sw-description"));
        for (name, content) in [("sw-description", description.as_slice()), ("sw-description.sig", signature)] {
            out.extend_from_slice(b"070701");
            for field in [1, 0o100_644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0] {
                out.extend_from_slice(format!("{field:08X}").as_bytes());
            }
            out.extend_from_slice(name.as_bytes());
            out.push(0);
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend_from_slice(content);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        let found = signed(ContainerKind::Swupdate, Ends { head: &out, tail: &out, size: out.len() as u64 }).unwrap();
        let signature = judge(&found, &known(&["authority", "rsa-key"]));
        (signature.kind, signature.state, signature.keys)
    };
    let trusted = |kind, key: &str| (kind, ImageSignatureState::Trusted, vec![key.to_owned()]);
    assert_eq!(image(&file("cms")), trusted(ImageSignatureKind::Cms, "authority"));
    assert_eq!(image(&file("pkcs1")), trusted(ImageSignatureKind::Raw, "rsa-key"));
    assert_eq!(image(&file("pss")), trusted(ImageSignatureKind::Raw, "rsa-key"));
    // As long a salt as there can be is not read here, and said to be nobody's.
    assert_eq!(image(&file("pss-long-salt")), (ImageSignatureKind::Raw, ImageSignatureState::UnknownSigner, Vec::new()));
    let packet = [&[0x89, 0x01, 0x33][..], &[7; 307]].concat();
    assert_eq!(image(&packet), (ImageSignatureKind::Pgp, ImageSignatureState::Unchecked, Vec::new()));
    assert_eq!(image(b"-----BEGIN PGP SIGNATURE-----\n").0, ImageSignatureKind::Pgp);
}

#[test]
fn an_artifact_of_mender_is_signed_over_its_list() {
    let artifact = |manifest: &[u8]| {
        let mut tar = tar::Builder::new(Vec::new());
        let signature = format!("{}\n", STANDARD.encode(file("mender-signature")));
        for (name, content) in
            [("version", &br#"{"format":"mender","version":3}"#[..]), ("manifest", manifest), ("manifest.sig", signature.as_bytes())]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        }
        let file = tar.into_inner().unwrap();
        let found = signed(ContainerKind::Mender, Ends { head: &file, tail: &file, size: file.len() as u64 }).unwrap();
        judge(&found, &known(&["rsa", "builds-key"]))
    };
    let right = artifact(&file("mender-manifest"));
    assert_eq!((right.state, right.keys, right.by.len()), (ImageSignatureState::Trusted, vec!["builds-key".to_owned()], 0));
    assert_eq!(artifact(b"another list\n").state, ImageSignatureState::UnknownSigner, "a signature without a name fits nobody then");
}

#[test]
fn what_a_key_is_is_told_before_it_is_known() {
    let told = |name: &str| about(&file(name)).map(|about| (about.kind, about.text, about.not_after.is_some()));
    assert_eq!(told("authority"), Some((ImageKeyKind::Certificate, "O=Example, CN=Example image authority".into(), true)));
    assert_eq!(told("rsa-key"), Some((ImageKeyKind::Key, "RSA".into(), false)));
    assert_eq!(told("builds-key"), Some((ImageKeyKind::Key, "P-256".into(), false)));
    assert_eq!(told("cms"), None);
    assert_eq!(about(&[file("rsa-key"), vec![0]].concat()), None, "bytes behind it");
}

#[test]
fn doubts_are_told_where_keys_are_known_and_what_is_wrong_always() {
    let container = |signature| Container { signature, ..unread(ContainerKind::Swupdate) };
    let mut wrong = cms("cms");
    wrong.content.as_mut().unwrap()[0] ^= 1;
    let (wrong, unknown, none) = (judge(&wrong, &[]), judge(&cms("cms"), &known(&["rsa"])), judge(&cms("cms"), &[]));
    for known in [true, false] {
        let told = doubts("fw.swu", &container(Some(900)), Some(&wrong), known);
        assert!(told.len() == 1 && told[0].contains("the signature is invalid"), "{told:?}");
        let unsigned = doubts("fw.swu", &container(Some(0)), None, known);
        assert_eq!(unsigned.len(), usize::from(known), "{unsigned:?}");
    }
    let told = doubts("fw.swu", &container(Some(900)), Some(&unknown), true);
    assert!(told[0].contains("by O=Example, CN=Example builds, and whoever made it is vouched for by none"), "{told:?}");
    assert!(doubts("fw.swu", &container(Some(900)), Some(&none), false).is_empty());
    let trusted = judge(&cms("cms"), &known(&["authority"]));
    assert!(doubts("fw.swu", &container(Some(900)), Some(&trusted), true).is_empty());
}

#[test]
fn a_certificate_that_is_no_authority_certifies_nobody() {
    // Who has a certificate of builds can't make others by it.
    let (key, below) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "No authority");
    let leaf = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(leaf.der(), &key).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Below it");
    let forged = params.signed_by(&below, &issuer).unwrap();
    let content = b"software = { };".to_vec();
    let signature = made_by(&below, forged.der(), &content, 0);
    let signed = Signed { kind: ImageSignatureKind::Cms, signature, content: Some(content) };
    let by = |name: &str, der: &[u8]| Known { name: name.into(), kind: ImageKeyKind::Certificate, der: der.to_vec() };
    assert_eq!(judge(&signed, &[by("forged", forged.der())]).state, ImageSignatureState::Trusted, "the signature itself is right");
    assert_eq!(judge(&signed, &[by("leaf", leaf.der())]).state, ImageSignatureState::UnknownSigner);
}

/// Signed data by this key without attributes, naming so many digest algorithms that nobody has.
fn made_by(key: &rcgen::KeyPair, certificate: &[u8], content: &[u8], more: usize) -> Vec<u8> {
    use rcgen::SigningKey as _;
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    let algorithm = |oid: &[u8]| encode(0x30, &encode(0x06, oid));
    let sha256 = algorithm(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]);
    let whose = encode(0x30, &[parsed.issuer().as_raw(), &encode(0x02, parsed.raw_serial())].concat());
    let ecdsa = algorithm(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
    let signature = encode(0x04, &key.sign(content).unwrap());
    let signer = encode(0x30, &[encode(0x02, &[1]), whose, sha256.clone(), ecdsa, signature].concat());
    let others: Vec<u8> = (0..=u8::MAX).take(more).flat_map(|n| algorithm(&[0x2a, n / 100, n % 100])).collect();
    let digests = [sha256, others].concat();
    let inner = encode(0x30, &encode(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]));
    let data = [encode(0x02, &[1]), encode(0x31, &digests), inner, encode(0xa0, certificate), encode(0x31, &signer)].concat();
    let kind = encode(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02]);
    encode(0x30, &[kind, encode(0xa0, &encode(0x30, &data))].concat())
}

#[test]
fn certificates_stand_in_any_order_and_bytes_may_follow() {
    let (authority, builds, mut signature) = (file("authority"), file("builds"), file("cms-with-manifest"));
    let together = [authority.as_slice(), &builds].concat();
    let at = signature.windows(together.len()).position(|held| held == together).unwrap();
    signature[at..at + together.len()].copy_from_slice(&[builds, authority].concat());
    signature.extend_from_slice(&[0; 8]);
    let turned = Signed { kind: ImageSignatureKind::Cms, signature, content: None };
    assert_eq!(judge(&turned, &known(&["authority"])).state, ImageSignatureState::Trusted);
}

#[test]
fn what_is_not_strictly_encoded_or_has_too_many_members_is_not_read() {
    // A length that is not said before the end, as a signature has it that is made while it is written.
    let whole = file("cms");
    let signature = [&[0x30, 0x80][..], &whole[4..], &[0, 0]].concat();
    let unread = judge(&Signed { signature, ..cms("cms") }, &known(&["authority"]));
    assert_eq!((unread.state, unread.why.as_str()), (ImageSignatureState::Unchecked, "it can't be read"));

    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let own = Known { name: "own".into(), kind: ImageKeyKind::Certificate, der: certificate.der().to_vec() };
    let content = b"software = { };".to_vec();
    for (more, state) in [(0, ImageSignatureState::Trusted), (255, ImageSignatureState::Trusted), (256, ImageSignatureState::Unchecked)] {
        let signature = made_by(&key, certificate.der(), &content, more);
        let signed = Signed { kind: ImageSignatureKind::Cms, signature, content: Some(content.clone()) };
        assert_eq!(judge(&signed, std::slice::from_ref(&own)).state, state, "{more} more");
    }
}

proptest! {
    #[test]
    fn a_signature_with_any_byte_changed_is_never_trusted_for_something_else(
        which in prop::sample::select(vec!["cms", "cms-key-id", "cms-no-attributes", "cms-rsa"]),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut signed = cms(which);
        let content = signed.content.as_mut().unwrap();
        let place = at.index(content.len());
        content[place] ^= 1 << bit;
        prop_assert_ne!(judge(&signed, &known(&["authority", "rsa", "builds-key", "rsa-key"])).state, ImageSignatureState::Trusted);
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(
        signature in prop::collection::vec(any::<u8>(), 0..600),
        which in prop::sample::select(vec!["cms", "cms-key-id", "cms-rsa", "cms-with-manifest"]),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let keys = known(&["authority", "rsa", "builds-key"]);
        for kind in ImageSignatureKind::ALL {
            judge(&Signed { kind: *kind, signature: signature.clone(), content: Some(file("sw-description")) }, &keys);
        }
        let mut broken = cms(which);
        for (at, byte) in hits {
            let place = at.index(broken.signature.len());
            broken.signature[place] = byte;
        }
        let signature = judge(&broken, &keys);
        prop_assert!(signature.by.iter().all(|by| !by.chars().any(crate::text::unseen)));
    }
}

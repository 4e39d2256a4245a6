//! Table (a) of the PKI contract against what the builder really makes, field by field, and against OpenSSL where it is installed.

use crate::pki::{
    profile::{self, Kind, Publication, Subject, Validity},
    recognise,
};
use proptest::prelude::*;
use rcgen::{Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use std::fmt::Write as _;
use wire::{Timestamp, ids::DeviceId};
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer as _};

const NOW: Timestamp = Timestamp(1_795_341_600_123);

fn gw1() -> DeviceId {
    "gw-1".parse().unwrap()
}

struct Set {
    certificates: Vec<(Kind, CertificateDer<'static>)>,
}

fn sign(kind: Kind, subject: &Subject, issuer: Option<(&CertificateDer<'static>, &KeyPair)>, key: &KeyPair) -> CertificateDer<'static> {
    let validity = profile::validity(kind, NOW, None).unwrap();
    let published = Publication { base_url: "http://pki.example.com", issuer: "ca_1" };
    let params = profile::parameters(kind, subject, profile::serial([0xff; 20]), validity, Some(published)).unwrap();
    match issuer {
        None => params.self_signed(key).unwrap().into(),
        Some((der, by)) => params.signed_by(key, &Issuer::from_ca_cert_der(der, by).unwrap()).unwrap().into(),
    }
}

fn all() -> Set {
    let key = || KeyPair::generate().unwrap();
    let (root_key, device_key, server_key) = (key(), key(), key());
    let root = sign(Kind::Root, &Subject::authority(Kind::Root, "default", "G1"), None, &root_key);
    let device_ca =
        sign(Kind::DeviceAuthority, &Subject::authority(Kind::DeviceAuthority, "default", "G1-1"), Some((&root, &root_key)), &device_key);
    let server_ca =
        sign(Kind::ServerAuthority, &Subject::authority(Kind::ServerAuthority, "default", "G1-1"), Some((&root, &root_key)), &server_key);
    let names = ["devices.example.com".to_owned(), "192.0.2.1".to_owned()];
    let server = sign(Kind::Server, &Subject::server("default", &names).unwrap(), Some((&server_ca, &server_key)), &key());
    let device =
        sign(Kind::Device, &Subject::device("fleet.example.com", "default", &gw1()).unwrap(), Some((&device_ca, &device_key)), &key());
    let responder =
        sign(Kind::OcspSigner, &Subject::responder("default", "Fleetward Device CA G1-1"), Some((&device_ca, &device_key)), &key());
    Set {
        certificates: vec![
            (Kind::Root, root),
            (Kind::DeviceAuthority, device_ca),
            (Kind::ServerAuthority, server_ca),
            (Kind::Server, server),
            (Kind::Device, device),
            (Kind::OcspSigner, responder),
        ],
    }
}

fn describe(der: &CertificateDer<'_>) -> String {
    let (rest, c) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    let mut out = String::new();
    let days = (c.validity().not_after.timestamp() - c.validity().not_before.timestamp()) / 86_400;
    let _ = writeln!(out, "{} issued by {}", c.subject(), c.issuer());
    let _ = writeln!(
        out,
        "  version {} signature {} days {days} serial {}",
        c.version(),
        c.signature_algorithm.algorithm,
        c.raw_serial_as_string()
    );
    let _ = writeln!(out, "  from {} to {}", c.validity().not_before, c.validity().not_after);
    for e in c.extensions() {
        let critical = if e.critical { "critical " } else { "" };
        let shown = match e.parsed_extension() {
            // These depend on the keys, which are fresh every time.
            ParsedExtension::SubjectKeyIdentifier(id) => format!("subject key identifier of {} octets", id.0.len()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                format!(
                    "authority key identifier of {} octets, names {}",
                    id.key_identifier.as_ref().unwrap().0.len(),
                    id.authority_cert_issuer.is_some()
                )
            }
            ParsedExtension::KeyUsage(u) => format!("key usage {u}"),
            ParsedExtension::BasicConstraints(b) => format!("basic constraints ca={} path={:?}", b.ca, b.path_len_constraint),
            ParsedExtension::SubjectAlternativeName(n) => format!("names {:?}", n.general_names),
            _ => format!("{} = {}", e.oid, printable(e.value)),
        };
        let _ = writeln!(out, "  {critical}{shown}");
    }
    out
}

fn printable(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| std::ascii::escape_default(*b)).map(char::from).collect()
}

#[test]
fn every_kind_looks_like_the_table() {
    let text: String = all().certificates.iter().map(|(_, der)| describe(der)).collect();
    insta::assert_snapshot!(text);
}

/// P-4: no serial number of hardware, and no country either: TLS 1.2 shows a client's certificate to whoever listens.
#[test]
fn p_4_subjects_have_organization_and_common_name_and_nothing_else() {
    for (kind, der) in all().certificates {
        let (_, c) = X509Certificate::from_der(&der).unwrap();
        let named: Vec<String> = c.subject().iter_attributes().map(|a| a.attr_type().to_id_string()).collect();
        assert!(named.iter().all(|oid| ["2.5.4.10", "2.5.4.3"].contains(&oid.as_str())), "{kind:?}: {named:?}");
        assert!(named.iter().any(|oid| oid == "2.5.4.3"), "{kind:?}");
    }
}

#[test]
fn authority_key_identifiers_are_the_issuers_octet_for_octet() {
    let set = all();
    let ski = |der: &CertificateDer<'_>| {
        let (_, c) = X509Certificate::from_der(der).unwrap();
        c.iter_extensions()
            .find_map(|e| if let ParsedExtension::SubjectKeyIdentifier(id) = e.parsed_extension() { Some(id.0.to_vec()) } else { None })
    };
    let aki = |der: &CertificateDer<'_>| {
        let (_, c) = X509Certificate::from_der(der).unwrap();
        c.iter_extensions().find_map(|e| {
            if let ParsedExtension::AuthorityKeyIdentifier(id) = e.parsed_extension() {
                id.key_identifier.as_ref().map(|k| k.0.to_vec())
            } else {
                None
            }
        })
    };
    let der = |at: usize| &set.certificates[at].1;
    for (child, parent) in [(1, 0), (2, 0), (3, 2), (4, 1), (5, 1)] {
        assert!(aki(der(child)).is_some());
        assert_eq!(aki(der(child)), ski(der(parent)), "P-9");
    }
}

/// K-3: what the signing key sees is recognised as what it is, so an authority's key never signs another kind.
#[test]
fn every_kind_is_recognised_and_nothing_else() {
    for (kind, der) in all().certificates {
        let (_, c) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(recognise::kind(c.tbs_certificate.as_ref()), Ok(kind));
    }
    // A leaf with one field of an authority.
    let key = KeyPair::generate().unwrap();
    let subject = Subject::device("fleet.example.com", "default", &gw1()).unwrap();
    let validity = profile::validity(Kind::Device, NOW, None).unwrap();
    let good = profile::parameters(Kind::Device, &subject, profile::serial([1; 20]), validity, None).unwrap();
    let recognised = |params: &rcgen::CertificateParams| {
        let der = params.self_signed(&key).unwrap();
        let (_, c) = X509Certificate::from_der(der.der()).unwrap();
        recognise::kind(c.tbs_certificate.as_ref()).ok()
    };
    assert_eq!(recognised(&good), Some(Kind::Device));
    let changed = |change: fn(&mut rcgen::CertificateParams)| {
        let mut params = good.clone();
        change(&mut params);
        recognised(&params)
    };
    assert_eq!(changed(|p| p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)), None);
    assert_eq!(changed(|p| p.is_ca = rcgen::IsCa::NoCa), None);
    assert_eq!(changed(|p| p.key_usages.push(rcgen::KeyUsagePurpose::KeyCertSign)), None);
    assert_eq!(changed(|p| p.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ServerAuth)), None);
    assert_eq!(changed(|p| p.extended_key_usages.clear()), None);
    assert_eq!(changed(|p| p.subject_alt_names.push(rcgen::SanType::DnsName("a.example.com".try_into().unwrap()))), None);
    assert_eq!(changed(|p| p.subject_alt_names.clear()), None);
    assert_eq!(changed(|p| p.serial_number = Some(7.into())), None);
    assert_eq!(changed(|p| p.not_after += time::Duration::days(3650)), None);
    assert_eq!(changed(|p| p.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]))), None);
}

/// Strict verification by an independent implementation. Needs the `openssl` program; says so where there is none.
#[test]
fn openssl_agrees() {
    let Ok(version) = std::process::Command::new("openssl").arg("version").output() else {
        eprintln!("openssl is not installed: its opinion of our certificates was not asked");
        return;
    };
    assert!(version.status.success());
    let folder = tempfile::tempdir().unwrap();
    let set = all();
    let file = |kind: Kind| {
        let der = &set.certificates.iter().find(|(k, _)| *k == kind).unwrap().1;
        let path = folder.path().join(format!("{kind:?}.pem"));
        std::fs::write(&path, crate::pem::encode("CERTIFICATE", der)).unwrap();
        path
    };
    let (root, device_ca, server_ca) = (file(Kind::Root), file(Kind::DeviceAuthority), file(Kind::ServerAuthority));
    let verify = |purpose: &str, through: &std::path::Path, leaf: &std::path::Path| {
        let out = std::process::Command::new("openssl")
            .args(["verify", "-x509_strict", "-attime", "1795341700", "-purpose", purpose, "-CAfile"])
            .args([&root, std::path::Path::new("-untrusted"), through, leaf] as [&std::path::Path; 4])
            .output()
            .unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout))
    };
    let (ok, said) = verify("sslclient", &device_ca, &file(Kind::Device));
    assert!(ok, "{said}");
    let (ok, said) = verify("sslserver", &server_ca, &file(Kind::Server));
    assert!(ok, "{said}");
    let (ok, said) = verify("ocsphelper", &device_ca, &file(Kind::OcspSigner));
    assert!(ok, "{said}");
    assert!(!verify("sslclient", &server_ca, &file(Kind::Server)).0, "a server's leaf is no client");
    assert!(!verify("sslserver", &device_ca, &file(Kind::Device)).0, "a device's leaf is no server");
}

proptest! {
    /// P-6: backdated, never longer than the issuer, refused when too little would be left.
    #[test]
    fn validity_keeps_its_bounds(now in 0_i64..4_000_000_000_000, left in -10_000_000_i64..1_000_000_000_000) {
        let (now, issuer) = (Timestamp(now), Timestamp(now + left));
        match profile::validity(Kind::Device, now, Some(issuer)) {
            Some(Validity { from, until }) => {
                prop_assert!(until <= issuer && until <= now.plus(Kind::Device.life()));
                prop_assert!(until.since(profile::second(now)) >= profile::SHORTEST);
                prop_assert!(from <= now.plus(-profile::BACKDATE) && now.plus(-profile::BACKDATE).since(from) < 1000);
                prop_assert_eq!((from.0 % 1000, until.0 % 1000), (0, 0));
            }
            None => prop_assert!(left < profile::SHORTEST + 1000),
        }
    }

    /// P-6: what a profile may say can be issued in every millisecond, and a second less in none.
    #[test]
    fn the_shortest_life_is_issued_at_any_millisecond(now in 0_i64..4_000_000_000_000) {
        let now = Timestamp(now);
        let made = profile::validity_for(profile::SHORTEST, now, None);
        prop_assert_eq!(made.map(|v| v.until), Some(profile::second(now.plus(profile::SHORTEST))));
        prop_assert_eq!(profile::validity_for(profile::SHORTEST - 1000, now, None), None);
    }

    /// P-2: positive and always twenty octets.
    #[test]
    fn serials_are_positive_and_of_one_length(random: [u8; 20]) {
        let serial = profile::serial(random);
        prop_assert_eq!(serial[0] & 0xc0, 0x40);
        prop_assert_eq!(&serial[1..], &random[1..]);
    }

    /// two thirds of the life, give or take five percent, and the same for the same device.
    #[test]
    fn renewal_is_due_at_two_thirds(name in "[a-z]{1,20}") {
        let id: DeviceId = name.parse().unwrap();
        let validity = profile::validity(Kind::Device, NOW, None).unwrap();
        let at = profile::renew_after(validity, &id);
        let share = at.since(validity.from) * 1000 / validity.until.since(validity.from);
        prop_assert!((615..=718).contains(&share), "{share} per mille");
        prop_assert_eq!(at, profile::renew_after(validity, &id));
    }
}

//! What others sign, and what of it comes in (P-5, P-7 to P-9, R-10).

use super::{
    super::{life::check, life::enrol, life::enrol_with, life::leaf},
    entropy, pem, request, system, taken_away,
};
use crate::{
    access::Actor,
    clock::Clock as _,
    db::EngineKind,
    entropy::Entropy,
    pki::{Error, offline, profile::DAY},
    testing::World,
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Eku, IsCa, Issuer, KeyPair, KeyUsagePurpose as Usage};
use rstest::rstest;
use wire::{
    Timestamp,
    consents::Deed,
    pki::{AuthorityUse, RevocationReason},
    roots::{AuthorityRequest, NewAuthorityRequest},
    states::{AuthorityState, KeyPlace, Role},
};
use x509_parser::prelude::FromDer as _;

/// A root that rcgen makes, for certificates that no tool of ours would sign.
struct Foreign {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(cn: &str, now: Timestamp, days: i64) -> CertificateParams {
    let mut p = CertificateParams::default();
    p.distinguished_name = rcgen::DistinguishedName::new();
    p.distinguished_name.push(rcgen::DnType::CountryName, rcgen::DnValue::PrintableString("DE".try_into().unwrap()));
    p.distinguished_name.push(rcgen::DnType::CommonName, cn);
    p.not_before = crate::pki::profile::instant(now).unwrap();
    p.not_after = crate::pki::profile::instant(now.plus(days * DAY)).unwrap();
    p.key_usages = vec![Usage::KeyCertSign, Usage::CrlSign];
    p
}

impl Foreign {
    fn of(cn: &str, now: Timestamp, change: impl Fn(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut p = params(cn, now, 3650);
        p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut p);
        let der = p.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(p, key) }
    }
    /// Signs a request's key with a good profile, changed a little.
    fn sign(&self, request: &AuthorityRequest, cn: &str, now: Timestamp, change: impl Fn(&mut CertificateParams)) -> Vec<u8> {
        let eku = if request.kind == AuthorityUse::Server { Eku::ServerAuth } else { Eku::ClientAuth };
        let mut p = params(cn, now, 1000);
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        p.extended_key_usages = vec![eku, Eku::OcspSigning];
        p.use_authority_key_identifier_extension = true;
        change(&mut p);
        let (_, csr) = x509_parser::pem::parse_x509_pem(request.csr.as_bytes()).unwrap();
        let (_, csr) = x509_parser::certification_request::X509CertificationRequest::from_der(&csr.contents).unwrap();
        let key = rcgen::SubjectPublicKeyInfo::from_der(csr.certification_request_info.subject_pki.raw).unwrap();
        p.signed_by(&key, &self.issuer).unwrap().der().to_vec()
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r10_an_operator_s_own_root_takes_over(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    pki.renew_identity().await.unwrap();
    let (_, _, old_leaf) = enrol(&w, "gw-1").await;
    let now = w.clock.now();
    let own = Foreign::of("Acme Root", now, |_| {});
    let (device, server) = (request(&w, AuthorityUse::Device, true).await, request(&w, AuthorityUse::Server, true).await);
    assert!(device.subject.ends_with("Device CA G2-2"), "{}", device.subject);
    let for_device = own.sign(&device, "Acme Device CA", now, |_| {});
    assert!(pki.import_authority(&admin, &pem(&for_device)).await.unwrap_err().to_string().contains("Bring that root's certificate along"));
    // In any order.
    let imported = pki.import_authority(&admin, &[pem(&own.der), pem(&for_device)].concat()).await.unwrap();
    let acme = imported.root.unwrap();
    assert_eq!(
        (acme.state, acme.key, acme.subject.as_str(), acme.generation),
        (AuthorityState::Staged, KeyPlace::Offline, "C=DE, CN=Acme Root", 2)
    );
    let bundle = pki.trust_bundle(&w.org);
    assert_eq!((bundle.roots.len(), bundle.cross.len()), (2, 1), "the active root vouches for it (NewWithOld)");
    assert!(bundle.roots.contains(&pem(&own.der)));
    let early = pki.activate_authority(&admin, &acme.id, true).await.unwrap_err();
    assert!(matches!(early, Error::AuthorityState(_)), "nothing for listeners under it yet");
    assert!(
        matches!(pki.activate_authority(&admin, &imported.authority.id, true).await, Err(Error::AuthorityState(_))),
        "it waits for its root"
    );
    let for_server = own.sign(&server, "Acme Server CA", now, |_| {});
    assert_eq!(pki.import_authority(&admin, &pem(&for_server)).await.unwrap().root, None, "it is known by now");
    pki.activate_authority(&admin, &acme.id, true).await.unwrap();
    let (_, enrolled, leaf) = enrol(&w, "gw-2").await;
    assert!(enrolled.trust_bundle.contains(&pem(&own.der)) && check(&w, &leaf).is_ok() && check(&w, &old_leaf).is_ok());
    let chain = pki.server_identity().unwrap().chain.clone();
    assert!(chain.iter().any(|c| c.as_ref() == own.der.as_slice()), "listeners lead to it");
    assert_eq!(pki.root_pem(), pem(&own.der));
    for a in pki.authorities_of(&w.org).into_iter().filter(|a| a.state == AuthorityState::Retiring && a.kind != "root") {
        pki.retire_authority(&admin, &a.id, true).await.unwrap();
    }
    let old = pki.authorities_of(&w.org).into_iter().find(|a| a.kind == "root" && a.state == AuthorityState::Retiring).unwrap();
    pki.retire_authority(&admin, &old.id, true).await.unwrap();
    assert_eq!(pki.trust_bundle(&w.org).roots, [pem(&own.der)]);
    // The next one under it takes its name from the root's generation, whatever the root is called.
    let next = request(&w, AuthorityUse::Device, false).await;
    assert!(next.subject.ends_with("Device CA G2-3"), "{}", next.subject);
    assert_eq!(pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap_err().fault().code, "root_offline");
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

#[tokio::test]
async fn p_5_nothing_is_taken_from_a_request_but_its_key_and_the_proposed_name() {
    let w = World::open(EngineKind::Sqlite).await;
    let file = taken_away(&w).await;
    let key = KeyPair::generate().unwrap();
    let ask = |organization: Option<&str>, cn: &str, key: &KeyPair| {
        let mut p = CertificateParams::default();
        p.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(o) = organization {
            p.distinguished_name.push(rcgen::DnType::OrganizationName, o);
        }
        p.distinguished_name.push(rcgen::DnType::CommonName, cn);
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(3));
        p.key_usages = vec![Usage::DigitalSignature, Usage::KeyCertSign];
        p.extended_key_usages = vec![Eku::ServerAuth, Eku::CodeSigning];
        let csr = p.serialize_request(key).unwrap().pem().unwrap();
        offline::issue(&file, csr.as_bytes(), None, w.clock.now(), &entropy() as &dyn Entropy)
    };
    let signed = ask(Some("default"), "Fleetward Device CA G1-9", &key).unwrap();
    let (_, got) = x509_parser::certificate::X509Certificate::from_der(&signed.der).unwrap();
    assert_eq!(got.basic_constraints().unwrap().unwrap().value.path_len_constraint, Some(0));
    let eku = got.extended_key_usage().unwrap().unwrap().value;
    assert!(eku.client_auth && eku.ocsp_signing && !eku.server_auth && !eku.code_signing);
    assert_eq!(got.key_usage().unwrap().unwrap().value.flags, 0b110_0000);
    for name in ["gw-1", "Fleetward Root CA G2", "Fleetward Device CA ", "Fleetward Device CA G1-2 Evil", "Acme Device CA G1-2"] {
        assert!(ask(Some("default"), name, &key).is_err(), "{name}");
    }
    assert!(ask(None, "Fleetward Device CA G1-9", &key).is_err());
    let weak = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert!(ask(Some("default"), "Fleetward Device CA G1-9", &weak).is_err(), "authorities have P-256 keys (P-1)");
    // Its key can be compared before anything is signed.
    let csr = request(&w, AuthorityUse::Device, false).await;
    let asked = offline::asked(csr.csr.as_bytes()).unwrap();
    assert_eq!((&asked.subject, &asked.key_sha256), (&csr.subject, &csr.public_key_sha256));
    let colons =
        csr.public_key_sha256.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two).to_uppercase()).collect::<Vec<_>>().join(":");
    assert_eq!((asked.is_for(&csr.public_key_sha256), asked.is_for(&colons)), (Ok(()), Ok(())));
    assert_eq!(asked.is_for(&"0".repeat(64)), Err(offline::NotSigned::OtherKey(asked.key_sha256.clone())));
    assert_eq!(asked.is_for("G1-2"), Err(offline::NotSigned::NoHash));
    assert!(offline::asked(b"junk").is_err());
    assert!(offline::issue(&file, b"junk", None, w.clock.now(), &entropy() as &dyn Entropy).is_err());
}

/// Each refusal names its rule (P-1 … P-9).
#[tokio::test]
async fn p_7_to_p_9_a_certificate_outside_the_profile_does_not_come_in() {
    let w = World::open(EngineKind::Sqlite).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let now = w.clock.now();
    let own = Foreign::of("Acme Root", now, |_| {});
    let device = request(&w, AuthorityUse::Device, true).await;
    let server = request(&w, AuthorityUse::Server, true).await;
    let import = async |root: &Foreign, der: &[u8]| {
        let refused = pki.import_authority(&admin, &[pem(der), pem(&root.der)].concat()).await.unwrap_err();
        assert_eq!(refused.fault().code, "certificate_refused");
        refused.to_string()
    };
    let cn = "Acme Device CA";
    let wrong: Vec<(Vec<u8>, &str)> = vec![
        (own.sign(&device, cn, now, |p| p.is_ca = IsCa::ExplicitNoCa), "CA:TRUE"),
        (own.sign(&device, cn, now, |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "pathlen:0"),
        (own.sign(&device, cn, now, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))), "pathlen:0"),
        (own.sign(&device, cn, now, |p| p.key_usages = vec![Usage::CrlSign]), "keyCertSign"),
        (own.sign(&device, cn, now, |p| p.key_usages.push(Usage::DigitalSignature)), "nothing else"),
        (own.sign(&device, cn, now, |p| p.key_usages.clear()), "keyCertSign"),
        (own.sign(&device, cn, now, |p| p.extended_key_usages = vec![Eku::ServerAuth, Eku::OcspSigning]), "clientAuth"),
        (own.sign(&device, cn, now, |p| p.extended_key_usages.push(Eku::ServerAuth)), "nothing else"),
        (own.sign(&device, cn, now, |p| p.extended_key_usages.clear()), "clientAuth"),
        (own.sign(&device, cn, now, |p| p.use_authority_key_identifier_extension = false), "authority key identifier"),
        (own.sign(&device, cn, now, |p| p.not_after = crate::pki::profile::instant(now.plus(4000 * DAY)).unwrap()), "(P-6)"),
        (
            own.sign(&server, "Acme Server CA", now, |p| p.not_after = crate::pki::profile::instant(now.plus(2000 * DAY)).unwrap()),
            "five years",
        ),
        (own.sign(&device, cn, now, |p| p.not_after = crate::pki::profile::instant(now.plus(60 * DAY)).unwrap()), "90 days"),
        (own.sign(&device, cn, now, |p| p.not_before = crate::pki::profile::instant(now.plus(DAY)).unwrap()), "clock"),
        (
            own.sign(&device, cn, now, |p| p.subject_alt_names = vec![rcgen::SanType::DnsName("a.example".try_into().unwrap())]),
            "alternative names",
        ),
        (own.sign(&device, "Acme Root", now, |_| {}), "(P-7)"),
    ];
    for (der, says) in &wrong {
        let said = import(&own, der).await;
        assert!(said.contains(says), "{says}: {said}");
    }
    let ours = {
        // The very name of an authority that is here already (P-7).
        let sign = |p: &mut CertificateParams| {
            p.distinguished_name = rcgen::DistinguishedName::new();
            p.distinguished_name.push(rcgen::DnType::OrganizationName, "default");
            p.distinguished_name.push(rcgen::DnType::CommonName, "Fleetward Device CA G1-1");
        };
        own.sign(&device, cn, now, sign)
    };
    assert!(import(&own, &ours).await.contains("(P-7)"));
    let twice = own.sign(&device, cn, now, |p| {
        p.distinguished_name.push(rcgen::DnType::LocalityName, rcgen::DnValue::Ia5String("Bonn".try_into().unwrap()));
    });
    assert!(import(&own, &twice).await.contains("can't be written"));
    // Roots that are none.
    let roots: Vec<(Foreign, &str)> = vec![
        (Foreign::of("Bad 1", now, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))), "pathlen:0"),
        (Foreign::of("Bad 2", now, |p| p.key_usages = vec![Usage::KeyCertSign]), "cRLSign"),
        (Foreign::of("Bad 3", now, |p| p.extended_key_usages = vec![Eku::ClientAuth]), "extended key usage"),
        (Foreign::of("Bad 4", now, |p| p.not_after = crate::pki::profile::instant(now.plus(-1000)).unwrap()), "ended"),
    ];
    for (root, says) in &roots {
        let said = import(root, &root.sign(&device, cn, now, |_| {})).await;
        assert!(said.contains(says), "{says}: {said}");
    }
    // Somebody else's root beside it; a key that nobody asked for; no certificate at all; a torn one.
    let other = Foreign::of("Acme Root", now, |_| {});
    assert!(import(&other, &own.sign(&device, cn, now, |_| {})).await.contains("which is no root"));
    let good = own.sign(&device, cn, now, |_| {});
    let torn = &good[..good.len() - 3];
    assert!(pki.import_authority(&admin, &pem(torn)).await.is_err());
    for junk in ["", "-----BEGIN CERTIFICATE-----", &pem(&good).repeat(5), &pem(&own.der)] {
        assert_eq!(pki.import_authority(&admin, junk).await.unwrap_err().fault().code, "certificate_refused");
    }
    assert!(pki.import_authority(&w.operator().await, &pem(&good)).await.is_err(), "admins only");
    assert_eq!(pki.authorities_of(&w.org).len(), 3, "nothing came in");
    assert!(pki.import_authority(&admin, &[pem(&good), pem(&own.der)].concat()).await.is_ok());
    let late = Foreign::of("Late Root", now, |_| {});
    let server = request(&w, AuthorityUse::Server, true).await;
    let refused =
        pki.import_authority(&admin, &[pem(&late.sign(&server, "Late", now, |_| {})), pem(&late.der)].concat()).await.unwrap_err();
    assert!(matches!(refused, Error::AuthorityState(_)), "one change at a time");
    let id = server.id;
    pki.withdraw_authority_request(&admin, &id).await.unwrap();
    assert!(matches!(pki.withdraw_authority_request(&admin, &id).await, Err(Error::NoSuchRequest)));
    assert_eq!(pki.authorities_of(&w.org).iter().find(|a| a.id == device.id).unwrap().state, AuthorityState::Staged);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_6_what_one_person_brings_is_booked_as_what_it_is(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    w.person("eve", Role::Admin).await;
    pki.set_approvals(&admin, true).await.unwrap();
    let now = w.clock.now();
    let own = Foreign::of("Acme Root", now, |_| {});
    let (device, server) = (request(&w, AuthorityUse::Device, true).await, request(&w, AuthorityUse::Server, true).await);
    let for_device = [pem(&own.sign(&device, "Acme Device CA", now, |_| {})), pem(&own.der)].concat();
    assert_eq!(pki.import_authority(&admin, &for_device).await.unwrap_err().fault().code, "second_person");
    let shell = Actor::shell(w.org.clone());
    assert!(pki.import_authority(&shell, &for_device).await.unwrap().root.is_some());
    // Its root comes along again, and is known by now.
    let for_server = [pem(&own.sign(&server, "Acme Server CA", now, |_| {})), pem(&own.der)].concat();
    assert!(pki.import_authority(&shell, &for_server).await.unwrap().root.is_none());
    let log = w.fleet.access().search_audit(&admin, "authority.alone", None).await.unwrap().entries.items;
    let deeds: Vec<Deed> = log
        .iter()
        .rev()
        .filter(|e| e.action == "authority.alone")
        .map(|e| serde_json::from_value(serde_json::from_str::<serde_json::Value>(&e.detail).unwrap()["deed"].clone()).unwrap())
        .collect();
    assert_eq!(deeds, [AuthorityUse::Root, AuthorityUse::Server].map(|kind| Deed::Stage { kind }));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p_7_a_request_does_not_take_the_place_of_the_authority_of_claims(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let pki = w.fleet.pki();
    let new = NewAuthorityRequest { kind: AuthorityUse::Claim, own_root: false, fresh: false };
    let request = pki.request_authority(&system(&w), new).await.unwrap();
    pki.withdraw_authority_request(&system(&w), &request.id).await.unwrap();
    pki.ensure_claim_authority(&system(&w)).await.unwrap();
    let made = pki.list_authorities(&system(&w)).unwrap().into_iter().find(|a| a.kind == "claim").unwrap();
    assert_eq!(made.state, AuthorityState::Active);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_a_root_whose_key_was_blocked_after_a_compromise_does_not_come_in(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let own = Foreign::of("Acme Root", w.clock.now(), |_| {});
    let peer = check(&w, &leaf(&enrol_with(&w, "gw-1", own.issuer.key()).await.unwrap())).unwrap();
    pki.revoke(&admin, &peer.certificate, RevocationReason::KeyCompromise).await.unwrap();
    let device = request(&w, AuthorityUse::Device, true).await;
    let import = async |root: &Foreign| {
        let signed = root.sign(&device, "Acme Device CA", w.clock.now(), |_| {});
        pki.import_authority(&admin, &[pem(&root.der), pem(&signed)].concat()).await
    };
    let refused = import(&own).await.unwrap_err();
    assert!(refused.fault().code == "certificate_refused" && refused.to_string().contains("blocked after a compromise"), "{refused}");
    assert_eq!(pki.authorities_of(&w.org).len(), 3, "nothing came in");
    assert!(import(&Foreign::of("Acme Root", w.clock.now(), |_| {})).await.is_ok(), "under another key it does");
}

/// Whoever looks for an issuer by its name must not find two.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn p_7_a_root_with_the_name_of_a_registered_authority_does_not_come_in(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin, now) = (w.fleet.pki(), w.admin().await, w.clock.now());
    let theirs = Foreign::of("acme ROOT", now, |_| {});
    pki.register_authority(&admin, "Acme", &theirs.der).await.unwrap();
    let device = request(&w, AuthorityUse::Device, true).await;
    let brought = |root: &Foreign| [pem(&root.der), pem(&root.sign(&device, "Acme Device CA", now, |_| {}))].concat();
    let refused = pki.import_authority(&admin, &brought(&Foreign::of("Acme Root", now, |_| {}))).await.unwrap_err().to_string();
    assert!(refused.contains("A registered authority has the name C=DE, CN=Acme Root"), "{refused}");
    let other = pki.import_authority(&admin, &brought(&Foreign::of("Acme Root 2", now, |_| {}))).await.unwrap();
    assert_eq!(other.root.map(|root| root.subject).as_deref(), Some("C=DE, CN=Acme Root 2"));
}

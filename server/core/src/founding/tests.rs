//! A second organization on both engines: whole or not there, with nothing of the first one's, and its first admin by a code.

use crate::{
    Error, Fleet,
    access::{self, Actor, Origin},
    db::EngineKind,
    testing::{START, World, csr},
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    devices::DeviceQuery,
    ids::{OrgId, OrgSlug},
    pki::CertificateQuery,
    states::Role,
};

const PASSWORD: &str = "a long enough password";

fn slug(text: &str) -> OrgSlug {
    text.parse().unwrap()
}

fn shell(w: &World) -> Actor {
    Actor::shell(w.org.clone())
}

/// The codes of the refusals of an input, and of everything else the words.
fn refused<T: std::fmt::Debug>(outcome: crate::Result<T>) -> String {
    match outcome {
        Err(Error::Access(access::Error::Invalid { field, .. })) => field.to_owned(),
        other => format!("{other:?}"),
    }
}

async fn ids(fleet: &Fleet, actor: &Actor) -> Vec<String> {
    let found = fleet.devices().list(actor, &DeviceQuery::default()).await.unwrap();
    found.items.into_iter().map(|device| device.device_id.to_string()).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_organization_has_all_that_the_first_one_began_with(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, access) = (w.fleet.pki(), w.fleet.access());
    let pinned = pki.root_fingerprint();
    let made = w.fleet.create_organization(&shell(&w), &slug("acme"), " Acme GmbH ").await.unwrap();
    let acme = Actor::system(made.id.clone());

    let all = access.organizations(&shell(&w)).await.unwrap();
    let named: Vec<_> = all.iter().map(|one| (one.slug.as_str(), one.name.as_str(), one.people)).collect();
    assert_eq!(named, [("default", "Fleet", 0), ("acme", "Acme GmbH", 0)]);
    assert!(all[0].created_at == START && all[1].created_at > START, "the first one stays the oldest though the clock stands");
    assert_eq!((&all[1].id, all[1].set_up_until), (&made.id, Some(made.code.until)));

    let kinds = |org: &OrgId| pki.authorities_of(org).into_iter().map(|a| a.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&made.id), kinds(&w.org));
    assert!(pki.authorities_of(&made.id).iter().all(|a| a.subject.starts_with("O=acme, CN=Fleetward ")));
    let (first, bundle) = (pki.trust_bundle(&w.org), pki.trust_bundle(&made.id));
    assert_eq!((bundle.version, bundle.roots.len(), bundle.issuing.len(), bundle.assignment_keys.len()), (1, 2, 2, 1));
    assert!(bundle.roots[0] == first.roots[0] && bundle.assignment_keys != first.assignment_keys, "the listeners' root, and its own");
    assert_eq!((first.version, &pki.root_fingerprint()), (1, &pinned), "to the first one nothing has happened");
    assert_eq!(pki.ca_certificates(&made.id)[0], CertificateDer::from_pem_slice(first.roots[0].as_bytes()).unwrap());
    assert_eq!(pki.rules(&acme).await.unwrap().rules, pki.rules(&Actor::system(w.org.clone())).await.unwrap().rules);
    assert_eq!(pki.label("acme").await.unwrap().unwrap().org, made.id);

    // The books: the first entry of its own, and one in the first organization's.
    let log = access.audit_page(&acme, None).await.unwrap().entries.items;
    let begins = log.last().unwrap();
    assert_eq!((begins.seq, begins.action.as_str(), begins.actor.as_str()), (1, "organization.create", "command line"));
    assert!(!log.iter().any(|e| e.detail.contains(&made.code.code)), "no secret is in them");
    let theirs = access.search_audit(&shell(&w), "organization.create", None).await.unwrap().entries.items;
    assert!(theirs[0].object == made.id.as_str() && theirs[0].detail.contains("acme"), "{theirs:?}");
    for actor in [acme, shell(&w)] {
        assert_eq!(access.verify_audit(&actor).await.unwrap().broken_at, None);
    }
    // A restart knows it, and makes nothing anew.
    if kind == EngineKind::Sqlite {
        let first = w.org.clone();
        let again = World::open_at(w.close().await, None, 2).await;
        assert_eq!((again.fleet.default_org(), again.fleet.pki().root_fingerprint()), (&first, pinned));
        assert_eq!(again.fleet.pki().trust_bundle(&made.id).version, 1);
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_is_refused_leaves_nothing_behind(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let create = async |actor: &Actor, of: &str, name: &str| w.fleet.create_organization(actor, &slug(of), name).await;
    assert!(refused(create(&admin, "acme", "Acme").await).contains("NeedsMachine"), "no role of one organization makes another one");
    assert!(w.fleet.access().organizations(&admin).await.is_err() && w.fleet.access().renew_code(&admin, "default").await.is_err());
    for (of, name, field) in [("default", "x", "slug"), ("cacerts", "x", "slug"), ("acme", " ", "name"), ("acme", "a\nb", "name")] {
        assert_eq!(refused(create(&shell(&w), of, name).await), field, "{of} {name:?}");
    }
    // Of two at once one is made.
    let by = shell(&w);
    let at_once = tokio::join!(create(&by, "acme", "One"), create(&by, "acme", "Two"));
    let outcomes = [at_once.0, at_once.1].map(|outcome| outcome.map_or_else(|e| refused::<()>(Err(e)), |_| "made".to_owned()));
    assert!(outcomes.contains(&"made".to_owned()) && outcomes.contains(&"slug".to_owned()), "{outcomes:?}");
    assert_eq!(w.fleet.access().organizations(&shell(&w)).await.unwrap().len(), 2);
    assert_eq!(w.fleet.access().search_audit(&shell(&w), "organization.create", None).await.unwrap().entries.items.len(), 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_first_admin_comes_in_by_the_code_and_nobody_else(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    let from = Origin { address: "127.0.0.1".into(), user_agent: "test".into() };
    let made = w.fleet.create_organization(&shell(&w), &slug("acme"), "Acme").await.unwrap();
    assert_eq!(made.code.until.since(START), 7 * 24 * 3600 * 1000);
    assert!(access.nobody_yet().await.unwrap() && access.set_up_open().await.unwrap());
    assert!(access.set_up("0000-0000", "eve@acme.example", "Eve", PASSWORD, "192.0.2.9").await.is_err());

    // A week later it is over; another one is given as long as nobody is there.
    w.clock.advance(7 * 24 * 3600 * 1000);
    assert!(access.set_up(&made.code.code, "eve@acme.example", "Eve", PASSWORD, "192.0.2.9").await.is_err());
    let code = access.renew_code(&shell(&w), "acme").await.unwrap().code;
    access.set_up(&format!(" {} ", code.to_uppercase()), "eve@acme.example", "Eve", PASSWORD, "192.0.2.9").await.unwrap();
    assert!(access.set_up(&code, "mallory@acme.example", "Mallory", PASSWORD, "192.0.2.9").await.is_err(), "it works once");
    assert!(access.renew_code(&shell(&w), "acme").await.is_err());
    let signed_in = access.sign_in("eve@acme.example", PASSWORD, &from).await.unwrap();
    let eve = access.authenticate_jwt(&signed_in.access, "").await.unwrap();
    assert_eq!((&eve.org, eve.role()), (&made.id, Some(Role::Admin)));
    assert_eq!(w.fleet.viewer(&eve).await.unwrap().organization, "Acme");

    // The first organization waits for its own admin all the same.
    assert!(!access.nobody_yet().await.unwrap() && access.set_up_needed().await.unwrap());
    access.set_up(&access.set_up_code(), "ada@example.com", "Ada", PASSWORD, "192.0.2.9").await.unwrap();
    assert!(!access.set_up_open().await.unwrap());

    // Whoever is added by the command line instead ends the code.
    let other = w.fleet.create_organization(&shell(&w), &slug("other"), "Other").await.unwrap();
    access.create_user(&Actor::shell(other.id.clone()), "oz@other.example", "Oz", Role::Admin, PASSWORD).await.unwrap();
    assert!(access.set_up(&other.code.code, "mallory@other.example", "Mallory", PASSWORD, "192.0.2.9").await.is_err());
    let all = access.organizations(&shell(&w)).await.unwrap();
    assert!(all.iter().all(|one| one.people == 1 && one.set_up_until.is_none()), "{all:?}");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn two_organizations_have_nothing_of_each_other(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let made = w.fleet.create_organization(&shell(&w), &slug("acme"), "Acme").await.unwrap();
    let (ours, theirs) = (Actor::system(w.org.clone()), Actor::system(made.id.clone()));
    // The same id is another device in each.
    let here = w.enrol("gw-1", "gateway", csr("gw-1")).await.unwrap();
    let there = w.enrol_in(&made.id, "gw-1", "gateway", csr("gw-1")).await.unwrap();
    w.enrol_in(&made.id, "gw-2", "gateway", csr("gw-2")).await.unwrap();
    assert_eq!(ids(&w.fleet, &ours).await, ["gw-1"]);
    assert_eq!(ids(&w.fleet, &theirs).await, ["gw-1", "gw-2"]);
    let find = async |actor: &Actor, id: &str| w.fleet.devices().find(actor, &id.parse().unwrap()).await;
    assert!(find(&ours, "gw-2").await.is_err());
    assert_ne!(find(&ours, "gw-1").await.unwrap(), find(&theirs, "gw-1").await.unwrap());

    let pki = w.fleet.pki();
    let leaf = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
    let peer = |pem: &str| pki.trust().check(&leaf(pem)).unwrap();
    let (mine, other) = (peer(&here.certificate), peer(&there.certificate));
    assert_eq!((&mine.org, &other.org), (&w.org, &made.id));
    assert!(there.trust_bundle.contains(&here.trust_bundle[0]) && there.trust_bundle.len() == 2, "the listeners' root is among them");
    let certificates = pki.certificates_page(&ours, &CertificateQuery::default()).await.unwrap().certificates;
    assert_eq!(certificates.items.iter().map(|c| &c.id).collect::<Vec<_>>(), [&mine.certificate]);
    assert!(pki.certificate(&ours, &other.certificate).await.is_err() && pki.certificate(&theirs, &other.certificate).await.is_ok());
    assert!(pki.authority(&ours, &pki.authorities_of(&made.id)[0].id).await.is_err());
}

//! What the books say of each certificate that is given, by whatever way: from where it was asked for, by which request, and the hash of the CSR (K-8).

use super::{new_token, request, signs::booked};
use crate::{
    access::Actor,
    asked,
    db::EngineKind,
    devices::{Attempt, Error, Over},
    pki::{PkiSettings, csr},
    testing::{World, csr as csr_of},
};
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::enrolment::{EnrolmentMode, NewClaim, NewEnrolmentToken};

const FROM: &str = "192.0.2.7";

fn digest(pem: &str) -> String {
    hex::encode(csr::gate(pem.as_bytes(), None).unwrap().csr_sha256)
}

/// The newest row of this action: its address, its request and its CSR.
async fn newest(w: &World, action: &str) -> (String, String, String) {
    let (row, detail) = booked(w, action).await.pop().unwrap_or_else(|| panic!("no {action}"));
    let word = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    (row.address, word("request"), word("csr_sha256"))
}

fn row(address: &str, request: &str, csr: &str) -> (String, String, String) {
    (address.to_owned(), request.to_owned(), csr.to_owned())
}

async fn world(kind: EngineKind) -> World {
    let postgres = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(crate::testing::postgres().await),
    };
    World::open_with(tempfile::tempdir().unwrap(), postgres, 8, |pki| PkiSettings { server_keygen: true, ..pki }).await.unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_8_whoever_enrols_is_in_the_books_with_address_request_and_csr(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (admin, devices) = (w.admin().await, w.fleet.devices());
    let token = devices.create_enrolment_token(&admin, new_token("gw-*", 9)).await.unwrap().secret;
    let asks = |id: &str, over: Over<'static>, request: &'static str| {
        let pem = csr_of(id);
        let (asked, secret) = (self::request(&pem, id), token.clone());
        async move {
            let attempt = Attempt { secret: &secret, request: &asked, address: FROM };
            asked::within(request.into(), Box::pin(devices.enrol_over(attempt, over))).await.unwrap();
            digest(&pem)
        }
    };
    let hash = asks("gw-1", Over::default(), "by-token").await;
    for action in ["certificate.issue", "device.enrol"] {
        assert_eq!(newest(&w, action).await, row(FROM, "by-token", &hash), "{action}");
    }

    // Many in one transaction: each keeps its own.
    tokio::join!(asks("gw-2", Over::default(), "one"), asks("gw-3", Over::default(), "two"));
    let both: Vec<_> =
        booked(&w, "certificate.issue").await.into_iter().map(|(_, d)| (d["subject"].clone(), d["request"].clone())).collect();
    assert!(both.contains(&("gw-2".into(), "one".into())) && both.contains(&("gw-3".into(), "two".into())), "{both:?}");

    let (pem, secret) = (csr_of("gw-4"), token.clone());
    let asked = request(&pem, "gw-4");
    let attempt = Attempt { secret: &secret, request: &asked, address: FROM };
    asked::within("made-key".into(), Box::pin(devices.enrol_with_server_key(attempt, Over::default()))).await.unwrap();
    for action in ["certificate.issue", "device.enrol"] {
        assert_eq!(newest(&w, action).await, row(FROM, "made-key", &digest(&pem)), "the request that proved a key: {action}");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_8_a_claims_certificate_is_asked_for_by_a_person_and_what_it_gives_by_a_device(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (admin, devices) = (w.admin().await.by_request("the-claim"), w.fleet.devices());
    let new = NewClaim {
        label: "line 3".into(),
        pattern: "gw-*".into(),
        device_type: String::new(),
        tags: Vec::new(),
        groups: Vec::new(),
        profile: String::new(),
        trusted_user: false,
        max_uses: 3,
        hours: 24,
        per_minute: 3,
        csr: String::new(),
    };
    let claim = devices.create_claim(&admin, new).await.unwrap().claim.id;
    assert_eq!(newest(&w, "certificate.issue").await, row("127.0.0.1", "the-claim", ""), "there was no CSR");
    assert_eq!(newest(&w, "claim.create").await.1, "the-claim");
    let pem = csr_of("gw-1");
    let over = Over { claim: Some(&claim), ..Over::default() };
    let attempt = Attempt { secret: "", request: &request(&pem, "gw-1"), address: FROM };
    asked::within("by-claim".into(), Box::pin(devices.enrol_over(attempt, over))).await.unwrap();
    assert_eq!(newest(&w, "certificate.issue").await, row(FROM, "by-claim", &digest(&pem)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_8_what_a_person_has_approved_names_the_person_there_and_the_device_where_it_is_given(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    let asking = NewEnrolmentToken { mode: EnrolmentMode::Approval, ..new_token("gw-*", 1) };
    let secret = devices.create_enrolment_token(&operator, asking).await.unwrap().secret;
    let pem = csr_of("gw-1");
    let asked = request(&pem, "gw-1");
    let ask = async |request: &str| {
        let attempt = Attempt { secret: &secret, request: &asked, address: FROM };
        asked::within(request.into(), Box::pin(devices.enrol(attempt))).await
    };
    assert!(matches!(ask("first").await, Err(Error::Pending)));
    assert_eq!(newest(&w, "enrolment_request.ask").await, row(FROM, "first", &digest(&pem)));
    let waits = devices.enrolment_requests(&operator, None, None).await.unwrap().items.remove(0).id;
    devices.approve_enrolment(&operator.clone().by_request("approval"), &waits).await.unwrap();
    assert_eq!(newest(&w, "enrolment_request.approve").await, row("127.0.0.1", "approval", &digest(&pem)));
    ask("second").await.unwrap();
    assert_eq!(newest(&w, "certificate.issue").await, row(FROM, "second", &digest(&pem)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k_8_a_renewal_is_in_the_books_with_address_request_and_csr(#[case] kind: EngineKind) {
    let w = world(kind).await;
    let enrolled = w.enrol("gw-1", "sim", csr_of("gw-1")).await.unwrap();
    let leaf = CertificateDer::from_pem_slice(enrolled.certificate.as_bytes()).unwrap();
    let peer = w.fleet.pki().trust().check(&leaf).unwrap();
    let pem = csr_of("gw-1");
    let device = Actor::device(&peer.org, peer.device, &peer.device_id, FROM).by_request("renewal");
    w.fleet.pki().renew(&device, &peer, pem.as_bytes(), "https://d").await.unwrap();
    assert_eq!(newest(&w, "certificate.issue").await, row(FROM, "renewal", &digest(&pem)));
    // Nobody asked for what a listener shows.
    w.fleet.pki().renew_identity().await.unwrap();
    let own = booked(&w, "certificate.issue").await.pop().unwrap();
    assert!(own.0.address.is_empty() && own.1.get("request").is_none() && own.1.get("csr_sha256").is_none(), "{own:?}");
}

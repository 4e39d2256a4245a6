//! E-6: devices that wait for a person, with a token that asks for it and without any.

use super::{enrol, new_token, request};
use crate::{
    access::Actor,
    db::{EngineKind, exec},
    devices::{Attempt, Error, Over, store},
    hash::sha256,
    testing::{World, csr, csr_by},
};
use rcgen::{KeyPair, PublicKeyData as _};
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    devices::DeviceQuery,
    enrolment::{EnrolRequest, Enrolled, EnrolmentMode, EnrolmentRequest, EnrolmentSettings, NewEnrolmentToken},
};

fn asking(pattern: &str, uses: i64) -> NewEnrolmentToken {
    NewEnrolmentToken { mode: EnrolmentMode::Approval, ..new_token(pattern, uses) }
}

/// Whether devices without a token may ask; their certificates are of no profile.
fn door(open: bool) -> EnrolmentSettings {
    EnrolmentSettings { open, profile: String::new() }
}

/// Asks without a token.
async fn stranger(w: &World, address: &str, asked: &EnrolRequest) -> Result<Enrolled, Error> {
    let over = Over { open: Some(&w.org), ..Over::default() };
    w.fleet.devices().enrol_over(Attempt { secret: "", request: asked, address }, over).await
}

async fn waiting(w: &World) -> Vec<EnrolmentRequest> {
    w.fleet.devices().enrolment_requests(&Actor::system(w.org.clone()), None, None).await.unwrap().items
}

async fn actions(w: &World) -> Vec<String> {
    let log = w.fleet.access().audit_page(&Actor::system(w.org.clone()), None).await.unwrap();
    log.entries.items.into_iter().map(|e| e.action).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_waits_for_a_person_and_its_key_is_what_is_approved(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, viewer) = (w.operator().await, w.viewer().await);
    let devices = w.fleet.devices();
    let token = devices.create_enrolment_token(&operator, asking("gw-*", 2)).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let asked = request(&csr_by(&key, "gw-1"), "gw-1");
    for _ in 0..2 {
        assert!(matches!(enrol(&w, &token.secret, &asked).await, Err(Error::Pending)));
    }
    let all = waiting(&w).await;
    assert_eq!(all.len(), 1, "asking again is no second request");
    let code = hex::encode(&sha256(&key.subject_public_key_info())[..4]);
    assert_eq!((all[0].code.as_str(), all[0].device_id.as_str(), all[0].hardware.as_str()), (code.as_str(), "gw-1", "A"));
    assert_eq!((all[0].token.as_str(), all[0].address.as_str()), ("test", "192.0.2.1"));
    assert_eq!(devices.list(&operator, &DeviceQuery::default()).await.unwrap().total, 0, "no device before the approval");

    assert!(matches!(devices.approve_enrolment(&viewer, &all[0].id).await, Err(Error::Access(_))));
    let elsewhere = Actor { org: w.entropy.id(w.clock_now()), ..operator.clone() };
    assert!(matches!(devices.approve_enrolment(&elsewhere, &all[0].id).await, Err(Error::NotFound(_))));
    devices.approve_enrolment(&operator, &all[0].id).await.unwrap();
    assert!(matches!(devices.approve_enrolment(&operator, &all[0].id).await, Err(Error::NotFound(_))), "it is decided");
    assert!(waiting(&w).await.is_empty());

    // The same name with another key is another request, not this one's certificate.
    assert!(matches!(enrol(&w, &token.secret, &request(&csr("gw-1"), "gw-1")).await, Err(Error::Pending)));
    // The same key under another name neither.
    let renamed = enrol(&w, &token.secret, &request(&csr_by(&key, "gw-9"), "gw-9")).await;
    assert!(matches!(renamed, Err(Error::Invalid { field: "device_id", .. })));
    let given = enrol(&w, &token.secret, &asked).await.unwrap();
    assert_eq!(enrol(&w, &token.secret, &asked).await.unwrap().certificate, given.certificate, "a lost answer");
    let resigned = request(&csr_by(&key, "gw-1"), "gw-1");
    assert_eq!(enrol(&w, &token.secret, &resigned).await.unwrap().certificate, given.certificate, "not used yet");
    // The other key comes too late: a request never replaces a device.
    let second = waiting(&w).await.remove(0);
    assert!(matches!(devices.approve_enrolment(&operator, &second.id).await, Err(Error::Exists(_))));

    let tokens = devices.enrolment_page(&operator).await.unwrap().tokens;
    assert_eq!(tokens[0].uses, 2, "a use for each request, none for repeats");
    assert!(matches!(enrol(&w, &token.secret, &request(&csr("gw-3"), "gw-3")).await, Err(Error::BadToken)), "it is used up");
    let actions = actions(&w).await;
    for action in ["enrolment_request.ask", "enrolment_request.approve", "device.enrol"] {
        assert!(actions.iter().any(|a| a == action), "{action} is not in the log");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rejected_device_and_one_whose_token_was_revoked_stay_out(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    let token = devices.create_enrolment_token(&operator, asking("", 2)).await.unwrap();
    let (one, two) = (request(&csr("gw-1"), "gw-1"), request(&csr("gw-2"), "gw-2"));
    for asked in [&one, &two] {
        assert!(matches!(enrol(&w, &token.secret, asked).await, Err(Error::Pending)));
    }
    // Both asked in the same millisecond: the list may have them in either order.
    let all: BTreeMap<_, _> = waiting(&w).await.into_iter().map(|r| (r.device_id.to_string(), r.id)).collect();
    devices.reject_enrolment(&operator, &all["gw-1"]).await.unwrap();
    assert!(matches!(enrol(&w, &token.secret, &one).await, Err(Error::Rejected(id)) if id == "gw-1"));
    assert!(actions(&w).await.iter().any(|a| a == "enrolment_request.reject"));
    devices.approve_enrolment(&operator, &all["gw-2"]).await.unwrap();
    devices.revoke_enrolment_token(&operator, &token.token.id).await.unwrap();
    assert!(matches!(enrol(&w, &token.secret, &two).await, Err(Error::BadToken)), "approved, but not collected in time");
}

/// E-2: a use is for a certificate.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_request_that_comes_to_nothing_gives_its_use_back_once(#[case] kind: EngineKind) {
    const WEEK: i64 = 7 * 24 * 3600 * 1000;
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    let token = devices.create_enrolment_token(&operator, NewEnrolmentToken { hours: 720, ..asking("", 1) }).await.unwrap();
    let uses = async || devices.enrolment_page(&operator).await.unwrap().tokens[0].uses;
    let (one, two, three) = (request(&csr("gw-1"), "gw-1"), request(&csr("gw-1"), "gw-1"), request(&csr("gw-1"), "gw-1"));
    assert!(matches!(enrol(&w, &token.secret, &one).await, Err(Error::Pending)));
    assert!(matches!(enrol(&w, &token.secret, &two).await, Err(Error::BadToken)), "the use is taken while it waits");
    let first = waiting(&w).await.remove(0).id;
    devices.reject_enrolment(&operator, &first).await.unwrap();
    assert_eq!(uses().await, 0);
    assert!(devices.reject_enrolment(&operator, &first).await.is_err());
    assert!(matches!(enrol(&w, &token.secret, &one).await, Err(Error::Rejected(_))), "it is decided");
    assert!(matches!(enrol(&w, &token.secret, &two).await, Err(Error::Pending)), "another key may ask");
    assert_eq!(uses().await, 1);

    w.clock.advance(WEEK + 1);
    devices.forget_requests().await.unwrap();
    devices.forget_requests().await.unwrap();
    assert_eq!(uses().await, 0, "it ran out");
    assert!(matches!(enrol(&w, &token.secret, &three).await, Err(Error::Pending)));
    devices.approve_enrolment(&operator, &waiting(&w).await[0].id).await.unwrap();
    assert!(enrol(&w, &token.secret, &three).await.is_ok());
    w.clock.advance(WEEK + 1);
    devices.forget_requests().await.unwrap();
    assert_eq!(uses().await, 1, "it gave a certificate");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_approved_device_does_not_replace_one_that_came_meanwhile(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    let token = devices.create_enrolment_token(&operator, asking("gw-1", 1)).await.unwrap();
    let asked = request(&csr("gw-1"), "gw-1");
    assert!(matches!(enrol(&w, &token.secret, &asked).await, Err(Error::Pending)));
    devices.approve_enrolment(&operator, &waiting(&w).await[0].id).await.unwrap();
    w.device("gw-1", "gateway").await;
    assert!(matches!(enrol(&w, &token.secret, &asked).await, Err(Error::Exists(_))), "not even with a token for exactly its name");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn without_a_token_a_device_asks_only_where_an_admin_allows_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let devices = w.fleet.devices();
    let asked = request(&csr("gw-1"), "gw-1");
    assert!(matches!(stranger(&w, "192.0.2.1", &asked).await, Err(Error::NoToken)), "off by default");
    assert!(matches!(devices.set_open_enrolment(&operator, &door(true)).await, Err(Error::Access(_))));
    devices.set_open_enrolment(&admin, &door(true)).await.unwrap();
    assert!(devices.enrolment_page(&operator).await.unwrap().settings.open);
    assert!(matches!(stranger(&w, "192.0.2.1", &asked).await, Err(Error::Pending)));
    assert!(matches!(enrol(&w, "", &asked).await, Err(Error::BadToken)), "a flow that names no organization asks none");
    let request_id = waiting(&w).await.remove(0).id;
    devices.approve_enrolment(&operator, &request_id).await.unwrap();
    let given = stranger(&w, "192.0.2.1", &asked).await.unwrap();
    assert_eq!(stranger(&w, "192.0.2.1", &asked).await.unwrap().certificate, given.certificate);
    // A device that is there, in whatever state, is nobody's to ask for.
    assert!(matches!(stranger(&w, "192.0.2.1", &request(&csr("GW-1"), "GW-1")).await, Err(Error::Exists(_))));
    devices.decommission(&operator, &"gw-1".parse().unwrap()).await.unwrap();
    assert!(matches!(stranger(&w, "192.0.2.1", &request(&csr("gw-1"), "gw-1")).await, Err(Error::NotActive(_))));
    devices.set_open_enrolment(&admin, &door(false)).await.unwrap();
    assert!(matches!(stranger(&w, "192.0.2.1", &request(&csr("gw-2"), "gw-2")).await, Err(Error::NoToken)));
    assert!(actions(&w).await.iter().any(|a| a == "enrolment.open"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn requests_are_bounded_by_address_number_and_time(#[case] kind: EngineKind) {
    const WEEK: i64 = 7 * 24 * 3600 * 1000;
    let w = World::open(kind).await;
    let devices = w.fleet.devices();
    devices.set_open_enrolment(&w.admin().await, &door(true)).await.unwrap();
    for i in 0..10 {
        let asked = request(&csr(&format!("gw-{i}")), &format!("gw-{i}"));
        assert!(matches!(stranger(&w, "192.0.2.1", &asked).await, Err(Error::Pending)));
    }
    let eleventh = request(&csr("gw-10"), "gw-10");
    assert!(matches!(stranger(&w, "192.0.2.1", &eleventh).await, Err(Error::TooMany)));
    assert!(matches!(stranger(&w, "192.0.2.2", &eleventh).await, Err(Error::Pending)), "another address");

    let now = w.clock_now().0;
    let mut tx = devices.db.write().await.unwrap();
    for i in 11..1000_i64 {
        let (id, spki) = (format!("enr_{i:032x}"), i.to_be_bytes());
        let name = format!("gw-{i}");
        exec!(
            &mut tx,
            store::REQUEST_INSERT,
            id.as_str(),
            w.org.as_str(),
            "",
            spki.as_slice(),
            spki.as_slice(),
            name.as_str(),
            "",
            "",
            "{}",
            "P-256",
            "::1",
            now,
            now + WEEK
        )
        .unwrap();
    }
    tx.commit().await.unwrap();
    let late = request(&csr("late"), "late");
    let full = stranger(&w, "192.0.2.3", &late).await;
    assert!(matches!(full, Err(Error::QueueFull)) && full.unwrap_err().fault().retry_after.is_some());
    w.clock.advance(WEEK + 1);
    assert!(waiting(&w).await.is_empty(), "a week later they have ended");
    assert!(matches!(stranger(&w, "192.0.2.3", &late).await, Err(Error::Pending)));
    assert_eq!(waiting(&w).await.len(), 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_approved_request_that_is_collected_many_times_at_once_makes_one_certificate(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, asking("", 1)).await.unwrap();
    let asked = request(&csr("gw-1"), "gw-1");
    let all_at_once = async || {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (fleet, secret, asked) = (w.fleet.clone(), token.secret.clone(), asked.clone());
                tokio::spawn(async move { fleet.devices().enrol(Attempt { secret: &secret, request: &asked, address: "::1" }).await })
            })
            .collect();
        let mut given = BTreeSet::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(enrolled) => drop(given.insert(enrolled.certificate)),
                // Twenty requests of one device at once are more than ten a minute.
                Err(Error::Pending | Error::TooMany) => {}
                Err(e) => panic!("{e}"),
            }
        }
        given
    };
    assert!(all_at_once().await.is_empty());
    let all = waiting(&w).await;
    assert_eq!(all.len(), 1);
    w.fleet.devices().approve_enrolment(&operator, &all[0].id).await.unwrap();
    let given = all_at_once().await;
    assert!(given.len() <= 1, "{given:?}");
    let again = enrol(&w, &token.secret, &asked).await.unwrap().certificate;
    assert!(given.iter().all(|one| *one == again));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_was_seen_is_let_in_also_after_the_door_was_closed(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let devices = w.fleet.devices();
    devices.set_open_enrolment(&admin, &door(true)).await.unwrap();
    let asked = EnrolRequest { device_type: "sensor".into(), ..request(&csr("gw-1"), "gw-1") };
    assert!(matches!(stranger(&w, "192.0.2.1", &asked).await, Err(Error::Pending)));
    let id = waiting(&w).await.remove(0).id;
    devices.approve_enrolment(&operator, &id).await.unwrap();
    devices.set_open_enrolment(&admin, &door(false)).await.unwrap();
    let other = EnrolRequest { device_type: "gateway".into(), hardware: "Z".into(), ..asked.clone() };
    let given = stranger(&w, "192.0.2.1", &other).await.unwrap();
    assert_eq!(stranger(&w, "192.0.2.1", &other).await.unwrap().certificate, given.certificate, "a lost answer is given again");
    let detail = devices.detail(&operator, &"gw-1".parse().unwrap()).await.unwrap().1;
    assert_eq!((detail.row.device_type.as_str(), detail.row.hardware.as_str()), ("sensor", asked.hardware.as_str()));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn nobody_waits_for_what_can_not_be_given(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let devices = w.fleet.devices();
    let token = devices.create_enrolment_token(&operator, asking("*", 5)).await.unwrap();
    let (key, id) = (KeyPair::generate().unwrap(), "gw-1".parse().unwrap());
    w.enrol("gw-1", "gateway", csr_by(&key, "gw-1")).await.unwrap();
    let taken = enrol(&w, &token.secret, &request(&csr_by(&key, "gw-2"), "gw-2")).await.unwrap_err();
    assert_eq!(taken.fault().code, "key_in_use");
    devices.decommission(&operator, &id).await.unwrap();
    devices.change(&admin, &id, wire::states::DeviceStep::Recommission).await.unwrap();
    let named = enrol(&w, &token.secret, &request(&csr("gw-1"), "gw-1")).await;
    assert!(matches!(named, Err(Error::Exists(_))), "a request replaces nobody");
    assert!(waiting(&w).await.is_empty());
    let uses = devices.enrolment_page(&operator).await.unwrap().tokens.into_iter().find(|t| t.id == token.token.id).unwrap().uses;
    assert_eq!(uses, 0, "what is refused costs no use");
}

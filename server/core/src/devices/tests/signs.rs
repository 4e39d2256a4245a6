//! Refused enrolments that are signs of attack: what stands in the books of them, and that the throttle knows them all (E-3, A-14, A-15).

use super::{new_token, request};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, exec, row},
    devices::{Attempt, Error, Over, let_in::MOST, store, tokens::TokenRow},
    pki::csr::sha256,
    testing::{World, csr, csr_by},
};
use rcgen::KeyPair;
use rstest::rstest;
use serde_json::Value;
use wire::{
    access::AuditEntry,
    enrolment::{EnrolRequest, Enrolled},
    overview::Matter,
};

const MINUTE: i64 = 60_000;
/// Another use of a token, by key and address.
const USED: Sql = Sql::same(
    "INSERT INTO enrolments (token_id, org_id, csr_sha256, spki_sha256, device, certificate_id, at, address) \
     SELECT token_id, org_id, csr_sha256, $2, device, certificate_id, at, $3 FROM enrolments WHERE token_id = $1 AND address = '192.0.2.1'",
);

async fn enrol(w: &World, secret: &str, csr: &str, id: &str, address: &str) -> Result<Enrolled, Error> {
    let over = Over { open: Some(&w.org), ..Over::default() };
    w.fleet.devices().enrol_over(Attempt { secret, request: &request(csr, id), address }, over).await
}

/// All rows of this action, oldest first.
pub(super) async fn booked(w: &World, action: &str) -> Vec<(AuditEntry, Value)> {
    w.fleet.attacks().write_down().await.unwrap();
    let log = w.fleet.access().search_audit(&Actor::system(w.org.clone()), action, None).await.unwrap().entries.items;
    let read = |e: AuditEntry| (e.clone(), serde_json::from_str(&e.detail).unwrap());
    log.into_iter().rev().filter(|e| e.action == action).map(read).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_15_guessed_spent_expired_and_revoked_secrets_are_in_the_books_and_look_alike(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    let spent = devices.create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    enrol(&w, &spent.secret, &csr("gw-1"), "gw-1", "192.0.2.1").await.unwrap();
    let revoked = devices.create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    devices.revoke_enrolment_token(&operator, &revoked.token.id).await.unwrap();
    let expired = devices.create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    let mut guessed = spent.secret.clone();
    guessed.replace_range(guessed.len() - 2.., "zz");
    let unknown = format!("fet_{}_{}", "0".repeat(32), "A".repeat(43));
    // Each from an address of its own, as one has one row a minute.
    for (at, secret) in [&spent.secret, &revoked.secret, &expired.secret, &guessed, &unknown, &"nonsense".to_owned()].iter().enumerate() {
        if at == 2 {
            w.clock.advance(2 * 60 * MINUTE);
        }
        let refused = enrol(&w, secret, &csr("gw-9"), "gw-9", &format!("198.51.100.{at}")).await;
        assert!(matches!(refused, Err(Error::BadToken)), "{at}");
    }
    let codes: Vec<_> = booked(&w, "enrolment_token.reuse").await.into_iter().map(|(e, d)| (e.object, d["code"].clone())).collect();
    let expected = [(&spent, "spent_token"), (&revoked, "revoked_token"), (&expired, "expired_token")];
    assert_eq!(codes, expected.map(|(made, code)| (made.token.id.to_string(), code.into())));
    let rows = booked(&w, "enrolment.guess").await;
    let objects: Vec<_> = rows.iter().map(|(e, _)| e.object.as_str()).collect();
    assert_eq!(objects, [spent.token.id.as_str(), "enrolment", "enrolment"], "a wrong secret of a token that there is, and of none");
    assert!(rows.iter().all(|(_, d)| d["device_id"] == "gw-9" && d["code"] == "guessed_token"));
    assert!(rows.iter().all(|(_, d)| d["csr_sha256"].as_str().is_some_and(|hash| hash.len() == 64)), "K-8: {rows:?}");
    let log = format!("{rows:?}");
    assert!(!log.contains(&guessed[guessed.len() - 43..]) && !log.contains(&"A".repeat(43)), "no secret is in the books");
}

/// Of what a right token does not let through each reason has its own ten entries a minute, and a later one says how many more there were.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_10_malformed_requests_hide_no_other_refusal_of_the_same_token(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 5)).await.unwrap();
    let from = "198.51.100.7";
    for _ in 0..25 {
        let refused = enrol(&w, &token.secret, "junk", "gw-8", from).await.unwrap_err();
        assert_eq!(refused.fault().code, "csr_malformed");
    }
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "gw-9");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let more = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    // As EST asks: the name is in the request alone.
    let asked = EnrolRequest { device_id: None, ..request(&more.pem().unwrap(), "gw-9") };
    let attempt = Attempt { secret: &token.secret, request: &asked, address: from };
    let refused = w.fleet.devices().enrol_over(attempt, Over::default()).await.unwrap_err();
    assert_eq!(refused.fault().code, "csr_forbidden_extension");

    let rows = booked(&w, "enrolment_token.refuse").await;
    assert_eq!(rows.len(), 11, "{rows:?}");
    assert!(rows[..10].iter().all(|(_, d)| d["code"] == "csr_malformed" && d["device_id"] == "gw-8"), "{rows:?}");
    let (row, detail) = &rows[10];
    assert_eq!((row.object.as_str(), detail["code"].as_str()), (token.token.id.as_str(), Some("csr_forbidden_extension")));
    assert_eq!((detail["device_id"].as_str(), detail["token"].as_str()), (Some("gw-9"), Some("test")), "{detail}");
    assert_eq!(detail["csr_sha256"], hex::encode(sha256(more.der())), "K-8: {detail}");

    w.clock.advance(MINUTE);
    let rows = booked(&w, "enrolment_token.refuse").await;
    assert_eq!(rows.len(), 12, "one row for all that had none: {rows:?}");
    let (row, detail) = &rows[11];
    assert_eq!((row.object.as_str(), detail["code"].as_str()), (token.token.id.as_str(), Some("csr_malformed")));
    assert_eq!((detail["times"].as_u64(), detail["device_id"].as_str()), (Some(15), Some("gw-8")), "{detail}");
    let seen = w.fleet.attacks().seen().find(|(kind, _)| kind.code() == "refused_by_token").unwrap().1;
    assert_eq!(seen, 26);
    w.clock.advance(60 * MINUTE);
    assert_eq!(booked(&w, "enrolment_token.refuse").await.len(), 12, "nothing more has come");
}

/// K-8: by which request, for which device and with which CSR, whichever of the three is told.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn k8_a_sign_of_attack_says_by_which_request_and_csr_for_which_device(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let of = |id: &str| csr_by(&key, id);
    enrol(&w, &token.secret, &of("gw-1"), "gw-1", "192.0.2.1").await.unwrap();
    // Another device asks for the same key.
    let taken = of("gw-2");
    let other = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    let fresh = csr("gw-9");
    for (n, (action, secret, csr)) in [
        ("enrolment_token.reuse", token.secret.as_str(), &fresh),
        ("enrolment.guess", "nonsense", &fresh),
        ("certificate.refuse", other.secret.as_str(), &taken),
    ]
    .into_iter()
    .enumerate()
    {
        // As EST asks: the name is in the request alone.
        let named = crate::pki::csr::said(csr.as_bytes()).unwrap();
        let asked = EnrolRequest { device_id: None, ..request(csr, "gw-9") };
        let over = Over { open: Some(&w.org), ..Over::default() };
        let attempt = Attempt { secret, request: &asked, address: "198.51.100.7" };
        let refused = crate::asked::within(format!("request-{n}"), Box::pin(w.fleet.devices().enrol_over(attempt, over))).await;
        assert!(refused.is_err(), "{action}");
        let [(_, detail)] = booked(&w, action).await.try_into().unwrap();
        assert_eq!(detail["request"], format!("request-{n}"), "{action}: {detail}");
        assert_eq!(detail["csr_sha256"], hex::encode(named.0), "{action}: {detail}");
        assert_eq!(detail["device_id"], named.1.unwrap().as_str(), "{action}: {detail}");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_15_a_flood_of_guesses_costs_a_few_rows_and_every_guess_is_counted(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    for n in 0..300 {
        let refused = enrol(&w, "fet_x", "", "gw-1", &format!("198.51.100.{}", n % 30)).await;
        assert!(matches!(refused, Err(Error::BadToken | Error::TooMany)), "{refused:?}");
    }
    let rows = booked(&w, "enrolment.guess").await;
    assert_eq!(rows.len(), 10, "so many in a minute, from however many addresses");
    w.clock.advance(MINUTE);
    booked(&w, "enrolment.guess").await;
    w.clock.advance(MINUTE);
    let rows = booked(&w, "enrolment.guess").await;
    assert!(rows.len() <= 21, "{}", rows.len());
    let count = |d: &Value| d["times"].as_u64().unwrap() + d["elsewhere"].as_u64().unwrap_or_default();
    assert_eq!(rows.iter().map(|(_, d)| count(d)).sum::<u64>(), 300);
    assert_eq!(w.fleet.access().verify_audit(&Actor::system(w.org.clone())).await.unwrap().broken_at, None);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_14_a_key_of_another_device_is_in_the_books_and_counts_as_a_guess(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 50)).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let of = |id: &str| csr_by(&key, id);
    enrol(&w, &token.secret, &of("gw-1"), "gw-1", "192.0.2.1").await.unwrap();
    for n in 0..12 {
        let refused = enrol(&w, &token.secret, &of("gw-2"), "gw-2", "198.51.100.1").await.unwrap_err().fault().code;
        assert_eq!(refused, if n < 10 { "key_in_use" } else { "too_many_attempts" }, "{n}");
    }
    let [(row, detail)] = booked(&w, "certificate.refuse").await.try_into().unwrap();
    assert_eq!((row.object.as_str(), row.address.as_str()), (token.token.id.as_str(), "198.51.100.1"));
    assert_eq!(
        (detail["code"].as_str(), detail["device_id"].as_str(), detail["key_of"].as_str()),
        (Some("key_in_use"), Some("gw-2"), Some("gw-1"))
    );
    // Who has a right request pays for nobody's guesses.
    enrol(&w, &token.secret, &csr("gw-3"), "gw-3", "198.51.100.1").await.unwrap();
}

/// E-3: "a different CSR on a spent token → 401, audit `token_reuse`, alert when from another IP".
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_3_a_spent_token_from_another_address_is_an_alarm_and_from_its_own_is_not(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    let token = devices.create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let first = csr_by(&key, "gw-1");
    let given = enrol(&w, &token.secret, &first, "gw-1", "2001:db8:1:2::1").await.unwrap();
    // A lost answer, wherever the device has moved to meanwhile.
    assert_eq!(enrol(&w, &token.secret, &first, "gw-1", "198.51.100.9").await.unwrap().certificate, given.certificate);
    assert!(booked(&w, "enrolment_token.reuse").await.is_empty());

    let seen = |code: &str| w.fleet.attacks().seen().find(|(kind, _)| kind.code() == code).unwrap().1;
    let alarms = async || {
        let all = w.fleet.overview(&operator).await.unwrap().attention;
        all.into_iter().filter(|told| matches!(told.matter, Matter::TokenReused { .. })).collect::<Vec<_>>()
    };
    let shown = async || devices.enrolment_tokens(&operator, None, None).await.unwrap().items.remove(0);
    // Its own network: a device that was made anew, or a person who has not seen that it is used up.
    let refused = enrol(&w, &token.secret, &csr("gw-2"), "gw-2", "2001:db8:1:2::9").await;
    assert!(matches!(refused, Err(Error::BadToken)));
    assert_eq!((seen("spent_token"), seen("token_elsewhere"), alarms().await.len(), shown().await.reused_at), (1, 0, 0, None));
    let refused = enrol(&w, &token.secret, &csr("gw-3"), "gw-3", "198.51.100.7").await;
    assert!(matches!(refused, Err(Error::BadToken)), "and hears no more than anybody");
    assert_eq!((seen("spent_token"), seen("token_elsewhere")), (1, 1));
    let [told] = alarms().await.try_into().unwrap();
    assert_eq!(told.matter, Matter::TokenReused { label: token.token.label.clone(), from: "198.51.100.7".to_owned() });
    let row = shown().await;
    assert_eq!((row.reused_at, row.reused_from.as_str()), (Some(w.clock_now()), "198.51.100.7"));
    let rows = booked(&w, "enrolment_token.reuse").await;
    let codes: Vec<_> = rows.iter().map(|(_, detail)| (detail["code"].clone(), detail["let_in_from"].clone())).collect();
    assert_eq!(codes, [("spent_token".into(), Value::Null), ("spent_token".into(), serde_json::json!(["2001:db8:1:2::1"]))]);

    w.clock.advance(25 * 60 * MINUTE);
    assert!(alarms().await.is_empty(), "a day is long enough");
    assert!(shown().await.reused_at.is_some(), "its row goes on saying so");
}

/// A whole hall may try a token of many uses again after its last, and of one that is used from everywhere one address more says nothing.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_3_from_where_a_token_let_devices_in_is_looked_up_once_a_minute_and_up_to_a_bound(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, devices) = (w.operator().await, w.fleet.devices());
    let token = devices.create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    enrol(&w, &token.secret, &csr("gw-1"), "gw-1", "192.0.2.1").await.unwrap();
    let id = token.token.id.as_str();
    let kept = row!(&mut devices.db.read().await.unwrap(), TokenRow, store::TOKEN, id).unwrap().unwrap();
    let places = async || devices.let_in_from(&kept, w.clock_now()).await.unwrap().to_vec();
    assert_eq!(places().await, ["192.0.2.1"]);
    let mut tx = devices.db.write().await.unwrap();
    for n in 0..MOST {
        let key = sha256(n.to_string().as_bytes()).to_vec();
        exec!(&mut tx, USED, id, key, format!("198.51.{}.{}", n / 250, n % 250)).unwrap();
    }
    tx.commit().await.unwrap();
    w.clock.advance(MINUTE - 1);
    assert_eq!(places().await.len(), 1, "as it was remembered");
    w.clock.advance(1);
    assert!(places().await.is_empty());
    assert!(matches!(enrol(&w, &token.secret, &csr("gw-2"), "gw-2", "203.0.113.7").await, Err(Error::BadToken)));
    let seen = |code: &str| w.fleet.attacks().seen().find(|(kind, _)| kind.code() == code).unwrap().1;
    assert_eq!((seen("spent_token"), seen("token_elsewhere")), (1, 0));
}

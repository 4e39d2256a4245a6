//! Enrolment, lists and presence on both engines.

mod admission;
mod agree;
mod approval;
mod blocked;
mod bounds;
mod claims;
mod clones;
mod connections;
mod deleted;
mod desk;
mod facets;
mod given_groups;
mod given_up;
mod groups;
mod just_in_time;
mod large;
mod life;
mod origins;
mod pages;
mod presence;
mod recovery;
mod renewal_orders;
mod renewals;
mod server_keys;
mod signs;
mod slots;
mod stepping;
mod tagging;
mod views;
mod ways;

use super::{
    Attempt, Connected, Error, Selector,
    filter::{Asked, Filter},
    listing::matching,
    narrowing::few_meant,
    store,
};
use crate::{
    access::Actor,
    db::{Db, EngineKind, Read, Sql, Value, exec, row, select},
    testing::{World, csr},
};
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    device::{Hello, Running},
    devices::{DeviceQuery, DeviceSort, GroupMany},
    enrolment::{EnrolRequest, Enrolled, NewEnrolmentToken},
    states::DeviceState,
};

const DAY: i64 = 86_400_000;
const SHIFT_CERTIFICATE: Sql =
    Sql::same("UPDATE certificates SET not_after = not_after + $2 WHERE device = (SELECT number FROM devices WHERE device_id = $1)");
const SHIFT_SEEN: Sql = Sql::same("UPDATE devices SET last_seen_at = last_seen_at + $2 WHERE device_id = $1");
const REVOKE_CERTIFICATE: Sql =
    Sql::same("UPDATE certificates SET state = 'revoked' WHERE device = (SELECT number FROM devices WHERE device_id = $1)");

/// All that can read, so that nobody else does.
async fn every_reader(db: &Db) -> Vec<Read> {
    let mut held = Vec::new();
    while let Ok(reader) = tokio::time::timeout(std::time::Duration::from_millis(500), db.read()).await {
        held.push(reader.unwrap());
    }
    held
}

fn new_token(pattern: &str, uses: i64) -> NewEnrolmentToken {
    NewEnrolmentToken {
        label: "test".into(),
        pattern: pattern.into(),
        device_type: String::new(),
        tags: vec!["eu".into()],
        max_uses: uses,
        hours: 1,
        ..NewEnrolmentToken::default()
    }
}

fn request(csr: &str, id: &str) -> EnrolRequest {
    EnrolRequest {
        csr: csr.into(),
        device_id: Some(id.into()),
        device_type: "gateway".into(),
        hardware: "A".into(),
        attributes: BTreeMap::default(),
    }
}

async fn enrol(w: &World, secret: &str, request: &EnrolRequest) -> Result<Enrolled, Error> {
    w.fleet.devices().enrol(Attempt { secret, request, address: "192.0.2.1" }).await
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_token_enrols_exactly_as_often_as_it_says(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 1)).await.unwrap();
    let asked = request(&csr("gw-1"), "gw-1");
    let first = enrol(&w, &token.secret, &asked).await.unwrap();
    // E-3: the same CSR again is the same certificate and no second use.
    let again = enrol(&w, &token.secret, &asked).await.unwrap();
    assert_eq!(first.certificate, again.certificate);
    // Another key on a spent token is refused, and noted.
    assert!(matches!(enrol(&w, &token.secret, &request(&csr("gw-2"), "gw-2")).await, Err(Error::BadToken)));
    w.fleet.attacks().write_down().await.unwrap();
    let log = w.fleet.access().audit_page(&operator, None).await.unwrap();
    assert!(log.entries.items.iter().any(|e| e.action == "enrolment_token.reuse"));
    let page = w.fleet.devices().enrolment_page(&operator).await.unwrap();
    assert_eq!((page.tokens[0].uses, page.tokens[0].max_uses), (1, 1));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_16_two_hundred_parallel_uses_of_a_one_use_token_make_one_certificate(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let token = w.fleet.devices().create_enrolment_token(&operator, new_token("", 1)).await.unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            let (fleet, secret) = (w.fleet.clone(), token.secret.clone());
            // Addresses differ, so that it is the token that refuses and not the throttle.
            let (asked, address) = (request(&csr(&format!("gw-{i}")), &format!("gw-{i}")), format!("192.0.2.{i}"));
            tokio::spawn(async move { fleet.devices().enrol(Attempt { secret: &secret, request: &asked, address: &address }).await })
        })
        .collect();
    let mut issued = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => issued += 1,
            Err(Error::BadToken) => {}
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!(issued, 1);
    let page = w.fleet.devices().list(&operator, &DeviceQuery::default()).await.unwrap();
    assert_eq!(page.total, 1, "a refused attempt leaves no device behind");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_shared_token_can_not_take_over_a_device(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    w.device("gw-1", "gateway").await;
    let shared = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-*", 5)).await.unwrap();
    assert!(matches!(enrol(&w, &shared.secret, &request(&csr("gw-1"), "gw-1")).await, Err(Error::Exists(_))));
    assert!(matches!(enrol(&w, &shared.secret, &request(&csr("GW-1"), "GW-1")).await, Err(Error::Exists(_))));
    assert!(matches!(enrol(&w, &shared.secret, &request(&csr("other"), "other")).await, Err(Error::OutOfScope(_))));
    // The name in the CSR must be the one that is enrolled.
    assert!(matches!(enrol(&w, &shared.secret, &request(&csr("gw-9"), "gw-2")).await, Err(Error::Pki(_))));
    let own = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-1", 1)).await.unwrap();
    assert!(enrol(&w, &own.secret, &request(&csr("gw-1"), "gw-1")).await.is_ok());
    w.fleet.devices().decommission(&operator, &"gw-1".parse().unwrap()).await.unwrap();
    let own = w.fleet.devices().create_enrolment_token(&operator, new_token("gw-1", 1)).await.unwrap();
    assert!(matches!(enrol(&w, &own.secret, &request(&csr("gw-1"), "gw-1")).await, Err(Error::NotActive(_))));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn expired_revoked_and_guessed_tokens_get_the_same_answer(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let asked = request(&csr("gw-1"), "gw-1");
    let revoked = w.fleet.devices().create_enrolment_token(&operator, new_token("", 1)).await.unwrap();
    w.fleet.devices().revoke_enrolment_token(&operator, &revoked.token.id).await.unwrap();
    let expired = w.fleet.devices().create_enrolment_token(&operator, new_token("", 1)).await.unwrap();
    w.clock.advance(3_600_001);
    let mut guessed = expired.secret.clone();
    guessed.replace_range(guessed.len() - 1.., if guessed.ends_with('A') { "B" } else { "A" });
    let mut answers = BTreeSet::new();
    for secret in [revoked.secret.as_str(), &expired.secret, &guessed, "fet_nonsense", ""] {
        answers.insert(enrol(&w, secret, &asked).await.unwrap_err().fault().message);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    // The two right secrets, though of no use any more, were nobody's guess.
    for _ in 0..7 {
        assert!(matches!(enrol(&w, "fet_x", &asked).await, Err(Error::BadToken)));
    }
    assert!(matches!(enrol(&w, "fet_x", &asked).await, Err(Error::TooMany)));
    assert!(matches!(enrol(&w, &expired.secret, &asked).await, Err(Error::BadToken)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_token_that_was_shown_before_ends_like_any_other(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let mut made = Vec::new();
    for name in ["revoked", "expired", "spent"] {
        let token = w.fleet.devices().create_enrolment_token(&operator, new_token("", 2)).await.unwrap();
        enrol(&w, &token.secret, &request(&csr(name), name)).await.unwrap();
        made.push(token);
    }
    let mut guessed = made[0].secret.clone();
    guessed.replace_range(guessed.len() - 1.., if guessed.ends_with('A') { "B" } else { "A" });
    assert!(matches!(enrol(&w, &guessed, &request(&csr("gw-1"), "gw-1")).await, Err(Error::BadToken)));
    w.fleet.devices().revoke_enrolment_token(&operator, &made[0].token.id).await.unwrap();
    assert!(matches!(enrol(&w, &made[0].secret, &request(&csr("gw-1"), "gw-1")).await, Err(Error::BadToken)));
    enrol(&w, &made[2].secret, &request(&csr("gw-2"), "gw-2")).await.unwrap();
    assert!(matches!(enrol(&w, &made[2].secret, &request(&csr("gw-3"), "gw-3")).await, Err(Error::BadToken)));
    w.clock.advance(3_600_001);
    assert!(matches!(enrol(&w, &made[1].secret, &request(&csr("gw-4"), "gw-4")).await, Err(Error::BadToken)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn pages_visit_every_device_once_in_every_order(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let viewer = w.viewer().await;
    for i in 0..7 {
        w.device(&format!("gw-{i}"), "gateway").await;
        w.clock.advance(1000);
    }
    for sort in DeviceSort::ALL {
        let mut query = DeviceQuery { sort, rows: Some(3), ..DeviceQuery::default() };
        let mut seen = Vec::new();
        loop {
            let page = w.fleet.devices().list(&viewer, &query).await.unwrap();
            assert_eq!(page.total, 7);
            seen.extend(page.items.into_iter().map(|d| d.device_id));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen.len(), 7, "{sort:?}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7, "{sort:?}");
    }
    // A place in one order is none in another, not even in the same one from its end.
    let next = w.fleet.devices().list(&viewer, &DeviceQuery { rows: Some(3), ..DeviceQuery::default() }).await.unwrap().next;
    for sort in DeviceSort::ALL.into_iter().filter(|sort| *sort != DeviceSort::DeviceId) {
        let query = DeviceQuery { sort, cursor: next.clone(), ..DeviceQuery::default() };
        assert!(matches!(w.fleet.devices().list(&viewer, &query).await, Err(Error::Invalid { field: "cursor", .. })), "{sort:?}");
    }
    let bad = DeviceQuery { cursor: Some("%%%".into()), ..DeviceQuery::default() };
    assert!(matches!(w.fleet.devices().list(&viewer, &bad).await, Err(Error::Invalid { field: "cursor", .. })));
    let wrong = DeviceQuery { q: "colour:red".into(), ..DeviceQuery::default() };
    assert!(w.fleet.devices().page(&viewer, &wrong).await.unwrap().selector_error.is_some());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_selector_means_the_same_in_sql_and_in_memory(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    for (i, id) in ["gw-1", "gw-2", "Cam_1", "cam%2", "x"].into_iter().enumerate().filter(|(_, id)| !id.contains('%')) {
        let device = w.device(id, if id.starts_with("gw") { "gateway" } else { "camera" }).await;
        let tags = if i % 2 == 0 { vec!["eu".into(), "a_b".into()] } else { vec!["us".into()] };
        w.fleet.devices().set_tags(&operator, &id.parse().unwrap(), tags).await.unwrap();
        let firmware = Running { version: format!("1.{i}.0"), sequence: i as u64, device_type: "gateway".into(), hardware: "A".into() };
        let attributes = BTreeMap::from([("site".to_owned(), format!("site {i}"))]);
        let hello = Hello { firmware, attributes, ..presence::hello() };
        w.fleet.devices().connected(Connected { org: w.org.clone(), device, address: "::1".into(), hello });
        if i == 1 {
            w.fleet.devices().disconnected(&w.org, device, "test");
        }
    }
    w.fleet.devices().flush_presence(true).await.unwrap();
    for (group, q) in [("north", "gw"), ("hall 3", "id:gw-1,x"), ("south", "id:none")] {
        w.fleet.devices().create_group(&operator, group).await.unwrap();
        let expected = w.fleet.devices().list(&operator, &DeviceQuery { q: q.into(), ..DeviceQuery::default() }).await.unwrap().total;
        let many = GroupMany { q: q.into(), devices: Vec::new(), out: false, expected };
        w.fleet.devices().group_many(&operator, group, &many).await.unwrap();
    }
    // Some have ended, some end soon, some have none.
    for (id, shift) in [("gw-1", -91 * DAY), ("gw-2", -70 * DAY)] {
        let mut tx = w.fleet.devices().db.write().await.unwrap();
        exec!(&mut tx, SHIFT_CERTIFICATE, id, shift).unwrap();
        exec!(&mut tx, SHIFT_SEEN, id, shift / 70).unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = w.fleet.devices().db.write().await.unwrap();
    exec!(&mut tx, REVOKE_CERTIFICATE, "x").unwrap();
    tx.commit().await.unwrap();
    let mut on = w.fleet.devices().db.read().await.unwrap();
    let all = store::facts_page(&mut on, &w.org, 0, 100, w.clock_now()).await.unwrap();
    assert_eq!(all.len(), 4);
    for text in [
        "",
        "gw",
        "GW-1",
        "cam_",
        "m_1",
        "GW*",
        "c*_1",
        "m*",
        "id:cam*",
        "id:*1",
        "type:gateway",
        "type:gate*",
        "type:Gate*",
        "type:*WAY",
        "tag:eu",
        "tag:a_b",
        "tag:aXb",
        "tag:e*",
        "tag:E*",
        "-tag:eu",
        "online:yes",
        "online:no",
        "sequence>=2",
        "sequence<2",
        "version:1.0.0,1.2.0",
        "version:1.*",
        "version<1.2",
        "-version>=1.2.0",
        "attr.site:\"site 2\"",
        "attr.site:*2",
        "attr.none:x",
        "tag:eu or type:gateway",
        "(tag:us or id:x) -online:no",
        "-(tag:eu type:camera)",
        "state:active",
        "hw:A",
        "hw:a",
        "hw:A state:active",
        "type:gateway -state:decommissioned",
        "version:1.0.0 state:active,suspended",
        "presence:online",
        "presence:stale",
        "-presence:offline",
        "certificate:valid",
        "certificate:expiring,expired",
        "-certificate:none",
        "certificate:revoked,untrusted",
        "certificate:revoked",
        "last_seen<1h",
        "last_seen>=1d or last_seen<=90m",
        "-last_seen>1s",
        "group:north",
        "-group:n*",
        "group:\"hall 3\",south",
    ] {
        let selector = Selector::parse(text).unwrap();
        let asked = Asked::of(&selector, None, (kind, &w.org, w.clock_now())).await.unwrap();
        let mut filter = Filter { asked: asked.clone(), ..Filter::default() };
        let org = filter.bind(Value::Text(w.org.to_string()));
        filter.text = format!("SELECT d.number FROM devices d WHERE d.org_id = {org} AND ");
        filter.push(&selector);
        let by_sql: BTreeSet<i64> =
            select::<(i64,)>(&mut on, filter.text, &filter.values).await.unwrap().into_iter().map(|r| r.0).collect();
        let by_facts: BTreeSet<i64> = all.iter().filter(|(_, f)| selector.matches(f)).map(|(n, _)| *n).collect();
        assert_eq!(by_sql, by_facts, "{text}");
        // Asked of some by their numbers it says the same, and those that an index names have all of them among them.
        let numbers: Vec<i64> = all.iter().map(|(n, _)| *n).collect();
        let of_some: BTreeSet<i64> = matching(&mut on, &w.org, (&selector, &asked), &numbers).await.unwrap().into_iter().collect();
        assert_eq!(of_some, by_facts, "{text}");
        let few = few_meant(&mut on, &w.org, &selector).await.unwrap();
        assert!(few.as_ref().is_none_or(|few| by_facts.iter().all(|n| few.contains(n))), "{text}: {few:?}");
        assert!(few.is_some_and(|few| few.len() == by_facts.len()) || text != "certificate:revoked", "they are named, and nobody else");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_viewer_changes_nothing_and_other_organizations_see_nothing(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let viewer = w.viewer().await;
    w.device("gw-1", "gateway").await;
    let id = "gw-1".parse().unwrap();
    assert!(matches!(w.fleet.devices().set_tags(&viewer, &id, vec![]).await, Err(Error::Access(_))));
    assert!(matches!(w.fleet.devices().decommission(&viewer, &id).await, Err(Error::Access(_))));
    assert!(w.fleet.devices().create_enrolment_token(&viewer, new_token("", 1)).await.is_err());
    let elsewhere = Actor { org: w.entropy.id(w.clock_now()), ..viewer };
    assert!(matches!(w.fleet.devices().find(&elsewhere, &id).await, Err(Error::NotFound("device"))));
    assert_eq!(w.fleet.devices().list(&elsewhere, &DeviceQuery::default()).await.unwrap().total, 0);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_decommissioned_device_leaves_the_list_unless_asked_for(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    w.device("gw-1", "gateway").await;
    w.fleet.devices().decommission(&operator, &"gw-1".parse().unwrap()).await.unwrap();
    let list = |q: &str| DeviceQuery { q: q.into(), ..DeviceQuery::default() };
    assert!(w.fleet.devices().list(&operator, &list("")).await.unwrap().items.is_empty());
    let gone = w.fleet.devices().list(&operator, &list("state:decommissioned")).await.unwrap();
    assert_eq!(gone.items[0].state, DeviceState::Decommissioned);
}

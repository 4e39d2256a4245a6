//! A selector made by chance means the same in SQL and in memory, over a fleet made by chance.

use super::*;
use crate::{
    devices::filter::Asked,
    devices::selector::{Field, Metric, Ordering, Version, order_of},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use wire::{device::Sample, devices::CertificateStanding, pki::AuthorityUse, selector::EXPIRING_MS};

const DEVICE: Sql = Sql::same(
    "INSERT INTO devices (org_id, device_id, device_id_lower, device_type, hardware, state, enrolled_at, enrolled_by, version, version_order, sequence, online, last_seen_at)
     VALUES ($1, $2, $3, $4, 'A', 'active', 0, 'test', $5, $6, $7, $8, $9) RETURNING number",
);
const TAG: Sql = Sql::same(
    "INSERT INTO device_tags (device, org_id, tag, place) VALUES ($1, $2, $3, (SELECT device_id_lower FROM devices WHERE number = $1))",
);
const ATTRIBUTE: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     VALUES ($1, $2, $3, $4, (SELECT device_id_lower FROM devices WHERE number = $1))",
);

/// Of device $5, ends at $6, in state $7, on its owner's list since $8.
const CERTIFICATE: Sql = Sql::same(
    "INSERT INTO certificates (id, org_id, issuer_id, serial, profile, profile_version, device, subject, key_alg, sig_alg, spki_sha256, csr_sha256, fingerprint, der,
                               not_before, not_after, usable_until, state, issued_at, enrolled_by, trust_seq, owner_listed_at)
     VALUES ($1, $2, $3, $4, 'device', 1, $5, 'gw', 'P-256', 'ecdsa', $4, $4, $4, $4, 0, $6, $6, $7, 0, 'test', 0, $8)",
);

const VERSIONS: [&str; 8] = ["", "1.0.0", "1.2.0-rc.1", "1.2.0", "1.10.0", "v2.0", "nightly", "10.0.0"];
const SPAN_S: i64 = 3600;

/// A certificate: whether its authority is believed, its state, and in how many milliseconds it ends.
type Certificate = (bool, &'static str, i64);
/// Id's end, type, version, sequence, online, seconds since it was heard of, tags, site, temperature and its age in seconds, certificates.
type Made = (String, bool, &'static str, i64, bool, i64, Vec<&'static str>, Option<&'static str>, Option<(i32, i64)>, Vec<Certificate>);

fn any_device() -> impl Strategy<Value = Made> {
    let tags = prop::sample::subsequence(vec!["eu", "us", "a_b"], 0..=3);
    let site = prop::option::of(prop::sample::select(vec!["North 1", "north", "s%uth"]));
    let measured = prop::option::of((-3..4i32, 0..3 * SPAN_S));
    let states = prop::sample::select(vec!["active", "active", "superseded", "expired", "revoked", "listed"]);
    let ends = prop::sample::select(vec![-DAY, 0, 1, DAY, EXPIRING_MS, EXPIRING_MS + 1, 90 * DAY]);
    let certificates = prop::collection::vec((any::<bool>(), states, ends), 0..3);
    let version = prop::sample::select(VERSIONS.to_vec());
    ("[aA_%]{1,2}", any::<bool>(), version, 0..4i64, any::<bool>(), 0..3 * SPAN_S, tags, site, measured, certificates)
}

fn any_leaf() -> impl Strategy<Value = Selector> {
    let how = || prop::sample::select(vec![Ordering::Below, Ordering::AtMost, Ordering::Above, Ordering::AtLeast]);
    let version = prop::sample::select(VERSIONS.to_vec()).prop_filter_map("has a place in the order", Version::parse);
    let value = || {
        prop::sample::select(vec![
            "*", "gateway", "gate*", "eu", "a_b", "aXb", "North*", "north", "s%uth", "1.*", "*0", "nightly", "gw-*a", "active",
        ])
    };
    let field = prop::sample::select(vec![Field::Id, Field::Type, Field::Version, Field::Tag, Field::Attribute("site".into())]);
    let state = prop::sample::select(vec!["*", "active", "act*", "suspended", "*ed"]);
    let metric = (prop::sample::select(vec!["temperature", "none"]), how(), -3..4i32, prop::option::of(1..3 * SPAN_S));
    prop_oneof![
        (field, prop::collection::vec(value().prop_map(str::to_owned), 1..3)).prop_map(|(field, values)| Selector::Is(field, values)),
        state.prop_map(|word| Selector::Is(Field::State, vec![word.to_owned()])),
        (how(), version).prop_map(|(how, version)| Selector::Version(how, version)),
        (how(), 0..4i64).prop_map(|(how, n)| Selector::Sequence(how, n)),
        (how(), 1..3 * SPAN_S).prop_map(|(how, s)| Selector::Silent(how, s * 1000)),
        metric.prop_map(|(name, how, value, s)| {
            Selector::Metric(Metric { name: name.into(), how, value: f64::from(value), within: s.map(|s| s * 1000) })
        }),
        prop::sample::select(CertificateStanding::ALL.to_vec())
            .prop_map(|standing| Selector::Is(Field::Certificate, vec![standing.to_string()])),
        prop::sample::select(vec!["online", "stale", "offline"]).prop_map(|w| Selector::Is(Field::Presence, vec![w.to_owned()])),
        "[gwA_%*-]{1,3}".prop_map(Selector::Word),
    ]
}

fn any_selector() -> impl Strategy<Value = Selector> {
    any_leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::Any),
            inner.prop_map(|s| Selector::Not(Box::new(s))),
        ]
    })
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn chance_selectors_mean_the_same_in_sql_and_in_memory(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let mut by_chance = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let (org, now) = (w.org.as_str(), w.clock_now());
    let (system, pki) = (Actor::system(w.org.clone()), w.fleet.pki());
    let given_up = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap().id;
    let believed = pki.stage_authority(&system, AuthorityUse::Device).await.unwrap().id;
    pki.compromise_authority(&system, &given_up).await.unwrap();
    let fleet = prop::collection::vec(any_device(), 40).new_tree(&mut by_chance).unwrap().current();
    for (i, (end, gateway, version, sequence, online, ago, tags, site, measured, certificates)) in fleet.into_iter().enumerate() {
        let id = format!("gw-{i}{end}");
        let kind = if gateway { "gateway" } else { "Camera" };
        let seen = now.0 - ago * 1000;
        let mut tx = w.fleet.devices().db.write().await.unwrap();
        let order = order_of(version);
        let (device,) = row!(&mut tx, (i64,), DEVICE, org, id.as_str(), id.to_lowercase(), kind, version, order, sequence, online, seen)
            .unwrap()
            .unwrap();
        for tag in tags {
            exec!(&mut tx, TAG, device, org, tag).unwrap();
        }
        for (n, (trusted, state, ends)) in certificates.into_iter().enumerate() {
            let (issuer, serial) = (if trusted { &believed } else { &given_up }, [i.to_be_bytes(), n.to_be_bytes()].concat());
            let (state, listed) = if state == "listed" { ("active", Some(now.0)) } else { (state, None::<i64>) };
            exec!(&mut tx, CERTIFICATE, format!("{i}-{n}"), org, issuer.as_str(), serial.as_slice(), device, now.0 + ends, state, listed)
                .unwrap();
        }
        if let Some(site) = site {
            exec!(&mut tx, ATTRIBUTE, device, org, "site", site).unwrap();
        }
        tx.commit().await.unwrap();
        if let Some((value, age)) = measured {
            let sample = Sample { t: now.0 - age * 1000, m: "temperature".into(), v: f64::from(value) };
            w.fleet.telemetry().ingest(&w.org, device, &"gw".parse().unwrap(), "t", 1, vec![sample]).await.unwrap();
        }
    }
    while w.fleet.telemetry().compact_tick().await.unwrap() > 0 {}
    let room = w.fleet.devices();
    let mut on = room.db.read().await.unwrap();
    let mut all = store::facts_page(&mut on, &w.org, 0, 100, now).await.unwrap();
    store::measured(room.last.as_ref(), &w.org, &["none", "temperature"].into(), &mut all).await.unwrap();
    assert!(all.iter().any(|(_, f)| !f.metrics.is_empty()));
    let (mut some, mut none) = (0, 0);
    for _ in 0..400 {
        let selector = any_selector().new_tree(&mut by_chance).unwrap().current();
        let asked = Asked::of(&selector, room.last.as_ref(), (room.db.kind(), &w.org, now)).await.unwrap();
        let mut filter = Filter { asked, ..Filter::default() };
        let bound = filter.bind(Value::Text(w.org.to_string()));
        filter.text = format!("SELECT d.number FROM devices d WHERE d.org_id = {bound} AND ");
        filter.push(&selector);
        let by_sql: BTreeSet<i64> =
            select::<(i64,)>(&mut on, filter.text, &filter.values).await.unwrap().into_iter().map(|r| r.0).collect();
        let by_facts: BTreeSet<i64> = all.iter().filter(|(_, f)| selector.matches(f)).map(|(n, _)| *n).collect();
        assert_eq!(by_sql, by_facts, "{selector}");
        // What is printed is what people save and send: it means the same.
        let printed = Selector::parse(&selector.to_string()).unwrap();
        assert_eq!(all.iter().filter(|(_, f)| printed.matches(f)).count(), by_facts.len(), "{selector}");
        if by_facts.is_empty() { none += 1 } else { some += 1 }
    }
    assert!(some > 100 && none > 20, "{some} selectors that match, {none} that don't");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn versions_of_before_get_their_order(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let viewer = w.viewer().await;
    let org = w.org.as_str();
    for (id, version) in [("a", "1.2.0"), ("b", "1.10.0"), ("c", "nightly")] {
        let mut tx = w.fleet.devices().db.write().await.unwrap();
        row!(&mut tx, (i64,), DEVICE, org, id, id, "gateway", version, "", 1_i64, false, 0_i64).unwrap();
        tx.commit().await.unwrap();
    }
    let older = DeviceQuery { q: "version<1.3".into(), ..DeviceQuery::default() };
    assert_eq!(w.fleet.devices().list(&viewer, &older).await.unwrap().total, 0);
    w.fleet.devices().order_versions().await.unwrap();
    assert_eq!(w.fleet.devices().list(&viewer, &older).await.unwrap().items[0].device_id.as_str(), "a");
    let newer = DeviceQuery { q: "version>=1.3".into(), ..DeviceQuery::default() };
    assert_eq!(w.fleet.devices().list(&viewer, &newer).await.unwrap().items[0].device_id.as_str(), "b");
}

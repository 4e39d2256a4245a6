//! What the language says, and that printing and parsing are each other's inverse.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn any_ordering() -> impl Strategy<Value = Ordering> {
    prop::sample::select(vec![Ordering::Below, Ordering::AtMost, Ordering::Above, Ordering::AtLeast])
}

fn text_field() -> impl Strategy<Value = Field> {
    prop_oneof![Just(Field::Id), Just(Field::Tag), Just(Field::Group), Just(Field::Version), "[a-z]{1,5}".prop_map(Field::Attribute)]
}

fn leaf() -> impl Strategy<Value = Selector> {
    let value = "[a-z*]{1,6}|[ -~]{1,8}".prop_filter("a value is not empty", |v: &String| !v.is_empty());
    prop_oneof![
        (text_field(), prop::collection::vec(value.clone(), 1..3)).prop_map(|(f, v)| Selector::Is(f, v)),
        any::<i64>().prop_map(|n| Selector::Sequence(Ordering::AtLeast, n)),
        (prop_oneof![Just(Ordering::Below), Just(Ordering::Above), Just(Ordering::AtMost)], 1..300_000_000_i64)
            .prop_map(|(how, s)| Selector::Silent(how, s * 1000)),
        (any_ordering(), prop::sample::select(vec!["2.1.0", "0.0.1-rc.1", "10.2.30-a-b.7"]))
            .prop_map(|(how, v)| Selector::Version(how, Version::parse(v).unwrap())),
        (any_ordering(), "[a-z][a-z0-9_./-]{0,8}", -1e12..1e12f64, prop::option::of(1..300_000_000_i64))
            .prop_map(|(how, name, value, s)| { Selector::Metric(Metric { name, how, value, within: s.map(|s| s * 1000) }) }),
        prop::sample::select(vec!["online", "stale", "offline"]).prop_map(|w| Selector::Is(Field::Presence, vec![w.to_owned()])),
        prop::sample::select(vec!["valid", "expiring", "untrusted", "revoked", "expired", "none"])
            .prop_map(|w| Selector::Is(Field::Certificate, vec![w.to_owned(), "none".to_owned()])),
        value.prop_map(Selector::Word),
    ]
}

fn tree() -> impl Strategy<Value = Selector> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::Any),
            inner.prop_map(|s| Selector::Not(Box::new(s))),
        ]
    })
}

proptest! {
    #[test]
    fn printing_and_parsing_give_the_same_tree(selector in tree()) {
        let printed = selector.to_string();
        prop_assert_eq!(Selector::parse(&printed), Ok(selector), "{}", printed);
    }

    #[test]
    fn a_condition_is_put_in_so_that_it_is_read_again(selector in tree(), field in text_field(), value in "[ -~]{1,12}|\\PC{1,4}") {
        let filtered = selector.with(&field, &value);
        let printed = filtered.to_string();
        prop_assert_eq!(Selector::parse(&printed), Ok(filtered.clone()), "{}", printed);
        let about = |s: Selector| s.conditions().into_iter().filter(|c| matches!(c, Selector::Is(f, _) if *f == field)).collect::<Vec<_>>();
        prop_assert_eq!(about(filtered.clone()), vec![Selector::Is(field.clone(), vec![value])]);
        prop_assert_eq!(about(filtered.with(&field, "")), Vec::new());
    }

    #[test]
    fn no_text_makes_the_parser_fall_over(text in "\\PC{0,60}") {
        if let Err(e) = Selector::parse(&text) {
            prop_assert!(e.position as usize <= text.len() && !e.hint.is_empty());
        }
    }
}

#[test]
fn the_language_says_what_it_means() {
    let facts = Facts {
        device_id: "gw-0412".into(),
        device_type: "gateway".into(),
        version: "1.2.0".into(),
        sequence: 12,
        online: true,
        tags: vec!["eu".into(), "beta".into()],
        attributes: BTreeMap::from([("site".into(), "Rotterdam 2".into())]),
        state: "active".into(),
        groups: vec!["hall 3".into()],
        at: crate::Timestamp(100_000_000),
        last_seen_at: 100_000_000 - 3_600_000,
        certificate_until: 100_000_001,
        metrics: BTreeMap::from([("temperature".into(), (crate::Timestamp(100_000_000 - 600_000), 80.5))]),
        ..Facts::default()
    };
    for (text, yes) in [
        ("", true),
        ("GW-04", true),
        ("gw-05", false),
        ("GW-*2", true),
        ("w-04*", false),
        ("type:gateway tag:eu", true),
        ("type:gateway tag:us", false),
        ("tag:us,eu -tag:lab", true),
        ("tag:us or tag:eu", true),
        ("(tag:us or tag:eu) online:no", false),
        ("version:1.*", true),
        ("id:*12 sequence>=12", true),
        ("sequence<12", false),
        ("attr.site:\"Rotterdam 2\"", true),
        ("-(tag:eu)", false),
        ("presence:online", true),
        ("presence:STALE,offline", false),
        ("certificate:expiring", true),
        ("certificate:valid,none", false),
        ("last_seen<2h", true),
        ("last_seen<3600s", false),
        ("last_seen<=60m", true),
        ("last_seen>=1h -group:lab", true),
        ("group:*3", true),
        ("version<2.0 version>=1.2.0 version>1.2.0-rc.1", true),
        ("version>1.2.0 or version<1.2", false),
        ("metric.temperature>80", true),
        ("metric.temperature>80@10m metric.temperature>=8.05e1", true),
        ("metric.temperature>80@9m", false),
        ("metric.humidity<80 or metric.temperature<80.5", false),
        ("-metric.humidity<80", true),
    ] {
        assert_eq!(Selector::parse(text).unwrap().matches(&facts), yes, "{text}");
    }
}

#[test]
fn mistakes_are_shown_with_their_place() {
    for (text, position) in [
        ("colour:red", 0),
        ("tag:", 4),
        ("(tag:a", 0),
        ("tag:a)", 5),
        ("online:maybe", 7),
        ("presence:away", 9),
        ("certificate:x", 12),
        ("last_seen<soon", 10),
        ("last_seen:7d", 0),
        ("hw>1", 0),
        ("version>new", 8),
        ("metric.t>hot", 9),
        ("metric.t>1@soon", 11),
        ("metric.t>inf", 9),
        ("metric.t:1", 0),
        ("metric.>1", 0),
        ("a or", 2),
        ("type:x or ", 7),
        ("or a", 0),
        ("a or or b", 2),
        ("a (b or c or)", 10),
        ("and", 0),
        ("a and ", 2),
        ("a and and b", 2),
        ("(and a)", 1),
        ("a and or b", 2),
        ("sequence>x", 9),
        ("tag:\"x", 4),
        ("version:<1.2.0", 8),
        ("tag:eu type:'gw", 12),
        ("version=1.2", 7),
        ("state:activ", 6),
        ("update:never", 7),
        ("version < 1.2", 8),
    ] {
        assert_eq!(Selector::parse(text).unwrap_err().position, position, "{text}");
    }
}

#[test]
fn a_group_is_asked_for_wherever_it_stands() {
    for (q, asks) in [
        ("group:north", true),
        ("type:a (tag:x or -group:nor*)", true),
        ("group:south,north", true),
        ("group:south", false),
        ("tag:north north", false),
        ("", false),
    ] {
        assert_eq!(Selector::parse(q).unwrap().asks_for_group("north"), asks, "{q}");
    }
}

#[test]
fn a_version_without_a_place_is_neither_older_nor_newer() {
    let odd = Facts { version: "nightly".into(), ..Facts::default() };
    let matches = |text: &str| Selector::parse(text).unwrap().matches(&odd);
    assert!(!matches("version<2.0.0") && !matches("version>=2.0.0") && matches("-version<2.0.0") && matches("version:nightly"));
}

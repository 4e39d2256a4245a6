//! Who is in a rollout, and the first reason why a device is not.

use super::*;
use crate::rollouts::testing::{rollout_id, signed_by, spec, stage};
use wire::{
    Timestamp,
    device::{NO_KEYS, TRUSTED_KEYS},
    rollouts::{Order, Reach, RolloutSpec},
    updates::Pin,
};

fn facts(id: &str) -> Facts {
    Facts {
        device_id: id.into(),
        device_type: "gateway".into(),
        hardware: "A".into(),
        state: "active".into(),
        sequence: 3,
        ..Facts::default()
    }
}

fn pin() -> Pin {
    Pin { at: Timestamp(0), by: "oli".into(), reason: "on show".into() }
}

/// A device that trusts no key says this.
fn nobody() -> BTreeMap<String, String> {
    [(TRUSTED_KEYS.to_owned(), NO_KEYS.to_owned())].into()
}

fn target() -> Target {
    Target {
        device_type: "gateway".into(),
        hardware: vec!["A".into(), "B".into()],
        version: "1.2.0".into(),
        sequence: 5,
        min_sequence: 2,
        runs: None,
        selector: Selector::parse("-tag:lab").unwrap(),
        signed: Some(signed_by(&["a"])),
    }
}

#[test]
fn the_first_reason_is_the_one_told() {
    let target = target();
    assert_eq!(target.check(&facts("ok"), false), Ok(()));
    for (miss, facts, busy) in [
        (Miss::NotSelected, Facts { tags: vec!["lab".into()], ..facts("x") }, false),
        (Miss::OtherType, Facts { device_type: "sensor".into(), sequence: 9, ..facts("x") }, false),
        (Miss::NotSeen, Facts { state: "preregistered".into(), pin: Some(pin()), ..facts("x") }, false),
        (Miss::Pending, Facts { state: "pending".into(), ..facts("x") }, false),
        (Miss::Suspended, Facts { state: "suspended".into(), ..facts("x") }, true),
        (Miss::NotActive, Facts { state: "decommissioned".into(), ..facts("x") }, false),
        (Miss::Pinned, Facts { pin: Some(pin()), hardware: "C".into(), ..facts("x") }, false),
        (Miss::Hardware, Facts { hardware: "C".into(), ..facts("x") }, false),
        (Miss::Newer, Facts { sequence: 5, ..facts("x") }, true),
        (Miss::TooOld, Facts { sequence: 1, attributes: nobody(), ..facts("x") }, false),
        (Miss::Unsigned, Facts { attributes: nobody(), ..facts("x") }, true),
        (Miss::Busy, facts("x"), true),
    ] {
        assert_eq!(target.check(&facts, busy), Err(miss));
        assert!(!target.words(miss).is_empty());
    }
    let back = Target { runs: Some(4), ..target };
    let running = |sequence| Facts { sequence, ..facts("x") };
    assert_eq!([3, 4, 5].map(|n| back.check(&running(n), false)), [Err(Miss::RunsOther), Ok(()), Err(Miss::Newer)]);
}

#[test]
fn a_walk_counts_everybody_once() {
    let (target, id) = (target(), rollout_id(3));
    let stages = [stage(Reach::Percent(10.0)), stage(Reach::Count(6)), stage(Reach::Percent(100.0))];
    let lot = Lot::of(&spec(stages.to_vec())).unwrap();
    let mut walk = Walk::new(&target, &lot, &id, true);
    for n in 1..=20 {
        walk.take(n, &facts(&format!("gw-{n}")), false);
    }
    walk.take(21, &Facts { sequence: 7, ..facts("gw-21") }, false);
    walk.take(22, &Facts { tags: vec!["lab".into()], ..facts("gw-22") }, false);
    walk.take(23, &Facts { pin: Some(pin()), ..facts("gw-23") }, false);
    walk.take(24, &Facts { attributes: nobody(), ..facts("gw-24") }, false);
    let found = walk.finish(&stages, 3);
    assert_eq!(found.stages.iter().map(|s| s.devices).collect::<Vec<_>>(), [2, 4, 14]);
    assert_eq!(found.stages.iter().map(|s| s.sample.len()).collect::<Vec<_>>(), [2, 3, 3]);
    let mut turns: Vec<usize> = found.who.concat();
    turns.sort_unstable();
    assert_eq!(turns, (0..20).collect::<Vec<_>>(), "each of those it is for in one stage");
    assert_eq!(found.stages[0].sample[0].as_str(), format!("gw-{}", found.who[0][0] + 1));
    assert_eq!((found.total, found.last_device), (20, 24));
    let excluded = |reason: &str| Excluded { reason: reason.into(), devices: 1 };
    assert_eq!(
        found.excluded,
        [
            excluded("pinned to what it runs"),
            excluded("already on 1.2.0 or newer"),
            excluded("trusts too few of the keys that have signed 1.2.0"),
        ]
    );
    assert_eq!((found.strata.len(), found.overlaps, found.stages[0].values), (0, vec![0, 0, 0], None));
    assert_eq!(found.members.map(|m| m.len()), Some(4), "of the stage that is given as a number");
}

#[test]
fn a_walk_spreads_and_says_who_is_taken_twice_or_not_at_all() {
    let (target, id) = (target(), rollout_id(3));
    let own = |text: &str| stage(Reach::Matching(text.into()));
    let stages = [own("tag:lab"), stage(Reach::Count(6)), own("tag:lab or site")];
    let target = Target { selector: Selector::everything(), ..target };
    let lot = Lot::of(&RolloutSpec { order: Some(Order::Spread("site".into())), ..spec(stages.to_vec()) }).unwrap();
    let mut walk = Walk::new(&target, &lot, &id, true);
    for n in 1..=22 {
        let tags = if n <= 2 { vec!["lab".into()] } else { Vec::new() };
        let attributes = [("site".to_owned(), format!("site {}", n % 4))].into();
        let name = if n > 20 { format!("site-{n}") } else { format!("gw-{n}") };
        walk.take(n, &Facts { tags, attributes, ..facts(&name) }, false);
    }
    let found = walk.finish(&stages, 3);
    assert_eq!(found.stages[..2].iter().map(|s| s.devices).collect::<Vec<_>>(), [2, 4], "the second reaches 6 in all");
    assert_eq!(found.overlaps, [0, 0, 2]);
    let sites = |who: &Vec<usize>| Some(count(who.iter().map(|i| (i + 1) % 4).collect::<std::collections::BTreeSet<_>>().len()));
    assert_eq!(found.stages.iter().map(|s| s.values).collect::<Vec<_>>(), found.who.iter().map(sites).collect::<Vec<_>>());
    assert_eq!(found.stages[1].values, Some(4), "one of each");
    let left_out = found.excluded.iter().map(|e| e.devices).sum::<i64>();
    assert_eq!(found.total + left_out, 22);
    assert!(left_out > 0 && found.excluded[0].reason.starts_with("in no stage"));
    assert_eq!(found.strata.keys().collect::<Vec<_>>(), ["", "=site 0", "=site 1", "=site 2", "=site 3"]);
    // One of each of four sites of nearly the same size.
    for cuts in found.strata.values().skip(1) {
        assert!(cuts[0] == draw::NOBODY && cuts[1] > draw::NOBODY && cuts[2] == cuts[1]);
    }
    assert_eq!(found.cuts.iter().map(|c| c.place).collect::<Vec<_>>(), [draw::EVERYBODY; 3], "no place leaves out whom a selector takes");
}

#[test]
fn who_is_busy_is_counted_where_it_is_listed_and_in_no_earlier_stage() {
    let (target, id) = (target(), rollout_id(1));
    for (first, reach) in [(Reach::Matching("gw-2".into()), [1, 4]), (Reach::Matching("gw-1".into()), [0, 3])] {
        let stages = vec![stage(first), stage(Reach::Percent(100.0))];
        let lot = Lot::of(&spec(stages.clone())).unwrap();
        let mut walk = Walk::new(&target, &lot, &id, false);
        for n in 1..=4 {
            let taken = walk.take(n, &facts(&format!("gw-{n}")), n == 1);
            assert_eq!(taken, (n == 1).then_some(Miss::Busy));
        }
        let found = walk.finish(&stages, 0);
        assert_eq!((found.cuts.iter().map(|c| c.reach).collect::<Vec<_>>(), found.total), (reach.to_vec(), 3), "{stages:?}");
    }
}

//! Each rule alone keeps a device back, and so does a fact that nobody has found out.

use super::*;
use crate::rollouts::testing::rollout_id;

const NOW: Timestamp = Timestamp(1_000_000);

/// A device that is let in.
const fn welcome() -> Known {
    Known {
        doors: Some(Doors { state: RolloutState::Running, stage: 2, cut: 70, until: Timestamp(2_000_000) }),
        place: Some(70),
        taken: Some(Taken::By(Some(2))),
        had: Some(Had::Nothing),
        part: Some(true),
        fits: Some(Ok(())),
        agreement: Some(Agreement::NotAsked),
        release: Some((ReleaseState::Published, false)),
        time: Some(Time::Open),
        room: Some(true),
        over_budget: Some(false),
    }
}

#[test]
fn what_nobody_has_found_out_keeps_a_device_back() {
    assert_eq!(welcome().let_in(&Check::ALL, NOW), Ok(()));
    for check in Check::ALL {
        assert_eq!(Known::default().bar(check, NOW), Some(Bar::NotKnown(check)));
    }
    assert_eq!(Known::default().let_in_so_far(NOW), Ok(()), "whoever is still finding out is not kept back by that");
    let forgotten = [
        Known { doors: None, ..welcome() },
        Known { place: None, ..welcome() },
        Known { taken: None, ..welcome() },
        Known { had: None, ..welcome() },
        Known { part: None, ..welcome() },
        Known { fits: None, ..welcome() },
        Known { agreement: None, ..welcome() },
        Known { release: None, ..welcome() },
        Known { time: None, ..welcome() },
        Known { room: None, ..welcome() },
        Known { over_budget: None, ..welcome() },
    ];
    for known in forgotten {
        assert!(matches!(known.let_in(&Check::ALL, NOW), Err(Bar::NotKnown(_))), "{known:?}");
        assert_eq!(known.let_in_so_far(NOW), Ok(()));
    }
}

#[test]
fn each_rule_alone_keeps_a_device_back_and_says_what_ends_that() {
    let doors = welcome().doors.unwrap();
    let at = |doors: Doors| Known { doors: Some(doors), ..welcome() };
    let later = Timestamp(NOW.0 + 1);
    let cases = [
        (at(Doors { state: RolloutState::Paused, ..doors }), Bar::NotOut(RolloutState::Paused), Ends::ByChange),
        (at(Doors { until: NOW, ..doors }), Bar::Closed, Ends::ByChange),
        (at(Doors { stage: 1, ..doors }), Bar::Later(2), Ends::ByChange),
        (at(Doors { cut: 69, ..doors }), Bar::NotReached, Ends::ByChange),
        (Known { taken: Some(Taken::By(None)), ..welcome() }, Bar::NoStage, Ends::ByChange),
        (Known { had: Some(Had::Turn(None)), ..welcome() }, Bar::HadItsTurn(None), Ends::ByChange),
        (Known { had: Some(Had::Turn(Some(later))), ..welcome() }, Bar::HadItsTurn(Some(later)), Ends::At(later)),
        (Known { part: Some(false), ..welcome() }, Bar::NoPart, Ends::ByChange),
        (Known { fits: Some(Err(Miss::Pinned)), ..welcome() }, Bar::Misses(Miss::Pinned), Ends::ByChange),
        (Known { agreement: Some(Agreement::InConsole(false)), ..welcome() }, Bar::NotAgreed, Ends::AnyMoment),
        (Known { release: Some((ReleaseState::Recalled, true)), ..welcome() }, Bar::NotInstallable, Ends::ByChange),
        (Known { release: Some((ReleaseState::Deprecated, true)), ..welcome() }, Bar::Damaged, Ends::ByChange),
        (Known { time: Some(Time::Shut(Some(later))), ..welcome() }, Bar::Shut(Some(later)), Ends::At(later)),
        (Known { time: Some(Time::Shut(None)), ..welcome() }, Bar::Shut(None), Ends::ByChange),
        (Known { room: Some(false), ..welcome() }, Bar::NoRoom, Ends::AnyMoment),
        (Known { over_budget: Some(true), ..welcome() }, Bar::OverBudget, Ends::AnyMoment),
    ];
    for (known, bar, ends) in cases {
        let kept: Vec<Bar> = Check::ALL.iter().filter_map(|check| known.bar(*check, NOW)).collect();
        assert_eq!((kept, known.let_in_so_far(NOW), bar.ends()), (vec![bar], Err(bar), ends));
    }
    let lets_in = [
        Known { had: Some(Had::Again), ..welcome() },
        Known { had: Some(Had::Turn(Some(NOW))), ..welcome() },
        Known { taken: Some(Taken::ByPlace), ..welcome() },
        Known { taken: Some(Taken::By(Some(1))), ..welcome() },
        Known { agreement: Some(Agreement::AtDevice), ..welcome() },
        Known { agreement: Some(Agreement::InConsole(true)), ..welcome() },
        Known { release: Some((ReleaseState::Deprecated, false)), ..welcome() },
    ];
    for known in lets_in {
        assert_eq!(known.let_in(&Check::ALL, NOW), Ok(()), "{known:?}");
    }
}

#[test]
fn every_rule_is_asked_once_and_those_that_change_are_asked_again() {
    for (at, check) in Check::ALL.iter().enumerate() {
        assert!(!Check::ALL[..at].contains(check), "{check:?}");
    }
    assert!(Check::HELD.iter().all(|check| Check::ALL.contains(check)));
}

#[test]
fn a_newer_release_that_is_no_less_urgent_takes_over_what_has_not_begun() {
    let rank = |priority, sequence| Rank { priority, sequence };
    let takes = |new: Rank, other, state| new.takes_over(other, state);
    assert!(takes(rank(5, 3), rank(5, 2), UpdateState::Offered) && takes(rank(6, 3), rank(5, 2), UpdateState::AwaitingWindow));
    assert!(!takes(rank(5, 2), rank(5, 2), UpdateState::Offered) && !takes(rank(5, 2), rank(5, 3), UpdateState::Offered));
    assert!(!takes(rank(4, 3), rank(5, 2), UpdateState::Offered), "less urgent");
    assert!(!takes(rank(9, 9), rank(5, 2), UpdateState::Downloading), "it has begun");
}

#[test]
fn the_more_urgent_goes_first_and_of_the_same_the_newer_and_then_the_one_that_was_there_before() {
    let (a, b) = (rollout_id(1).min(rollout_id(2)), rollout_id(1).max(rollout_id(2)));
    let rank = |priority, sequence| Rank { priority, sequence };
    assert!(rank(5, 1).order(&b) < rank(4, 9).order(&a));
    assert!(rank(4, 9).order(&b) < rank(4, 1).order(&a));
    assert!(rank(4, 9).order(&a) < rank(4, 9).order(&b));
}

//! What holds a place for long, and what whoever waits behind it is told.

use super::*;
use crate::rollouts::testing::{spec, stage};
use wire::{
    device::WAITS_FOR_WINDOW,
    rollouts::{Budget, Reach, Weekday, Window},
};

const HOUR: i64 = 3_600_000;
/// The clock in every test, and what an update takes.
const NOW: Timestamp = Timestamp(100 * HOUR);
const TOOK: i64 = HOUR;

const fn at(hour: i64) -> Timestamp {
    Timestamp(hour * HOUR)
}

fn holder(device_id: &str, waits: Waits) -> Holder {
    Holder { device_id: device_id.into(), waits }
}

fn opens(hour: i64) -> Waits {
    Waits::Time(format!("its window opens at {hour}."), Some(at(hour)))
}

fn budget() -> Budget {
    Budget { attribute: "site".into(), at_most: Some(1), at_most_percent: None }
}

/// The turn behind these devices, where so many may update at once and one waits.
fn behind(most: u32, holders: &[Holder], now: Timestamp) -> Turn {
    let plan = spec(vec![stage(Reach::Percent(100.0))]);
    turn(&plan, &Full::AtOnce(most), Crowd::default(), (1, Some(TOOK)), holders, now)
}

#[test]
fn the_turn_does_not_come_before_the_window_of_who_holds_the_place() {
    let plan = spec(vec![stage(Reach::Percent(100.0))]);
    let held = [holder("sim-0001", opens(113))];
    let site = budget();
    for full in [Full::Budget(&site, 1), Full::AtOnce(1)] {
        let told = |now, took| turn(&plan, &full, Crowd::default(), (1, took), &held, now);
        let found = told(NOW, Some(5_000));
        assert_eq!(found.at, Some(at(113)));
        assert_eq!(
            found.holders,
            "sim-0001 holds the place and waits: its window opens at 113. Its turn does not come before 5 Jan 1970 17:00 UTC."
        );
        assert_eq!(found.again, "When sim-0001 may install, and is done.");
        // Neither the clock nor the history moves it.
        for (now, took) in [(NOW.plus(60_000), Some(5_000)), (at(112), Some(24 * HOUR)), (NOW, None)] {
            assert_eq!(told(now, took), found);
        }
        let words = found.words(&full, &Facts { attributes: [("site".to_owned(), "berlin-1".to_owned())].into(), ..Facts::default() });
        assert!(words.contains("It gets it when one is done. sim-0001 holds the place") && !words.contains("estimated"), "{words}");
    }
}

#[test]
fn who_waits_behind_a_person_is_told_no_time() {
    let asked = behind(1, &[holder("sim-0005", Waits::Person(at(101)))], NOW);
    assert_eq!(asked.at, None);
    assert_eq!(
        asked.holders,
        "sim-0005 holds the place and waits for somebody there to confirm; if it stays silent, it counts as timed out 5 Jan 1970 05:00 UTC. \
         Nobody can tell by when its turn comes."
    );
    assert_eq!(asked.again, "When somebody at sim-0005 answers.");
    let put_off = behind(1, &[holder("sim-0005", Waits::PutOff(at(120)))], NOW);
    assert_eq!((put_off.at, put_off.again), (None, "When somebody at sim-0005 answers.".to_owned()));
    assert!(put_off.holders.starts_with("sim-0005 holds the place, and somebody there has put it off until 6 Jan 1970 00:00 UTC."));
    // One window among them says nothing: the person may answer before.
    let both = behind(2, &[holder("sim-0001", opens(113)), holder("sim-0005", Waits::Person(at(101)))], NOW);
    assert_eq!((both.at, both.again.as_str()), (None, "When somebody at sim-0005 answers, or another that holds a place is done."));
    assert!(both.holders.contains("sim-0001 holds a place and waits: its window opens at 113."), "{}", both.holders);
    let unknown = behind(1, &[holder("sim-0001", Waits::Time("its window does not open.".into(), None))], NOW);
    assert_eq!((unknown.at, unknown.again.as_str()), (None, "When sim-0001 is done."));
}

#[test]
fn of_several_the_one_that_frees_a_place_decides() {
    let held: Vec<Holder> =
        [(4, 114), (1, 111), (3, 113), (2, 112), (5, 115)].map(|(n, hour)| holder(&format!("gw-{n}"), opens(hour))).into();
    let found = behind(5, &held, NOW);
    assert_eq!((found.at, found.again.as_str()), (Some(at(111)), "When gw-1 may install, and is done."));
    assert!(found.holders.contains("gw-3 holds a place and waits: its window opens at 113. So do 2 more."), "{}", found.holders);
    // Other rollouts have brought more of a site under way than the budget allows: three have to be done.
    assert_eq!(behind(3, &held, NOW).at, Some(at(113)));
}

#[test]
fn an_estimate_counts_from_when_those_before_it_began_and_never_goes_on_with_the_clock() {
    let begun = |n: i64, since| holder(&format!("gw-{n}"), Waits::Nothing(since));
    let going = [begun(1, at(99)), begun(2, NOW)];
    for now in [NOW.plus(1), NOW.plus(HOUR / 2), NOW.plus(HOUR - 1)] {
        let found = behind(2, &going, now);
        assert_eq!((found.at, found.holders.as_str(), found.again.as_str()), (Some(NOW.plus(TOOK)), "", ""), "{now}");
    }
    let late = behind(2, &going, NOW.plus(HOUR));
    assert_eq!(late.at, None, "both take longer than usual");
    assert!(late.holders.starts_with("gw-1 has held its place for longer than updates usually take"), "{}", late.holders);
    // Whom a window holds takes a place from those that follow each other.
    let plan = spec(vec![stage(Reach::Percent(100.0))]);
    let of_two = |holders: &[Holder]| turn(&plan, &Full::AtOnce(2), Crowd::default(), (4, Some(TOOK)), holders, NOW.plus(1)).at;
    assert_eq!(of_two(&[begun(1, NOW), begun(2, NOW)]), Some(NOW.plus(2 * TOOK)));
    assert_eq!(of_two(&[begun(1, NOW), holder("gw-2", opens(113))]), Some(NOW.plus(4 * TOOK)));
    assert_eq!(turn(&plan, &Full::AtOnce(1), Crowd::default(), (1, None), &[begun(1, NOW)], NOW), Turn::default(), "no history");
}

/// The window of these tests is open on each day from 03:00 until 04:00 UTC; at [`NOW`] it is 04:00.
fn windowed() -> Timing {
    let window =
        Window { days: Weekday::ALL.to_vec(), from: "03:00".parse().unwrap(), until: "04:00".parse().unwrap(), zone: "UTC".into() };
    Timing { window: Some(window), ..Timing::default() }
}

#[test]
fn what_an_update_waits_for_is_what_its_own_device_is_told() {
    use UpdateState as U;
    let (plain, windowed) = (Timing::default(), windowed());
    let waits = |timing: &Timing, state, early: &str, deadline| {
        let attributes: BTreeMap<String, String> = [(WAITS_FOR_WINDOW.to_owned(), early.to_owned())].into();
        let terms = Terms::of(timing, &attributes, &[], NOW);
        let place = Place { state, offered_at: at(90), deadline, timeout_ms: HOUR };
        Waits::of(place, (timing, &terms, &attributes))
    };
    let next = Waits::Time("its window opens Tue 6 Jan 03:00 (UTC).".into(), Some(at(123)));
    for state in [U::AwaitingWindow, U::Downloaded, U::Offered] {
        assert_eq!(waits(&windowed, state, "yes", at(124)), next, "{state}");
    }
    assert_eq!(waits(&windowed, U::Downloaded, "no", at(124)), Waits::Nothing(at(90)), "it does not wait by itself");
    assert_eq!(waits(&windowed, U::Installing, "yes", at(101)), Waits::Nothing(at(90)));
    assert_eq!(waits(&windowed, U::AwaitingWindow, "yes", at(148)), Waits::PutOff(at(147)), "beyond its window");
    assert_eq!(waits(&plain, U::AwaitingConfirmation, "no", at(101)), Waits::Person(at(101)));
    assert_eq!(waits(&plain, U::AwaitingConfirmation, "no", at(111)), Waits::PutOff(at(110)));
    assert!(matches!(waits(&plain, U::AwaitingWindow, "no", at(101)), Waits::Time(_, None)), "a window that nobody here knows");
    assert_eq!(waits(&plain, U::Downloading, "no", at(101)), Waits::Nothing(at(90)));
    // Since its window opened it goes on.
    let attributes: BTreeMap<String, String> = [(WAITS_FOR_WINDOW.to_owned(), "yes".to_owned())].into();
    let terms = Terms::of(&windowed, &attributes, &[], at(99).plus(1));
    let place = Place { state: U::Installing, offered_at: at(90), deadline: at(101), timeout_ms: HOUR };
    assert_eq!(Waits::of(place, (&windowed, &terms, &attributes)), Waits::Nothing(at(99)));
}

#[test]
fn a_plan_whose_devices_wait_in_their_places_is_warned_of_it() {
    let plain = spec(vec![stage(Reach::Percent(100.0))]);
    let windowed = RolloutSpec { window: windowed().window, ..plain.clone() };
    let asks = RolloutSpec { confirm_at_device: true, ..plain.clone() };
    for free in [&plain, &windowed, &asks] {
        assert_eq!(warning(free), None, "nobody waits for anybody");
    }
    assert_eq!(warning(&RolloutSpec { at_once: Some(1), budget: Some(budget()), ..plain }), None, "nobody waits in its place");
    assert_eq!(
        warning(&RolloutSpec { budget: Some(budget()), ..windowed.clone() }).unwrap(),
        "Devices that wait for their window hold their place meanwhile: one of them holds up the others with the same site."
    );
    assert_eq!(
        warning(&RolloutSpec { at_once: Some(5), ..asks.clone() }).unwrap(),
        "Devices that wait for somebody to confirm hold their place meanwhile: 5 of them hold up the whole rollout."
    );
    let share = Budget { at_most: None, at_most_percent: Some(10.0), ..budget() };
    let both = RolloutSpec { at_once: Some(1), budget: Some(share), window: windowed.window.clone(), ..asks };
    assert_eq!(
        warning(&both).unwrap(),
        "Devices that wait for their window or for somebody to confirm hold their place meanwhile: as many of them as the budget allows hold up \
         the others with the same site, and one of them holds up the whole rollout."
    );
    let fetched = RolloutSpec { download_only: true, at_once: Some(1), ..windowed };
    assert_eq!(warning(&fetched), None, "what is only fetched is done when it is there");
}

//! Pure: whether a device may install now, by its plan's window and its organization's freezes, when it may next, and how long it is waited for. It is
//! asked when an offer is made or repeated, by reports, by the preview, and by the explanation of why a device waits.

use super::window::{Local, Opening};
use serde::Deserialize;
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    device::{TIMEZONE, WAITS_FOR_WINDOW},
    rollouts::{RolloutSpec, Urgency, Window},
    states::UpdateState,
};

/// How long a stage with a window waits for devices that don't come, at least: 8 days, so that every window of a week opens once.
pub const WINDOW_PATIENCE_MS: i64 = 8 * 24 * 3_600_000;
/// Freezes and openings that are looked at, one after the other, for one that is not within the other.
const LOOKS: usize = 64;

/// What a plan says of time. Reads from a plan's JSON as well, and passes over the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// When devices may install.
    pub window: Option<Window>,
    /// Whether they may put it off.
    pub urgency: Urgency,
    /// They only fetch.
    pub download_only: bool,
    /// Freezes don't hold it.
    pub during_freeze: bool,
}

impl Timing {
    /// Of a plan.
    pub fn of(spec: &RolloutSpec) -> Self {
        let RolloutSpec { window, urgency, download_only, during_freeze, .. } = spec;
        Self { window: window.clone(), urgency: *urgency, download_only: *download_only, during_freeze: *during_freeze }
    }

    /// Whether the plan says anything of time that its devices are told.
    pub fn told(&self) -> bool {
        self.window.is_some() || self.download_only || !self.urgency.is_usual()
    }
}

/// A stretch of time in which no rollout offers anything new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frost {
    /// What people call it.
    pub name: String,
    /// Its first instant.
    pub from: Timestamp,
    /// The first after it.
    pub until: Timestamp,
}

impl Frost {
    /// Whether it holds at this instant.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// When a plan's updates are offered to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hours {
    /// At any time: there is no window.
    Any,
    /// Within the window.
    Within,
    /// Before it as well, because the device waits by itself.
    Early,
}

/// How a plan's times stand for one device at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The freeze that holds now.
    pub frozen: Option<Frost>,
    /// When it may install: now, or next. None at any time, or never.
    pub opening: Option<Opening>,
    hours: Hours,
    /// It may put it off.
    pub soft: bool,
    /// It only fetches.
    pub download_only: bool,
    now: Timestamp,
}

impl Terms {
    /// For a device with these attributes. `freezes` are those of its organization that are not over.
    pub fn of(timing: &Timing, attributes: &BTreeMap<String, String>, freezes: &[Frost], now: Timestamp) -> Self {
        let freezes = if timing.during_freeze { &[] } else { freezes };
        let local = timing.window.as_ref().map(|window| local(window, attributes));
        Self {
            frozen: freezes.iter().filter(|f| f.holds(now)).max_by_key(|f| f.until).cloned(),
            opening: local.as_ref().and_then(|local| opening(local, freezes, now)),
            hours: match local {
                None => Hours::Any,
                Some(_) if attributes.get(WAITS_FOR_WINDOW).is_some_and(|word| word == "yes") => Hours::Early,
                Some(_) => Hours::Within,
            },
            soft: timing.urgency.soft(now),
            download_only: timing.download_only,
            now,
        }
    }

    /// Whether it may install now.
    pub fn open(&self) -> bool {
        self.frozen.is_none() && (self.hours == Hours::Any || self.opening.is_some_and(|o| o.holds(self.now)))
    }

    /// Whether it may be offered something new, or begin what it was offered: within the window; before it only if it waits by itself.
    pub fn may_begin(&self) -> bool {
        self.open() || self.frozen.is_none() && self.early()
    }

    /// Whether the device waits for its window by itself.
    pub fn early(&self) -> bool {
        self.hours == Hours::Early
    }

    /// Whether there is a window.
    pub fn windowed(&self) -> bool {
        self.hours != Hours::Any
    }

    /// The instant at which it may begin, where it may not now; none when nobody knows it.
    pub fn wake(&self) -> Option<Timestamp> {
        let thawed = self.frozen.as_ref().map(|f| f.until);
        let opens = self.opening.map(|o| o.from).filter(|from| *from > self.now);
        if self.early() { thawed } else { opens.or(thawed) }
    }

    /// From when on silence counts, for an update in this state: what has to wait for its window does not time out meanwhile.
    pub fn waits_from(&self, state: UpdateState) -> Timestamp {
        let installs = state > UpdateState::Downloaded;
        match self.opening {
            Some(opening) if !installs && !self.download_only => self.now.max(opening.from),
            _ => self.now,
        }
    }
}

/// A window where a device with these attributes is.
pub fn local<'a>(window: &'a Window, attributes: &BTreeMap<String, String>) -> Local<'a> {
    Local::of(window, attributes.get(TIMEZONE).map(String::as_str))
}

/// The next opening, or what freezes leave of it.
pub fn opening(local: &Local<'_>, freezes: &[Frost], now: Timestamp) -> Option<Opening> {
    let mut at = now;
    for _ in 0..LOOKS {
        if let Some(frost) = freezes.iter().find(|f| f.holds(at)) {
            at = frost.until;
            continue;
        }
        let whole = local.next(at)?;
        let from = if at > now { whole.from.max(at) } else { whole.from };
        if let Some(frost) = freezes.iter().find(|f| f.holds(from.max(at))) {
            at = frost.until;
            continue;
        }
        let until = freezes.iter().map(|f| f.from).filter(|start| *start > from.max(at)).fold(whole.until, Timestamp::min);
        return Some(Opening { from, until });
    }
    None
}

/// Why a device waits whose turn it is; none when it does not wait for time.
pub fn words(terms: &Terms, timing: &Timing, attributes: &BTreeMap<String, String>) -> Option<String> {
    if terms.may_begin() && terms.open() {
        return None;
    }
    let opens = timing.window.as_ref().map(|window| match terms.opening {
        Some(opening) => format!("its window opens {}", local(window, attributes).readable(opening.from)),
        None => "its window does not open".to_owned(),
    });
    Some(match (&terms.frozen, opens) {
        (Some(frost), Some(opens)) => format!("frozen until {}: {}; {opens}.", frost.until.readable(), frost.name),
        (Some(frost), None) => format!("frozen until {}: {}.", frost.until.readable(), frost.name),
        (None, Some(opens)) => format!("{opens}."),
        (None, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::rollouts::Weekday;

    const HOUR: i64 = 3_600_000;
    /// Thursday, 1 January 1970: the window of every test is open on Thursdays from 02:00 until 04:00 UTC.
    const fn at(hour: i64) -> Timestamp {
        Timestamp(hour * HOUR)
    }

    fn timing() -> Timing {
        let window =
            Window { days: vec![Weekday::Thu], from: "02:00".parse().unwrap(), until: "04:00".parse().unwrap(), zone: "UTC".into() };
        Timing { window: Some(window), ..Timing::default() }
    }

    fn frost(from: i64, until: i64) -> Frost {
        Frost { name: "year's end".into(), from: at(from), until: at(until) }
    }

    fn says(word: &str) -> BTreeMap<String, String> {
        [(WAITS_FOR_WINDOW.to_owned(), word.to_owned())].into()
    }

    #[test]
    fn who_waits_by_itself_may_begin_early_and_nobody_in_a_freeze() {
        let begin = |word: &str, freezes: &[Frost], hour| Terms::of(&timing(), &says(word), freezes, at(hour)).may_begin();
        assert_eq!([1, 2, 3, 4].map(|h| begin("no", &[], h)), [false, true, true, false]);
        assert_eq!([1, 2, 4].map(|h| begin("yes", &[], h)), [true, true, true]);
        let year = [frost(0, 3)];
        assert_eq!([0, 2, 3].map(|h| begin("yes", &year, h)), [false, false, true]);
        assert_eq!([2, 3, 4].map(|h| begin("no", &year, h)), [false, true, false]);
        let through = Timing { during_freeze: true, ..timing() };
        assert!(Terms::of(&through, &says("no"), &year, at(2)).may_begin());
        // Without a window only a freeze holds.
        let plain = |freezes: &[Frost]| Terms::of(&Timing::default(), &BTreeMap::new(), freezes, at(2));
        assert!(plain(&[]).may_begin() && !plain(&year).may_begin());
        assert_eq!((plain(&[]).wake(), plain(&year).wake()), (None, Some(at(3))));
        assert!(plain(&[]).opening.is_none() && !plain(&[]).windowed());
    }

    #[test]
    fn freezes_cut_openings_and_swallow_them() {
        let opening = |freezes: &[Frost], hour| Terms::of(&timing(), &BTreeMap::new(), freezes, at(hour)).opening;
        let of = |from, until| Some(Opening { from: at(from), until: at(until) });
        assert_eq!(opening(&[], 0), of(2, 4));
        assert_eq!(opening(&[], 3), of(2, 4), "the one that is open");
        assert_eq!(opening(&[frost(3, 9)], 0), of(2, 3));
        assert_eq!(opening(&[frost(0, 3)], 0), of(3, 4));
        assert_eq!(opening(&[frost(1, 5)], 0), of(7 * 24 + 2, 7 * 24 + 4), "the whole opening is frozen");
        assert_eq!(opening(&[frost(0, 24), frost(24, 8 * 24)], 0), of(14 * 24 + 2, 14 * 24 + 4));
    }

    #[test]
    fn what_waits_for_its_window_does_not_time_out_meanwhile() {
        let terms = |hour| Terms::of(&timing(), &BTreeMap::new(), &[], at(hour));
        assert_eq!(terms(0).waits_from(UpdateState::Downloaded), at(2));
        assert_eq!(terms(3).waits_from(UpdateState::AwaitingWindow), at(3));
        assert_eq!(terms(5).waits_from(UpdateState::Installing), at(5));
        assert_eq!(terms(5).waits_from(UpdateState::Downloading), at(7 * 24 + 2));
    }

    #[test]
    fn it_is_said_why_a_device_waits() {
        let words = |freezes: &[Frost], hour| words(&Terms::of(&timing(), &says("no"), freezes, at(hour)), &timing(), &says("no"));
        assert_eq!(words(&[], 0).unwrap(), "its window opens Thu 1 Jan 02:00 (UTC).");
        assert_eq!(words(&[], 2), None);
        assert_eq!(
            words(&[frost(0, 30)], 0).unwrap(),
            "frozen until 2 Jan 1970 06:00 UTC: year's end; its window opens Thu 8 Jan 02:00 (UTC)."
        );
    }

    #[test]
    fn a_plans_json_is_read_without_the_rest_of_it() {
        let spec = RolloutSpec { window: timing().window, download_only: true, ..crate::rollouts::testing::spec(vec![]) };
        let read: Timing = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(read, Timing::of(&spec));
        assert!(read.told() && !Timing::default().told());
    }

    proptest! {
        #[test]
        fn an_opening_is_never_frozen_and_never_over(freezes in prop::collection::vec((0..400_i64, 1..300_i64), 0..4), hour in 0..400_i64, word in prop::sample::select(vec!["yes", "no"])) {
            let freezes: Vec<Frost> = freezes.into_iter().map(|(from, length)| frost(from, from + length)).collect();
            let terms = Terms::of(&timing(), &says(word), &freezes, at(hour));
            let opening = terms.opening.unwrap();
            prop_assert!(at(hour) < opening.until);
            let first = opening.from.max(at(hour));
            prop_assert!(!freezes.iter().any(|f| f.holds(first) || f.holds(opening.until.plus(-1))));
            prop_assert_eq!(terms.open(), opening.holds(at(hour)));
            // Whoever may not begin now knows when to ask, and may then.
            if !terms.may_begin() {
                let wake = terms.wake().unwrap();
                prop_assert!(wake > at(hour));
                let then = Terms::of(&timing(), &says(word), &freezes, wake);
                prop_assert!(then.may_begin() || then.frozen.is_some());
            }
        }
    }
}

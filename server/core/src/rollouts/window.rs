//! Pure: when a maintenance window is open in a zone, with the zone database that is part of the program. Right across the days on which clocks are put
//! forward or back: a window that begins in the hour that is left out opens at the first instant after it, and one in an hour that comes twice is open
//! through both. Refuses to know devices and plans beyond a zone's name and a window.

use jiff::{
    Span, Timestamp as Instant, Zoned,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use std::sync::LazyLock;
use wire::{
    Timestamp,
    rollouts::{Weekday, Window},
};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Local days looked at from an instant on: every window of a week, and those before it that may still be open.
const DAYS: std::ops::RangeInclusive<i64> = -2..=9;

/// The zone of an IANA name, in any case.
pub fn zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name.trim()).ok()
}

/// The known zone whose name is most like this one: the place when that is right (`Berlin`), else what takes the fewest changes.
pub fn nearest(name: &str) -> Option<String> {
    let wanted = name.trim().to_ascii_lowercase().replace(' ', "_");
    let place = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let known = ZONES.available().map(|zone| zone.as_str().to_owned());
    known.min_by_key(|known| {
        let low = known.to_ascii_lowercase();
        (place(&low) != place(&wanted), changes(&low, &wanted), known.clone())
    })
}

/// How many letters have to be put in, taken out or exchanged to make one text of the other (Levenshtein).
fn changes(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.bytes().enumerate() {
        let (mut diagonal, mut left) = (above, above + 1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, wanted) in row.iter_mut().skip(1).zip(other.bytes()) {
            let exchanged = diagonal + usize::from(letter != wanted);
            diagonal = *cell;
            *cell = exchanged.min(*cell + 1).min(left + 1);
            left = *cell;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A stretch of time for which a window is open: from its first instant on, up to the one at which it is closed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// When it opens.
    pub from: Timestamp,
    /// When it closes.
    pub until: Timestamp,
}

impl Opening {
    /// Whether it is open at this instant.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// A window in the zone of one device.
#[derive(Debug, Clone)]
pub struct Local<'a> {
    window: &'a Window,
    zone: TimeZone,
    /// The device reports this zone; otherwise it is the plan's.
    pub own: bool,
}

impl<'a> Local<'a> {
    /// In the zone that a device reports, or in the plan's when it reports none that is known.
    pub fn of(window: &'a Window, reported: Option<&str>) -> Self {
        match reported.and_then(zone) {
            Some(zone) => Self { window, zone, own: true },
            // A plan is only taken with a zone that is known.
            None => Self { window, zone: zone(&window.zone).unwrap_or(TimeZone::UTC), own: false },
        }
    }

    /// Whether it is open.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.next(at).is_some_and(|opening| opening.holds(at))
    }

    /// The opening at this instant, or the next one after it. Openings that follow each other without a pause are one. None for a window that never
    /// opens, and where the calendar ends.
    pub fn next(&self, at: Timestamp) -> Option<Opening> {
        let today = Instant::from_millisecond(at.0).ok()?.to_zoned(self.zone.clone()).date();
        let mut found: Option<Opening> = None;
        for opening in DAYS.filter_map(|days| self.on(today.checked_add(Span::new().days(days)).ok()?)) {
            match &mut found {
                Some(before) if opening.from <= before.until => before.until = before.until.max(opening.until),
                // Over before this instant.
                Some(before) if before.until <= at => found = Some(opening),
                Some(_) => break,
                None => found = Some(opening),
            }
        }
        found.filter(|opening| at < opening.until)
    }

    /// The opening that begins on this local day.
    fn on(&self, day: Date) -> Option<Opening> {
        let weekday = Weekday::ALL.get(usize::try_from(day.weekday().to_monday_zero_offset()).ok()?)?;
        if !self.window.days.contains(weekday) {
            return None;
        }
        let (from, until) = (self.window.from.minutes(), self.window.until.minutes());
        let last = if until > from { day } else { day.tomorrow().ok()? };
        let (opens, closes) = (self.instant(local(day, from)?)?, self.instant(local(last, until)?)?);
        let end = match (opens, closes) {
            // Both in the time that is left out: it keeps its length.
            (Meant::Skipped(a), Meant::Skipped(b)) if a == b => a.plus(i64::from((until + 1440 - from) % 1440) * 60_000),
            (_, Meant::Skipped(at)) => at,
            (_, Meant::Once { last, .. }) => last,
        };
        let opening = match opens {
            Meant::Skipped(at) => Opening { from: at, until: end },
            Meant::Once { first, .. } => Opening { from: first, until: end },
        };
        (opening.from < opening.until).then_some(opening)
    }

    fn instant(&self, local: DateTime) -> Option<Meant> {
        let meant = self.zone.to_ambiguous_timestamp(local);
        let millis = |at: Instant| Timestamp(at.as_millisecond());
        if let AmbiguousOffset::Gap { .. } = meant.offset() {
            let before = meant.earlier().ok()?;
            return self.zone.following(before).next().map(|change| Meant::Skipped(millis(change.timestamp())));
        }
        Some(Meant::Once { first: millis(meant.earlier().ok()?), last: millis(meant.later().ok()?) })
    }

    /// An instant as its people read it: `Mon 30 Nov 02:00 (Europe/Berlin)`.
    pub fn readable(&self, at: Timestamp) -> String {
        let Ok(instant) = Instant::from_millisecond(at.0) else { return at.readable() };
        let local: Zoned = instant.to_zoned(self.zone.clone());
        format!("{} ({})", local.strftime("%a %-d %b %H:%M"), self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// What a local time means.
#[derive(Debug, Clone, Copy)]
enum Meant {
    /// Nothing: clocks are put forward over it, to this instant.
    Skipped(Timestamp),
    /// An instant, or two when clocks are put back over it.
    Once { first: Timestamp, last: Timestamp },
}

/// So many minutes after the midnight that a day begins with.
fn local(day: Date, minutes: u16) -> Option<DateTime> {
    if minutes == 1440 {
        return Some(day.tomorrow().ok()?.to_datetime(Time::midnight()));
    }
    let (hour, minute) = (i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?);
    Some(day.to_datetime(Time::new(hour, minute, 0, 0).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::rollouts::TimeOfDay;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    /// 1 January 2026, 00:00 UTC.
    const YEAR: Timestamp = Timestamp(1_767_225_600_000);

    fn window(days: &[Weekday], from: &str, until: &str) -> Window {
        Window { days: days.to_vec(), from: from.parse().unwrap(), until: until.parse().unwrap(), zone: "UTC".into() }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<Instant>().unwrap().as_millisecond())
    }

    /// The next opening after an instant, in UTC.
    fn next(window: &Window, zone: &str, after: &str) -> (String, String) {
        let opening = Local::of(window, Some(zone)).next(at(after)).unwrap();
        (opening.from.rfc3339(), opening.until.rfc3339())
    }

    #[test]
    fn a_window_is_in_the_devices_zone_or_else_in_the_plans() {
        let nights = window(&[Weekday::Mon], "02:00", "04:00");
        let said = |zone: Option<&str>| {
            let local = Local::of(&nights, zone);
            (local.next(at("2026-11-29T03:00:00Z")).unwrap().from.rfc3339(), local.own)
        };
        assert_eq!(said(Some("Europe/Berlin")), ("2026-11-30T01:00:00Z".into(), true));
        assert_eq!(said(Some("asia/tokyo")), ("2026-11-29T17:00:00Z".into(), true));
        assert_eq!(said(Some("Mars/Phobos")), ("2026-11-30T02:00:00Z".into(), false));
        assert_eq!(said(None), ("2026-11-30T02:00:00Z".into(), false));
        let local = Local::of(&nights, Some("Europe/Berlin"));
        assert_eq!(local.readable(at("2026-11-30T01:00:00Z")), "Mon 30 Nov 02:00 (Europe/Berlin)");
    }

    #[test]
    fn it_may_cross_midnight_and_follow_itself_without_a_pause() {
        let night = window(&[Weekday::Fri], "22:00", "02:00");
        assert_eq!(next(&night, "UTC", "2026-11-28T01:59:00Z"), ("2026-11-27T22:00:00Z".into(), "2026-11-28T02:00:00Z".into()));
        assert_eq!(next(&night, "UTC", "2026-11-28T02:00:00Z"), ("2026-12-04T22:00:00Z".into(), "2026-12-05T02:00:00Z".into()));
        let weekend = window(&[Weekday::Sat, Weekday::Sun], "00:00", "24:00");
        assert_eq!(next(&weekend, "UTC", "2026-11-27T12:00:00Z"), ("2026-11-28T00:00:00Z".into(), "2026-11-30T00:00:00Z".into()));
        assert_eq!(next(&weekend, "UTC", "2026-11-29T12:00:00Z").0, "2026-11-28T00:00:00Z");
        assert!(Local::of(&window(&[], "00:00", "24:00"), None).next(YEAR).is_none(), "no day, no opening");
    }

    #[test]
    fn clocks_that_are_put_forward_and_back() {
        // Berlin, 29 March 2026: 02:00 is 03:00. 25 October 2026: 03:00 is 02:00.
        let sundays = |from, until| window(&[Weekday::Sun], from, until);
        let spring = |from, until| next(&sundays(from, until), "Europe/Berlin", "2026-03-28T12:00:00Z");
        assert_eq!(spring("02:15", "02:45"), ("2026-03-29T01:00:00Z".into(), "2026-03-29T01:30:00Z".into()), "it keeps its length");
        assert_eq!(spring("02:30", "04:00"), ("2026-03-29T01:00:00Z".into(), "2026-03-29T02:00:00Z".into()));
        assert_eq!(spring("01:00", "02:30"), ("2026-03-29T00:00:00Z".into(), "2026-03-29T01:00:00Z".into()));
        let autumn = |from, until| next(&sundays(from, until), "Europe/Berlin", "2026-10-24T12:00:00Z");
        assert_eq!(autumn("02:15", "02:45"), ("2026-10-25T00:15:00Z".into(), "2026-10-25T01:45:00Z".into()), "through both");
        assert_eq!(autumn("02:30", "03:30"), ("2026-10-25T00:30:00Z".into(), "2026-10-25T02:30:00Z".into()));
        // Samoa had no 30 December 2011, a Friday.
        let friday = window(&[Weekday::Fri], "10:00", "12:00");
        assert_eq!(next(&friday, "Pacific/Apia", "2011-12-29T22:00:00Z"), ("2011-12-30T10:00:00Z".into(), "2011-12-30T12:00:00Z".into()));
    }

    #[test]
    fn a_zone_that_is_not_known_has_a_nearest() {
        for (wrong, nearest_to_it) in [
            ("Berlin", "Europe/Berlin"),
            ("Europe/Berln", "Europe/Berlin"),
            ("new york", "America/New_York"),
            ("america/chicgo", "America/Chicago"),
        ] {
            assert_eq!(nearest(wrong).unwrap(), nearest_to_it);
        }
        assert!(zone("Europe/Berln").is_none() && zone(" europe/berlin ").is_some());
        assert_eq!((changes("kitten", "sitting"), changes("", "ab"), changes("ab", "ab")), (3, 2, 0));
    }

    fn any_window() -> impl Strategy<Value = Window> {
        let days = prop::collection::vec(prop::sample::select(Weekday::ALL), 1..4);
        (days, 0..1440_u16, 1..1440_u16).prop_map(|(days, from, length)| {
            let time = |minutes: u16| TimeOfDay::of_minutes(minutes % 1440).unwrap();
            Window { days, from: time(from), until: time(from + length), zone: "UTC".into() }
        })
    }

    fn any_zone() -> impl Strategy<Value = String> {
        let all: Vec<String> = ZONES.available().map(|zone| zone.as_str().to_owned()).collect();
        prop::sample::select(all)
    }

    proptest! {
        #[test]
        fn the_next_opening_is_the_next(window in any_window(), zone in any_zone(), minute in 0..(2 * 525_600_i64), samples in prop::collection::vec(0.0..1.0_f64, 20)) {
            let local = Local::of(&window, Some(&zone));
            prop_assert!(local.own, "{}", zone);
            let now = YEAR.plus(minute * MINUTE);
            let opening = local.next(now).unwrap();
            prop_assert!(opening.from < opening.until && now < opening.until, "never in the past");
            prop_assert!(opening.from.since(now) <= 8 * 24 * HOUR, "within a week, and what clocks are put back");
            prop_assert!(local.is_open(opening.from) && local.is_open(opening.until.plus(-1)));
            prop_assert!(!local.is_open(opening.until) && !local.is_open(opening.from.plus(-1)), "its edges are sharp");
            if opening.holds(now) {
                prop_assert!(local.is_open(now));
            } else {
                for share in samples {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a sample")]
                    let between = now.plus((opening.from.since(now) as f64 * share) as i64);
                    prop_assert!(!local.is_open(between), "nothing in between is open");
                    prop_assert_eq!(local.next(between), Some(opening), "the same one, asked in between");
                }
            }
        }

        #[test]
        fn an_instant_is_in_the_window_when_its_local_time_is(window in any_window(), zone in any_zone(), minute in 0..525_600_i64) {
            // Reckoned from the other side: by the local time of an instant, away from the days on which clocks change.
            let now = YEAR.plus(minute * MINUTE);
            let tz = super::zone(&zone).unwrap();
            let instant = Instant::from_millisecond(now.0).unwrap();
            let steady = [-50, 50].iter().all(|hours| {
                let there = Instant::from_millisecond(now.plus(hours * HOUR).0).unwrap();
                tz.to_offset(there) == tz.to_offset(instant)
            });
            if steady {
                let local = instant.to_zoned(tz);
                let minutes = u16::try_from(local.hour()).unwrap() * 60 + u16::try_from(local.minute()).unwrap();
                let meant = |date: Date| {
                    window.days.contains(&Weekday::ALL[usize::try_from(date.weekday().to_monday_zero_offset()).unwrap()])
                };
                let (from, until) = (window.from.minutes(), window.until.minutes());
                let (today, yesterday) = (meant(local.date()), meant(local.date().yesterday().unwrap()));
                let inside = if from < until {
                    today && (from..until).contains(&minutes)
                } else {
                    today && minutes >= from || yesterday && minutes < until
                };
                prop_assert_eq!(Local::of(&window, Some(&zone)).is_open(now), inside);
            }
        }
    }
}

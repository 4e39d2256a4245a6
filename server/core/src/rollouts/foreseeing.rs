//! Pure: how a plan's times fall among the devices it is for, zone by zone: who has no zone, when the first and the last window opens, and where freezes
//! are in the way.

use super::{
    timing::{Frost, Timing, opening},
    window::{Local, zone},
};
use crate::devices::Facts;
use std::collections::BTreeMap;
use wire::{Timestamp, device::TIMEZONE, rollouts::Times};

/// Conflicts that are told; beyond, that there are more.
const TOLD: usize = 5;

/// The zones of the devices that a plan is for. None is for those that report none that is known.
#[derive(Debug, Default)]
pub struct Zones(BTreeMap<Option<String>, i64>);

impl Zones {
    /// Takes a device into account that the plan is for.
    pub fn take(&mut self, facts: &Facts) {
        let own = facts.attributes.get(TIMEZONE).filter(|name| zone(name).is_some());
        *self.0.entry(own.cloned()).or_default() += 1;
    }
}

/// How the times fall from `start` on; none when there is nothing to say of them.
pub fn foresee(timing: &Timing, zones: &Zones, freezes: &[Frost], start: Timestamp) -> Option<Times> {
    if timing.window.is_none() && freezes.is_empty() {
        return None;
    }
    let freezes = if timing.during_freeze { &[] } else { freezes };
    let frozen = freezes.iter().find(|f| f.holds(start));
    let mut conflicts: Vec<String> = frozen
        .map(|f| format!("It starts in the freeze “{}”: nobody is offered it before {}.", f.name, f.until.readable()))
        .into_iter()
        .collect();
    let Some(window) = &timing.window else {
        return Some(Times { first: frozen.map(|f| f.until), conflicts, ..Times::default() }).filter(|t| *t != Times::default());
    };
    let (mut first, mut last) = (None::<Timestamp>, None::<Timestamp>);
    for reported in zones.0.keys() {
        let local = Local::of(window, reported.as_deref());
        let Some(found) = opening(&local, freezes, start) else { continue };
        let opens = found.from.max(start);
        first = Some(first.map_or(opens, |at| at.min(opens)));
        last = Some(last.map_or(opens, |at| at.max(opens)));
        let whole = local.next(start);
        if let Some(lost) = whole.filter(|lost| lost.until <= opens)
            && let Some(frost) = freezes.iter().find(|f| f.from < lost.until && lost.from < f.until)
        {
            conflicts.push(format!(
                "The window that opens {} lies in the freeze “{}”: the next is {}.",
                local.readable(lost.from),
                frost.name,
                local.readable(opens)
            ));
        }
    }
    let more = conflicts.len().saturating_sub(TOLD);
    conflicts.truncate(TOLD);
    if more > 0 {
        conflicts.push(format!("The same holds for {more} more time zones."));
    }
    Some(Times { zoneless: zones.0.get(&None).copied().unwrap_or_default(), first, last, conflicts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::rollouts::{Weekday, Window};

    const HOUR: i64 = 3_600_000;

    fn zones(of: &[(Option<&str>, i64)]) -> Zones {
        Zones(of.iter().map(|(zone, n)| (zone.map(str::to_owned), *n)).collect())
    }

    #[test]
    fn windows_open_zone_by_zone_and_freezes_are_in_their_way() {
        let (from, until) = ("02:00".parse().unwrap(), "04:00".parse().unwrap());
        let window = Window { days: vec![Weekday::Fri], from, until, zone: "UTC".into() };
        let timing = Timing { window: Some(window), ..Timing::default() };
        let fleet = zones(&[(None, 3), (Some("Asia/Tokyo"), 2), (Some("America/New_York"), 1)]);
        let times = foresee(&timing, &fleet, &[], Timestamp(0)).unwrap();
        // 2 January 1970 was a Friday; Tokyo is 9 hours before UTC, New York 5 behind.
        assert_eq!((times.zoneless, times.first, times.last), (3, Some(Timestamp(17 * HOUR)), Some(Timestamp(31 * HOUR))));
        assert_eq!(times.conflicts, [""; 0]);
        let year = Frost { name: "year's end".into(), from: Timestamp(0), until: Timestamp(28 * HOUR) };
        let times = foresee(&timing, &fleet, std::slice::from_ref(&year), Timestamp(0)).unwrap();
        assert_eq!(times.first, Some(Timestamp(31 * HOUR)));
        assert_eq!(times.conflicts.len(), 3, "{:?}", times.conflicts);
        assert!(times.conflicts[0].starts_with("It starts in the freeze “year's end”: nobody is offered it before 2 Jan 1970 04:00 UTC"));
        assert_eq!(foresee(&Timing { during_freeze: true, ..timing.clone() }, &fleet, &[year], Timestamp(0)).unwrap().conflicts, [""; 0]);
        assert_eq!(foresee(&Timing::default(), &fleet, &[], Timestamp(0)), None);
    }
}

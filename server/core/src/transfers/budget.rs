//! Pure: what a device was sent in the last 30 days, and when it is below its budget again. Days are whole ones (UTC), so the window is 30 days and
//! what is gone of today.

use wire::{Timestamp, transfers::DataUse};

const DAY_MS: i64 = 24 * 3600 * 1000;
/// Days that count, today among them.
pub const WINDOW: i64 = 31;

/// The day of an instant, since 1970.
pub fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// The last day that does not count any more.
pub fn gone(now: Timestamp) -> i64 {
    day(now) - WINDOW
}

/// The beginning of the day so many days after this instant's.
pub fn midnight(now: Timestamp, days: i64) -> Timestamp {
    Timestamp(day(now).saturating_add(days).saturating_mul(DAY_MS))
}

/// What it was sent on these days, against a budget in bytes.
pub fn used(days: &[(i64, i64)], budget: Option<i64>, now: Timestamp) -> DataUse {
    let counted = |today: i64| days.iter().filter(|(day, _)| *day > today - WINDOW).map(|(_, bytes)| *bytes).fold(0, i64::saturating_add);
    let today = day(now);
    let bytes = counted(today);
    let over = budget.is_some_and(|budget| bytes >= budget);
    let again = over.then(|| (today + 1..=today + WINDOW).find(|day| budget.is_some_and(|budget| counted(*day) < budget)));
    DataUse { bytes, budget, again: again.flatten().map(|day| Timestamp(day * DAY_MS)) }
}

/// Why a device whose turn it is gets nothing; none while it is below its budget.
pub fn words(of: &DataUse) -> Option<String> {
    let (budget, again) = (of.budget?, of.again?);
    let (used, budget) = (of.bytes / 1_000_000, budget / 1_000_000);
    Some(format!("it is its turn, but the device has used {used} of {budget} MB in 30 days. It gets it from {} on.", again.readable()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: i64 = DAY_MS / 2;

    #[test]
    fn a_device_over_its_budget_waits_until_enough_of_it_is_long_ago() {
        let now = Timestamp(100 * DAY_MS + NOON);
        let days = [(60, 900_000_000), (70, 50_000_000), (90, 100_000_000), (100, 60_000_000)];
        let free = used(&days, None, now);
        assert_eq!((free.bytes, free.again, words(&free)), (210_000_000, None, None));
        assert_eq!(used(&days, Some(210_000_001), now).again, None);
        let over = used(&days, Some(200_000_000), now);
        assert_eq!(over.again, Some(Timestamp(101 * DAY_MS)), "what it was sent on day 70 counts for 31 days");
        assert_eq!(
            words(&over).unwrap(),
            "it is its turn, but the device has used 210 of 200 MB in 30 days. It gets it from 12 Apr 1970 00:00 UTC on."
        );
        assert_eq!(used(&days, Some(100_000_000), now).again, Some(Timestamp(121 * DAY_MS)));
        assert_eq!(used(&days, Some(1), now).again, Some(Timestamp(131 * DAY_MS)));
    }

    proptest! {
        #[test]
        fn from_then_on_it_is_below(days in prop::collection::vec((60i64..=100, 1i64..1000), 0..40), budget in 1i64..5000) {
            let now = Timestamp(100 * DAY_MS + NOON);
            let found = used(&days, Some(budget), now);
            prop_assert_eq!(found.again.is_some(), found.bytes >= budget);
            if let Some(again) = found.again {
                prop_assert!(again > now && used(&days, Some(budget), again).again.is_none());
                prop_assert!(used(&days, Some(budget), again.plus(-1)).again.is_some(), "not before");
            }
        }
    }
}

//! Pure: over how long the devices of one order are told of it, and when each of them is, so that they don't all come back in the same minute.

use super::Error;
use wire::{Timestamp, pki::MAX_RENEWAL_MINUTES};

/// So many devices a second are told where nobody says over how long; no more than these are told at once.
const USUAL: i64 = 100;
/// So many a second are told at most, and at once: what a small server signs.
const MOST: i64 = 300;
const MINUTE: i64 = 60_000;

/// Whole minutes in which so many devices are told, so many a second.
fn needed(devices: i64, a_second: i64) -> u32 {
    if devices <= a_second {
        return 0;
    }
    let a_minute = 60 * a_second;
    u32::try_from((devices + a_minute - 1) / a_minute).unwrap_or(u32::MAX)
}

/// Over how many minutes so many devices are told: those that were asked for, if they are enough and no more than a week.
pub(super) fn minutes(wanted: Option<u32>, devices: i64) -> Result<u32, Error> {
    let Some(wanted) = wanted else { return Ok(needed(devices, USUAL)) };
    let least = needed(devices, MOST);
    if wanted < least {
        let text =
            format!("To tell {devices} devices takes {least} min or more: at most {MOST} a second are told. Give more minutes, or none.");
        return Err(Error::invalid("minutes", text));
    }
    if wanted > MAX_RENEWAL_MINUTES {
        return Err(Error::invalid("minutes", format!("Devices are told over {MAX_RENEWAL_MINUTES} minutes at most, which is a week.")));
    }
    Ok(wanted)
}

/// When the `n`th of so many devices is told, the first at once and the last before the minutes are over.
pub(super) fn due(now: Timestamp, minutes: u32, (n, devices): (i64, i64)) -> Timestamp {
    now.plus(i64::from(minutes) * MINUTE * n / devices.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_told_at_once_and_many_a_hundred_a_second() {
        let unsaid = [0, 1, 100, 101, 6_000, 6_001, 100_000].map(|devices| minutes(None, devices).unwrap());
        assert_eq!(unsaid, [0, 0, 0, 1, 1, 2, 17]);
    }

    #[test]
    fn what_is_asked_for_is_bounded_by_what_can_be_signed_and_by_a_week() {
        assert_eq!(
            [(0, 300), (1, 301), (6, 100_000), (MAX_RENEWAL_MINUTES, 1)].map(|(m, n)| minutes(Some(m), n).unwrap()),
            [0, 1, 6, 10_080]
        );
        for (wanted, devices, said) in
            [(0, 301, "takes 1 min or more"), (5, 100_000, "takes 6 min or more"), (10_081, 1, "which is a week")]
        {
            let refused = minutes(Some(wanted), devices).unwrap_err().fault();
            assert_eq!(refused.field.as_deref(), Some("minutes"));
            assert!(refused.message.contains(said), "{refused:?}");
        }
    }

    #[test]
    fn no_second_has_more_than_its_share() {
        for (wanted, devices) in [(None, 6_001), (None, 100_000), (Some(1), 18_000), (Some(10), 18_000)] {
            let over = minutes(wanted, devices).unwrap();
            let told: Vec<i64> = (0..devices).map(|n| due(Timestamp(5), over, (n, devices)).0).collect();
            assert_eq!((told[0], told.is_sorted()), (5, true));
            assert!(*told.last().unwrap() < 5 + i64::from(over) * MINUTE);
            let in_a_second = |n: usize| told[n..].iter().take_while(|at| **at < told[n] + 1000).count();
            let some = (0..told.len()).step_by(997).map(in_a_second).max().unwrap();
            assert!(i64::try_from(some).unwrap() <= MOST + 1, "{over} minutes for {devices}: {some} in a second");
        }
        assert_eq!(due(Timestamp(5), 0, (7, 9)), Timestamp(5));
    }
}

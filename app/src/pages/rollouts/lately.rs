//! Pure: what the fleet's own updates came to of late, in words, to stand beside the limits of a gate that is being written. Each value says of how many it
//! is. Refuses to judge: which limit is sane is for whoever reads both.

use crate::ui::number::{counted, grouped};
use wire::rollouts::{PastUpdates, rate_of, rate_words};

/// What the fleet's value of a gate's field is, by the name of the field; none of fields that are no limit, and none of no devices.
pub(super) fn value(past: &PastUpdates, field: &str) -> Option<String> {
    let (c, finished) = (&past.ended, past.ended.finished());
    match field {
        "success_percent" => rate(c.succeeded, finished),
        "error_percent" => rate(c.errors(), finished),
        "max_errors" => number(c.errors(), finished),
        "max_failed" => number(c.failed, finished),
        "max_reverted" => number(c.reverted, finished),
        "max_timed_out" => number(c.timed_out, finished),
        "max_rejected" => number(c.rejected, finished),
        "max_dark" => number(past.dark, past.listened),
        _ => None,
    }
}

/// The value as it stands alone under a limit: `This fleet, last 30 days: 96.4 % of 1,204.`; empty where there is none.
pub(super) fn alone(past: Option<&PastUpdates>, field: &str) -> String {
    let said = past.and_then(|past| Some(format!("This fleet, last {} days: {}.", past.days, value(past, field)?)));
    said.unwrap_or_default()
}

/// What the values rest on, or that there are none; nothing while no release is chosen.
pub(super) fn rests_on(past: Option<&PastUpdates>) -> String {
    let Some(past) = past else { return String::new() };
    let whose = format!("of devices of the type {} in stages that began within the last {} days", past.device_type, past.days);
    let finished = past.ended.finished();
    if finished == 0 {
        return format!(" There are no finished updates {whose}, so nothing of this fleet stands beside these limits.");
    }
    format!(" Under a limit stands this fleet: how {} {whose} ended.", counted(finished, "finished update", "finished updates"))
}

/// What the value of devices that went dark rests on, or that there is none; nothing while no release is chosen.
pub(super) fn dark_rests_on(past: Option<&PastUpdates>) -> String {
    match past {
        None => String::new(),
        Some(past) if past.listened == 0 => {
            format!(" Within the last {} days no device of this type has succeeded and then been watched for 30 minutes.", past.days)
        }
        Some(past) => format!(
            " Of this fleet it is the newest {} that succeeded within the last {} days, and those of them that are silent to this day.",
            grouped(past.listened),
            past.days
        ),
    }
}

/// A hint with the fleet's value behind it, where there is one.
pub(super) fn beside(hint: &str, past: Option<&PastUpdates>, field: &str) -> String {
    match past.and_then(|past| value(past, field)) {
        Some(value) => format!("{hint} This fleet: {value}."),
        None => hint.to_owned(),
    }
}

/// `96.4 % of 1,204`.
fn rate(n: i64, of: i64) -> Option<String> {
    (of > 0).then(|| format!("{} of {}", share(n, of), grouped(of)))
}

/// `25 of 1,204 (2 %)`.
fn number(n: i64, of: i64) -> Option<String> {
    (of > 0).then(|| format!("{} of {} ({})", grouped(n), grouped(of), share(n, of)))
}

/// A share as gates write it, and never none of something.
fn share(n: i64, of: i64) -> String {
    let percent = rate_of(n, of);
    if n > 0 && percent < 0.1 { "under 0.1 %".to_owned() } else { format!("{} %", rate_words(percent)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::rollouts::Counts;

    fn past(ended: Counts, listened: i64, dark: i64) -> PastUpdates {
        PastUpdates { device_type: "gateway".into(), days: 30, ended, listened, dark }
    }

    #[test]
    fn each_limit_has_its_value_with_its_sample() {
        let ended = Counts { total: 1204, succeeded: 1160, failed: 25, reverted: 12, timed_out: 6, rejected: 1, ..Counts::default() };
        let past = past(ended, 900, 3);
        for (field, said) in [
            ("success_percent", Some("96.3 % of 1,204")),
            ("error_percent", Some("3.6 % of 1,204")),
            ("min_sample", None),
            ("max_errors", Some("44 of 1,204 (3.6 %)")),
            ("max_failed", Some("25 of 1,204 (2 %)")),
            ("max_reverted", Some("12 of 1,204 (0.9 %)")),
            ("max_timed_out", Some("6 of 1,204 (0.4 %)")),
            ("max_rejected", Some("1 of 1,204 (under 0.1 %)")),
            ("max_dark", Some("3 of 900 (0.3 %)")),
            ("action", None),
        ] {
            assert_eq!(value(&past, field).as_deref(), said, "{field}");
        }
        assert_eq!(
            beside("Empty: no limit of its own.", Some(&past), "max_failed"),
            "Empty: no limit of its own. This fleet: 25 of 1,204 (2 %)."
        );
        assert_eq!(alone(Some(&past), "max_failed"), "This fleet, last 30 days: 25 of 1,204 (2 %).");
        assert_eq!((alone(Some(&past), "min_sample"), alone(None, "max_failed")), (String::new(), String::new()));
        assert!(
            rests_on(Some(&past))
                .starts_with(" Under a limit stands this fleet: how 1,204 finished updates of devices of the type gateway")
        );
        assert!(dark_rests_on(Some(&past)).contains("the newest 900 that succeeded"));
    }

    #[test]
    fn without_history_it_says_so_and_gives_no_values() {
        let none = past(Counts::default(), 0, 0);
        assert!(["success_percent", "error_percent", "max_errors", "max_dark"].iter().all(|field| value(&none, field).is_none()));
        assert_eq!(beside("Whatever the rates.", Some(&none), "max_errors"), "Whatever the rates.");
        assert!(rests_on(Some(&none)).contains("There are no finished updates of devices of the type gateway"));
        assert!(dark_rests_on(Some(&none)).contains("no device of this type has succeeded"));
        // Nothing is said of a fleet while it is not known which one.
        assert_eq!((rests_on(None), dark_rests_on(None), beside("x", None, "max_dark")), (String::new(), String::new(), "x".to_owned()));
        // Whoever succeeded a moment ago has not been listened for yet.
        let fresh = past(Counts { total: 1, succeeded: 1, ..Counts::default() }, 0, 0);
        assert_eq!((value(&fresh, "success_percent").as_deref(), value(&fresh, "max_dark")), (Some("100 % of 1"), None));
    }
}

//! Pure: what a plan would do, in lines; the same of one that is tried out, and of one that waits for approval. Counts and sizes are written as the
//! console writes them. Refuses to know where a plan is, and who asks.

use app::ui::number::{bytes, counted};
use std::fmt::Write as _;
use wire::{
    ids::DeviceId,
    rollouts::{Egress, Preview, PreviewStage, Times},
    time::duration,
};

/// A preview in lines: who, what is wrong, how long. So many devices of each stage are named, and it is said where there are more.
pub(super) fn foreseen(preview: &Preview, named: usize) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    if let Some(wrong) = &preview.selector_error {
        let _ = writeln!(out, "selector: {}", wrong.sentence());
    }
    // What is wrong with the selector stands above, with its place.
    let told = |field: &str| field == "selector" && preview.selector_error.is_some();
    for problem in preview.problems.iter().filter(|problem| !told(&problem.field)) {
        let _ = writeln!(out, "{}: {}", problem.field, problem.message);
    }
    for warning in &preview.warnings {
        let _ = writeln!(out, "Warning: {warning}");
    }
    let _ = writeln!(out, "{} would get it, {} in all.", devices(preview.total), bytes(preview.bytes));
    for (number, stage) in (1..).zip(&preview.stages) {
        let _ = writeln!(out, "Stage {number} {}: {}{}", stage.name, devices(stage.devices), some_of(stage, named));
    }
    for left in &preview.excluded {
        let _ = writeln!(out, "Not in it: {}, {}", devices(left.devices), left.reason);
    }
    for late in &preview.put_off {
        let _ = writeln!(out, "Later than its turn: {}, {}", devices(late.devices), late.reason);
    }
    if let Some(until) = preview.put_off_until {
        let _ = writeln!(out, "The last of those that get it later is below its data budget from {} on.", until.readable());
    }
    if preview.reach_budget > 0 {
        let _ = writeln!(out, "At their data budget with it, with nothing after it for a while: {}", devices(preview.reach_budget));
    }
    if let Some(egress) = &preview.egress {
        let _ = writeln!(out, "{}", sends(egress));
    }
    for line in preview.times.iter().flat_map(falls) {
        let _ = writeln!(out, "{line}");
    }
    if let Some(expected) = &preview.expected {
        let waited = if preview.put_off_until.is_some() { ", without those that get it later" } else { "" };
        let (usual, slow) = (duration(expected.whole.usual_ms), duration(expected.whole.slow_ms));
        let _ = writeln!(
            out,
            "It takes about {usual}, and at most {slow} in nine of ten cases, by {} earlier updates{waited}.",
            expected.updates
        );
        if let Some(decides) = &expected.decides {
            let _ = writeln!(out, "{}.", decides.sentence(preview.stages.len()));
        }
        if expected.held_ms > 0 {
            let _ = writeln!(out, "{} or more of it by limits of bandwidth.", duration(expected.held_ms));
        }
        if let Some(until) = expected.until {
            let _ = writeln!(out, "It is usually over by {}.", until.readable());
        }
    }
    out
}

fn devices(n: i64) -> String {
    counted(n, "device", "devices")
}

/// The first devices of a stage, in its order.
fn some_of(stage: &PreviewStage, named: usize) -> String {
    let ids: Vec<&str> = stage.sample.iter().take(named).map(DeviceId::as_str).collect();
    if ids.is_empty() {
        return String::new();
    }
    let more = if i64::try_from(ids.len()).is_ok_and(|n| n < stage.devices) { " …" } else { "" };
    format!(": {}{more}", ids.join(" "))
}

/// How much a second a plan's downloads are, in sentences.
fn sends(egress: &Egress) -> String {
    let together =
        if egress.together == 1 { "one device at a time".to_owned() } else { format!("up to {} side by side", devices(egress.together)) };
    let mut out = match egress.peak {
        Some(peak) => format!("It sends at most {} a second from each server, to {together}.", bytes(peak)),
        None => format!("No limit of bandwidth holds all of it; it is sent to {together}."),
    };
    // Writing to a string can't fail.
    if let Some(paced) = egress.paced {
        let _ = write!(out, " By its rate at most {} a second are asked for on average.", bytes(paced));
    }
    if egress.least_ms > 0 {
        let _ = write!(out, " The downloads alone take {} or more by the limits.", duration(egress.least_ms));
    }
    out
}

/// How the plan's times fall, in sentences: when it begins to be offered, who has no zone, and where freezes are in the way.
fn falls(times: &Times) -> Vec<String> {
    let opens = times.first.map(|first| {
        let last = times.last.filter(|last| *last != first).map_or_else(String::new, |last| format!(", the last {}", last.readable()));
        format!("First opens {}{last}.", first.readable())
    });
    let zoneless = (times.zoneless > 0)
        .then(|| format!("{} no zone of their own: the plan's holds.", counted(times.zoneless, "device reports", "devices report")));
    let conflicts = times.conflicts.iter().map(|line| format!("In the way: {line}"));
    opens.into_iter().chain(zoneless).chain(conflicts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{
        Timestamp,
        rollouts::{Bottleneck, Excluded, Expected, HoldingLimit, Problem, Span},
        selector::Selector,
    };

    #[test]
    fn a_few_devices_of_a_stage_are_named() {
        let sample: Vec<DeviceId> = ["gw-1", "gw-2", "gw-3"].iter().map(|id| id.parse().unwrap()).collect();
        let stage = PreviewStage { name: "Canary".into(), devices: 3, sample, bytes: 0, values: None };
        let preview = Preview { total: 3, stages: vec![stage], ..Preview::default() };
        let line = |named| foreseen(&preview, named).lines().nth(1).unwrap().to_owned();
        assert_eq!(line(0), "Stage 1 Canary: 3 devices");
        assert_eq!(line(2), "Stage 1 Canary: 3 devices: gw-1 gw-2 …");
        assert_eq!(line(12), "Stage 1 Canary: 3 devices: gw-1 gw-2 gw-3");
        let one = foreseen(&Preview { total: 1, bytes: 12_345, ..Preview::default() }, 0);
        assert!(one.starts_with("1 device would get it, 12 KiB in all.\n"), "{one}");
    }

    #[test]
    fn what_a_plan_names_in_vain_is_warned_of() {
        let warnings = vec!["No device of this plan reports stie: the budget limits nothing.".to_owned()];
        let told = foreseen(&Preview { total: 1, warnings, ..Preview::default() }, 0);
        assert!(told.starts_with("Warning: No device of this plan reports stie: the budget limits nothing.\n1 device would"), "{told}");
    }

    #[test]
    fn what_is_sent_is_told_as_far_as_limits_say_it() {
        let free = Egress { peak: None, together: 20, paced: None, least_ms: 0 };
        assert_eq!(sends(&free), "No limit of bandwidth holds all of it; it is sent to up to 20 devices side by side.");
        assert!(sends(&Egress { together: 1, ..free }).ends_with("it is sent to one device at a time."));
        assert_eq!(
            sends(&Egress { peak: Some(10_000), paced: Some(5_000), least_ms: 600_000, ..free }),
            "It sends at most 9.7 KiB a second from each server, to up to 20 devices side by side. By its rate at most 4.8 KiB a second are asked for on average. The downloads alone take 10 min or more by the limits."
        );
    }

    #[test]
    fn a_selector_is_refused_with_its_place_and_a_limit_that_decides_is_named() {
        let wrong = Selector::parse("version:<1.2.0").unwrap_err();
        let again = Problem { field: "selector".into(), message: wrong.sentence() };
        let told = foreseen(&Preview { selector_error: Some(wrong), problems: vec![again], ..Preview::default() }, 0);
        let once = "selector: At character 9: a version is compared without the colon. Write version<1.2.0.\n";
        assert!(told.starts_with(once) && told.matches("At character 9").count() == 1, "{told}");
        let whole = Span { usual_ms: 600_000, slow_ms: 900_000 };
        let decides = Some(Bottleneck { stage: 1, usual_ms: 600_000, limit: HoldingLimit::AtOnce(2) });
        let expected = Expected { updates: 4, whole, stages: vec![whole], until: None, held_ms: 0, decides };
        let told = foreseen(&Preview { total: 3, expected: Some(expected), ..Preview::default() }, 0);
        assert!(told.ends_with("by 4 earlier updates.\nThe limit of 2 at once decides: 10 min.\n"), "{told}");
    }

    #[test]
    fn windows_zones_and_freezes_are_told_as_the_console_tells_them() {
        let first = Timestamp(1_795_341_432_000);
        let conflict = "It starts in the freeze “y”: nobody is offered it before 22 Nov 2026 09:57 UTC.";
        let times = Times { zoneless: 4, first: Some(first), last: Some(first.plus(600_000)), conflicts: vec![conflict.into()] };
        let told = foreseen(&Preview { total: 4, times: Some(times.clone()), ..Preview::default() }, 0);
        for line in [
            "First opens 22 Nov 2026 09:57 UTC, the last 22 Nov 2026 10:07 UTC.\n",
            "4 devices report no zone of their own: the plan's holds.\n",
            "In the way: It starts in the freeze “y”: nobody is offered it before 22 Nov 2026 09:57 UTC.\n",
        ] {
            assert!(told.contains(line), "{line} in: {told}");
        }
        let at_once = Times { zoneless: 0, last: times.first, conflicts: Vec::new(), ..times };
        assert_eq!(falls(&at_once), ["First opens 22 Nov 2026 09:57 UTC."]);
        assert_eq!(falls(&Times::default()), [""; 0]);
    }

    #[test]
    fn an_end_is_told_with_those_who_are_waited_for() {
        let whole = Span { usual_ms: 600_000, slow_ms: 900_000 };
        let until = Timestamp(1_795_341_432_000);
        let expected = Expected { updates: 4, whole, stages: vec![whole], until: Some(until.plus(600_000)), held_ms: 0, decides: None };
        let free = Preview { total: 3, expected: Some(expected), ..Preview::default() };
        let told = foreseen(&free, 0);
        assert!(told.ends_with("by 4 earlier updates.\nIt is usually over by 22 Nov 2026 10:07 UTC.\n"), "{told}");
        let put_off = vec![Excluded { reason: "has used up its data budget".into(), devices: 3 }];
        let told = foreseen(&Preview { put_off, put_off_until: Some(until), ..free }, 0);
        assert!(told.contains("The last of those that get it later is below its data budget from 22 Nov 2026 09:57 UTC on.\n"), "{told}");
        assert!(told.contains("by 4 earlier updates, without those that get it later.\n"), "{told}");
    }
}

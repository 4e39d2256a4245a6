//! Pure: what a folded part of the wizard says of itself in a line, made of what is typed: a stage, or some of the plan's settings.

use super::{order, phrases, when};
use crate::{
    plan::Draft,
    ui::number::{counted, plain},
};
use wire::rollouts::{GateSpec, RolloutSpec};

/// A stage, from 0: its name, how far it reaches, how many devices that makes, what follows it and what stops it. What of it can't be read is left out.
pub(super) fn stage(draft: &Draft, index: usize, devices: Option<i64>) -> String {
    let Some(stage) = draft.stages.get(index) else { return String::new() };
    let mut wrong = Vec::new();
    let spec = stage.spec(index, &mut wrong);
    let read = |part: &str| !wrong.iter().any(|p| p.field.starts_with(&format!("stages.{index}.{part}")));
    let parts = [
        Some(stage.name.trim().to_owned()).filter(|name| !name.is_empty()),
        read("reach").then(|| phrases::reach(&spec.reach)),
        devices.map(|n| counted(n, "device", "devices")),
        read("soak_s").then(|| phrases::then(&spec, index + 1 == draft.stages.len())),
        read("gate").then(|| stops(&spec.gate)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// What stops a stage, or the whole rollout.
pub(super) fn stops(gate: &GateSpec) -> String {
    let at = if gate.max_errors > 0 { format!(" or at {}", counted(gate.max_errors.into(), "error", "errors")) } else { String::new() };
    let own = [gate.max_failed, gate.max_reverted, gate.max_timed_out, gate.max_rejected, gate.max_dark].into_iter().flatten().count();
    let more = own + gate.metrics.len();
    let more = if more > 0 {
        format!(", {}", counted(i64::try_from(more).unwrap_or(i64::MAX), "more limit", "more limits"))
    } else {
        String::new()
    };
    format!("{} above {} % errors{at}{more}", phrases::acts(gate.action).to_lowercase(), plain(gate.error_percent))
}

/// When devices install.
pub(super) fn window(spec: &RolloutSpec) -> String {
    spec.window.as_ref().map_or_else(|| "at any time".to_owned(), when::hours)
}

/// How urgent it is, and what else is said of time.
pub(super) fn urgency(spec: &RolloutSpec) -> String {
    let urgency = of(when::terms(spec), &["Urgency"]).unwrap_or_else(|| "at once".to_owned());
    let fetch = if spec.download_only { "; devices only fetch it" } else { "" };
    let freezes = if spec.during_freeze { "; goes on during freezes" } else { "" };
    format!("{urgency}{fetch}{freezes}")
}

/// In which order devices come.
pub(super) fn order(spec: &RolloutSpec) -> String {
    of(order::arranged(spec), &["Order"]).unwrap_or_else(|| "as usual here".to_owned())
}

/// How many devices update at the same time.
pub(super) fn at_once(spec: &RolloutSpec) -> String {
    of(phrases::limits(spec), &["At once", "Budget", "Rate", "At the device"]).unwrap_or_else(|| "as many as the stage has".to_owned())
}

/// How fast devices download.
pub(super) fn downloads(spec: &RolloutSpec) -> String {
    of(phrases::limits(spec), &["Bandwidth", "Data budget"]).unwrap_or_else(|| "no limit of their own".to_owned())
}

/// What is tried again, and what comes first.
pub(super) fn again(spec: &RolloutSpec) -> String {
    let again = of(phrases::again(spec), &["Tried again"]).unwrap_or_else(|| "nothing is tried again by itself".to_owned());
    if spec.priority > 0 { format!("{again}; priority {}", spec.priority) } else { again }
}

/// The gate of the whole rollout.
pub(super) fn whole(spec: &RolloutSpec) -> String {
    spec.gate.as_ref().map_or_else(|| "none".to_owned(), stops)
}

/// The words behind these terms; none where there are none.
fn of(rows: Vec<(&'static str, String)>, terms: &[&str]) -> Option<String> {
    let words: Vec<String> = rows.into_iter().filter(|(term, _)| terms.contains(term)).map(|(_, words)| words).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "release=rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";

    #[test]
    fn a_stage_says_its_size_its_watch_and_what_stops_it() {
        let draft = Draft::read("stages.0.name=Canary&stages.0.reach=10&stages.0.soak_s=1+h&stages.0.confirm=ask&stages.1.reach=100");
        assert_eq!(
            stage(&draft, 0, Some(1)),
            "Canary · up to 10 % · 1 device · watch for 1 h 00 min, then wait for a person · halts above 5 % errors"
        );
        assert_eq!(stage(&draft, 1, None), "all devices · end · halts above 5 % errors");
        assert_eq!(stage(&draft, 2, None), "", "there is none");
        let strict = "stages.0.reach=tag:lab&stages.0.unit=matching&stages.0.gate.error_percent=2&stages.0.gate.max_errors=3&stages.0.gate.max_failed=1&stages.0.gate.action=roll_back";
        assert_eq!(
            stage(&Draft::read(strict), 0, None),
            "those that match tag:lab · end · rolls back above 2 % errors or at 3 errors, 1 more limit"
        );
    }

    #[test]
    fn what_of_a_stage_cant_be_read_is_left_out() {
        let draft = Draft::read("stages.0.reach=some&stages.0.gate.max_failed=few&stages.1.reach=100&stages.1.soak_s=soon");
        assert_eq!(stage(&draft, 0, None), "go on");
        assert_eq!(stage(&draft, 1, Some(2)), "all devices · 2 devices · halts above 5 % errors");
    }

    #[test]
    fn settings_say_what_is_usual_until_something_else_is_written() {
        let usual = Draft::read(RELEASE).so_far().unwrap();
        for (said, words) in [
            (window(&usual), "at any time"),
            (urgency(&usual), "at once"),
            (order(&usual), "as usual here"),
            (at_once(&usual), "as many as the stage has"),
            (downloads(&usual), "no limit of their own"),
            (again(&usual), "nothing is tried again by itself"),
            (whole(&usual), "none"),
        ] {
            assert_eq!(said, words);
        }
        let told = "window.days=sat&window.from=22:00&window.until=02:00&urgency=soft&during_freeze=true&order=random&at_once=5&rate.per_minute=2&bandwidth=500&priority=3&steps.installing_min=30&gate.error_percent=1&gate.success_percent=90&gate.min_sample=3";
        let told = Draft::read(&format!("{RELEASE}&{told}")).so_far().unwrap();
        assert!(window(&told).starts_with("Sat from 22:00 until 02:00"));
        assert_eq!(urgency(&told), "devices may put it off; goes on during freezes");
        assert_eq!(
            (order(&told).as_str(), at_once(&told).as_str()),
            ("at random", "at most 5 devices; at most 2 devices begin within a minute")
        );
        assert_eq!(
            (again(&told).as_str(), whole(&told).as_str()),
            ("nothing is tried again by itself; priority 3", "halts above 1 % errors")
        );
        assert!(downloads(&told).ends_with(" a second") && Draft::read("").so_far().is_none(), "without a release there is no plan");
    }
}

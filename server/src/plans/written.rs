//! Pure: a plan as YAML that says all of it, in the form of the files that are read here, so that who signs a digest reads what it signs, and may keep it as
//! a file. Refuses to know where the plan comes from.

use fleet::text::unseen;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use wire::{
    Timestamp,
    rollouts::{RolloutSpec, Urgency},
};

/// What comes first among the fields that stand together, in this order; then the rest by name, and the stages last.
const FIRST: [&str; 9] = ["name", "release", "device_type", "version", "selector", "reason", "reach", "metric", "attribute"];
/// What stands last.
const LAST: [&str; 2] = ["gate", "stages"];

/// The plan of this release, its device type and version, with the version that it goes back to. A release that is gone is told by its id.
pub(crate) fn written(spec: &RolloutSpec, (device_type, version): (&str, &str), back: Option<&str>) -> String {
    // A plan is an object of text, numbers and lists: that can't fail.
    let Ok(Value::Object(mut plan)) = serde_json::to_value(spec) else { return String::new() };
    let named = |version: &str| json!({ "device_type": device_type, "version": version });
    plan.insert("release".to_owned(), named(version));
    if let Some(back) = back.filter(|_| spec.way_back.is_some()) {
        plan.insert("way_back".to_owned(), named(back));
    }
    if let Some(at) = spec.start_at {
        plan.insert("start_at".to_owned(), Value::String(exactly(at)));
    }
    if let Urgency::ForcedAfter(at) = spec.urgency {
        plan.insert("urgency".to_owned(), json!({ "forced_after": exactly(at) }));
    }
    let mut out = String::new();
    fields(&mut out, &plan, 0);
    out
}

/// An instant to the millisecond, which is what is signed.
fn exactly(at: Timestamp) -> String {
    match at.0.rem_euclid(1000) {
        0 => at.rfc3339(),
        past => format!("{}.{past:03}Z", at.rfc3339().trim_end_matches('Z')),
    }
}

/// The fields of an object, each on a line of its own, so far to the right.
fn fields(out: &mut String, of: &Map<String, Value>, indent: usize) {
    let place = |key: &str| match (FIRST.iter().position(|first| *first == key), LAST.iter().position(|last| *last == key)) {
        (Some(first), _) => first,
        (None, None) => FIRST.len(),
        (None, Some(last)) => FIRST.len() + 1 + last,
    };
    let mut sorted: Vec<(&String, &Value)> = of.iter().collect();
    sorted.sort_by(|a, b| place(a.0).cmp(&place(b.0)).then_with(|| a.0.cmp(b.0)));
    for (key, value) in sorted {
        out.push_str(&" ".repeat(indent));
        out.push_str(key);
        out.push(':');
        behind(out, value, indent);
    }
}

/// What stands behind a key.
fn behind(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(of) if !of.is_empty() => {
            out.push('\n');
            fields(out, of, indent + 2);
        }
        Value::Array(members) if !members.is_empty() => {
            out.push('\n');
            for member in members {
                item(out, member, indent + 2);
            }
        }
        _ => {
            out.push(' ');
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// A member of a list.
fn item(out: &mut String, value: &Value, indent: usize) {
    let lead = " ".repeat(indent);
    match value {
        Value::Object(of) if !of.is_empty() => {
            let mut inside = String::new();
            fields(&mut inside, of, indent + 2);
            // The first of its fields stands behind the dash.
            out.push_str(&lead);
            out.push_str("- ");
            out.push_str(inside.trim_start());
        }
        _ => {
            out.push_str(&lead);
            out.push_str("- ");
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// A value without parts; text as JSON has it where YAML would read it as something else, with what a terminal would not show written out.
fn scalar(value: &Value) -> String {
    if let Value::String(text) = value
        && plain(text)
    {
        return text.clone();
    }
    let mut out = String::new();
    for c in value.to_string().chars() {
        if unseen(c) {
            // Writing to a string can't fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether text means itself without quotation marks.
fn plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '/');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(inside)
        && !text.ends_with(' ')
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::PlanFile;
    use std::path::Path;
    use wire::{
        ids::ReleaseId,
        rollouts::{
            Budget, GateAction, GateSpec, Growth, MetricGate, Order, Rate, Reach, Retry, RetryClass, StageSpec, StepLimits, TooFew,
            Weekday, Window, Worse,
        },
    };

    /// What is read of a plan that was written.
    fn again(spec: &RolloutSpec) -> RolloutSpec {
        let (path, text) = (Path::new("plan.yaml"), written(spec, ("gateway", "2.0.0"), Some("1.10")));
        let file = PlanFile::read(path, &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        file.spec(path, spec.release.clone(), spec.way_back.clone()).unwrap()
    }

    /// A plan that has this text wherever people write one.
    fn says(text: &str) -> RolloutSpec {
        let release = "rel_00000000000000000000000000000001".parse().unwrap();
        let stage = StageSpec { name: text.into(), reach: Reach::Matching(text.into()), soak_s: 0, confirm: false, gate: GateSpec::USUAL };
        RolloutSpec {
            selector: text.into(),
            reason: text.into(),
            order: Some(Order::Spread(text.into())),
            ..RolloutSpec::new(text.into(), release, vec![stage])
        }
    }

    #[test]
    fn a_plan_is_read_again_as_it_was() {
        let release: ReleaseId = "rel_00000000000000000000000000000001".parse().unwrap();
        let stage = |name: &str, reach, gate| StageSpec { name: name.into(), reach, soak_s: 3600, confirm: true, gate };
        let metrics = vec![MetricGate::new("cpu.load".into(), Worse::Higher)];
        let watched = GateSpec { metrics, max_failed: Some(2), ..GateSpec::USUAL };
        let stages = vec![
            stage("Canary: \"one\"\n# two", Reach::Matching("tag:eu -\"x y\"".into()), watched),
            stage("yes", Reach::Percent(33.3), GateSpec::USUAL),
            stage("Everybody", Reach::Percent(100.0), GateSpec::USUAL),
        ];
        let listed = ["gw-7", "7"].map(|id| id.parse().unwrap()).to_vec();
        let spec = RolloutSpec {
            selector: "tag:eu version<2.0.0".into(),
            reason: String::new(),
            start_at: Some(Timestamp(1_795_341_432_007)),
            confirm_at_device: true,
            way_back: Some(release.clone()),
            order: Some(Order::Listed(listed)),
            gate: Some(GateSpec::USUAL),
            ..RolloutSpec::new("Gateway - 2".into(), release.clone(), stages)
        };
        let text = written(&spec, ("gateway", "2.0.0"), Some("1.10"));
        assert!(
            text.starts_with("name: Gateway - 2\nrelease:\n  device_type: gateway\n  version: \"2.0.0\"\nselector: \"tag:eu "),
            "{text}"
        );
        assert!(text.contains("\nstages:\n  - name: \"Canary: ") && text.contains("\nconfirm_at_device: true\n"), "{text}");
        let file = PlanFile::read(Path::new("plan.yaml"), &text).unwrap();
        assert_eq!((file.release.value.version.as_str(), file.way_back.as_ref().unwrap().value.version.as_str()), ("2.0.0", "1.10"));
        assert_eq!(file.spec(Path::new("plan.yaml"), release.clone(), Some(release)).unwrap(), spec, "{text}");
    }

    #[test]
    fn every_field_is_read_again_as_it_was() {
        let release: ReleaseId = "rel_00000000000000000000000000000001".parse().unwrap();
        let metric = MetricGate {
            min_devices: 20,
            effect_percent: 70.5,
            min_shift: Some(0.0001),
            confidence_percent: 99.99,
            too_few: TooFew::Pass,
            ..MetricGate::new("cpu.load".into(), Worse::Lower)
        };
        let gate = GateSpec {
            success_percent: 99.9,
            error_percent: 0.0,
            min_sample: 50,
            max_errors: 9,
            max_failed: Some(0),
            max_reverted: Some(1),
            max_timed_out: Some(2),
            max_rejected: Some(3),
            max_dark: Some(4),
            action: GateAction::RollBack,
            metrics: vec![metric.clone(), metric],
        };
        let stage = StageSpec { name: "Two".into(), reach: Reach::Count(2), soak_s: 1800, confirm: false, gate: gate.clone() };
        let (from, until) = ("22:00".parse().unwrap(), "24:00".parse().unwrap());
        let spec = RolloutSpec {
            name: "Everything".into(),
            release: release.clone(),
            selector: "tag:eu".into(),
            stages: vec![stage],
            start_at: Some(Timestamp(1_795_341_432_000)),
            timeout_min: 61,
            reason: "Because.".into(),
            at_once: Some(5),
            budget: Some(Budget { attribute: "site".into(), at_most: None, at_most_percent: Some(12.5) }),
            confirm_at_device: true,
            bandwidth: Some(u64::from(u32::MAX) + 1),
            ignore_data_budget: true,
            window: Some(Window { days: vec![Weekday::Mon, Weekday::Sun], from, until, zone: "Europe/Berlin".into() }),
            urgency: Urgency::ForcedAfter(Timestamp(1_795_341_432_007)),
            download_only: true,
            during_freeze: true,
            way_back: Some(release),
            retry: Some(Retry { classes: vec![RetryClass::Failed, RetryClass::TimedOut], times: 3, wait_min: 30 }),
            priority: 9,
            order: Some(Order::Random),
            rate: Some(Rate { per_minute: 10, growth: Some(Growth { factor: 1.5, successes: 50, at_most: 1000 }) }),
            gate: Some(GateSpec { metrics: Vec::new(), ..gate }),
            steps: StepLimits { downloading_min: Some(1), installing_min: Some(2), rebooting_min: Some(3), verifying_min: Some(4) },
        };
        assert_eq!(again(&spec), spec);
        let text = written(&spec, ("gateway", "2.0.0"), None);
        assert!(text.contains("\nurgency:\n  forced_after: \"2026-11-22T09:57:12.007Z\"\n"), "{text}");
        let soft = RolloutSpec { urgency: Urgency::Soft, rate: Some(Rate { per_minute: 1, growth: None }), way_back: None, ..spec };
        assert_eq!(again(&soft), soft);
    }

    #[test]
    fn what_yaml_would_read_as_something_else_stays_text() {
        let signs = ["", " ", " x", "x ", "-", "- x", "---", "...", "?", ":", "a: b", "a:", "#", "a #b", "|", ">", "<<", "%d", "@", "`"];
        let values = ["yes", "No", "TRUE", "null", "Null", "~", "y", "1", "1.10", "0x1f", "1e3", ".inf", "-.5", "2027-01-15", "12:30"];
        let others =
            ["*a", "&a", "!t", "{}", "[]", "{a: b}", "'", "\"", "\\", "\\n", "a\r\nb\n", "\t", "$HOME", "${HOME}", "東京 🙂", "a, b"];
        for text in signs.into_iter().chain(values).chain(others) {
            assert_eq!(again(&says(text)), says(text), "{text:?}");
        }
    }

    #[test]
    fn what_a_terminal_would_not_show_is_written_out() {
        let text = written(&says("tag:eu\u{202e}\u{9b}\u{1b}[2J"), ("gateway", "2.0.0"), None);
        assert!(text.contains(r#"selector: "tag:eu\u202e\u009b\u001b[2J""#), "{text}");
        assert!(!text.chars().any(|c| unseen(c) && c != '\n'), "{text:?}");
    }

    proptest::proptest! {
        #[test]
        fn every_text_is_read_again_as_it_was(text in "[^\u{fffe}\u{ffff}]{0,40}") {
            proptest::prop_assert_eq!(again(&says(&text)), says(&text));
        }

        #[test]
        fn every_instant_is_read_again_as_it_was(start in 0..253_402_300_800_000_i64, until in 0..253_402_300_800_000_i64) {
            let urgency = Urgency::ForcedAfter(Timestamp(until));
            let spec = RolloutSpec { start_at: Some(Timestamp(start)), urgency, ..says("x") };
            proptest::prop_assert_eq!(again(&spec), spec);
        }
    }
}

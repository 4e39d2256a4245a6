//! A plan through the address and back, and what is wrong with one.

use super::*;
use wire::{
    Timestamp,
    rollouts::{GateAction, Reach},
};

const RELEASE: &str = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";

fn plan() -> Draft {
    let mut draft = Draft::read("");
    draft.name = "Gateway 4.12 & more".into();
    draft.release = RELEASE.into();
    draft.selector = "type:gateway tag:eu".into();
    draft.start_at = "2026-11-22T09:57".into();
    draft.reason = "Fixes 100 % of it".into();
    draft.at_once = "20".into();
    (draft.bandwidth, draft.ignore_data_budget) = ("62.5".into(), "true".into());
    (draft.budget_attribute, draft.budget_at_most) = ("site".into(), "1".into());
    draft.confirm_at_device = "yes".into();
    draft.when = WhenDraft {
        days: "sat,sun".into(),
        from: "22:00".into(),
        until: "02:00".into(),
        zone: "Europe/Berlin".into(),
        urgency: "forced_after".into(),
        forced_after: "2026-12-01T06:00".into(),
        during_freeze: "true".into(),
        ..WhenDraft::default()
    };
    draft.stages[0].max_reverted = "0".into();
    (draft.stages[0].max_failed, draft.stages[2].max_rejected) = ("2".into(), "0".into());
    draft.stages[1].max_dark = "3".into();
    draft.stages[0].action = "roll_back".into();
    draft.way_back = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b4".into();
    (draft.retry_classes, draft.retry_times, draft.retry_wait) = ("failed,timed_out".into(), "3".into(), "30".into());
    draft.priority = "5".into();
    draft.order = OrderDraft { order: "spread".into(), spread: "site".into(), per_minute: "50".into(), ..OrderDraft::default() };
    (draft.stages[1].reach, draft.stages[1].unit) = ("tag:half -tag:lab".into(), "matching".into());
    draft.stages[0].metrics = vec![MetricDraft { metric: "cpu.load".into(), shift: "0.5".into(), ..MetricDraft::empty() }];
    let whole = wire::rollouts::GateSpec { max_errors: 20, max_failed: Some(9), max_rejected: Some(1), ..wire::rollouts::GateSpec::USUAL };
    draft.whole = StageDraft::of_gate(&whole);
    draft.steps.installing = "30".into();
    draft
}

#[test]
fn a_plan_survives_the_address_and_the_wire() {
    let draft = plan();
    assert_eq!(Draft::read(&draft.write()), draft);
    let drawn = Draft { draw: "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b4".into(), ..draft.clone() };
    assert_eq!(Draft::read(&drawn.write()), drawn, "the draw of its preview goes on with it");
    let spec = draft.spec().unwrap();
    assert_eq!(spec.stages.len(), 3);
    assert_eq!(spec.stages[0].reach, Reach::Percent(10.0));
    assert_eq!(spec.stages[0].soak_s, 600);
    assert_eq!(spec.start_at, Some(Timestamp(1_795_341_420_000)));
    assert_eq!((spec.at_once, spec.budget.as_ref().map(|b| (b.attribute.as_str(), b.at_most))), (Some(20), Some(("site", Some(1)))));
    assert_eq!((spec.stages[0].gate.max_reverted, spec.stages[0].gate.max_dark, spec.stages[1].gate.max_dark), (Some(0), None, Some(3)));
    let others = |stage: usize| (spec.stages[stage].gate.max_failed, spec.stages[stage].gate.max_rejected);
    assert_eq!([others(0), others(1), others(2)], [(Some(2), None), (None, None), (None, Some(0))]);
    assert_eq!(spec.gate.as_ref().map(|g| (g.max_failed, g.max_rejected)), Some((Some(9), Some(1))));
    assert!(spec.confirm_at_device);
    assert_eq!((spec.bandwidth, spec.ignore_data_budget), (Some(62_500), true));
    assert_eq!(spec.window.as_ref().map(|w| (w.days.len(), w.zone.as_str())), Some((2, "Europe/Berlin")));
    assert!(spec.during_freeze && !spec.download_only);
    assert_eq!((spec.stages[0].gate.action, spec.stages[1].gate.action), (GateAction::RollBack, GateAction::Halt));
    assert_eq!((spec.way_back.is_some(), spec.retry.as_ref().map(|r| r.times), spec.priority), (true, Some(3), 5));
    assert_eq!(spec.stages[0].gate.metrics.iter().map(|m| (m.metric.as_str(), m.min_shift)).collect::<Vec<_>>(), [("cpu.load", Some(0.5))]);
    assert_eq!((spec.gate.as_ref().map(|g| g.max_errors), spec.steps.installing_min), (Some(20), Some(30)));
    assert_eq!(Draft::of(&spec), draft);
    let none = Draft { whole: StageDraft::default(), ..draft };
    assert_eq!(none.spec().unwrap().gate, None);
}

#[test]
fn whatever_a_gate_limits_comes_back_from_the_address_as_it_was() {
    let mut spec = plan().spec().unwrap();
    let limits = [None, Some(0), Some(7), Some(u32::MAX)];
    for (failed, rejected) in limits.into_iter().flat_map(|failed| limits.map(|rejected| (failed, rejected))) {
        let whole = spec.gate.as_mut().unwrap();
        (whole.max_failed, whole.max_rejected) = (rejected, failed);
        for stage in &mut spec.stages {
            (stage.gate.max_failed, stage.gate.max_rejected) = (failed, rejected);
        }
        assert_eq!(Draft::read(&Draft::of(&spec).write()).spec().as_ref(), Ok(&spec), "{failed:?} {rejected:?}");
    }
    // A new stage has the gate of the one behind it.
    let mut draft = Draft::of(&spec);
    draft.apply("add");
    assert_eq!((draft.stages[2].max_failed.as_str(), draft.stages[2].max_rejected.as_str()), ("4294967295", "4294967295"));
}

#[test]
fn what_is_wrong_is_said_at_its_input() {
    let mut draft = plan();
    draft.release.clear();
    draft.selector = "tag:".into();
    draft.start_at = "2026-11-31T09:57".into();
    draft.timeout_min = "an hour".into();
    (draft.stages[1].reach, draft.stages[1].unit) = ("half".into(), "percent".into());
    draft.stages[2].soak = "1 week".into();
    draft.stages[2].success = "-".into();
    draft.stages[2].max_timed_out = "few".into();
    (draft.stages[2].max_failed, draft.stages[2].max_rejected) = ("-1".into(), "0.5".into());
    draft.at_once = "all".into();
    draft.bandwidth = "fast".into();
    draft.budget_attribute.clear();
    let fields: Vec<_> = draft.spec().unwrap_err().into_iter().map(|p| p.field).collect();
    assert_eq!(
        fields,
        [
            "release",
            "selector",
            "start_at",
            "timeout_min",
            "at_once",
            "budget.attribute",
            "bandwidth",
            "stages.1.reach",
            "stages.2.soak_s",
            "stages.2.gate.success_percent",
            "stages.2.gate.max_failed",
            "stages.2.gate.max_timed_out",
            "stages.2.gate.max_rejected"
        ]
    );
    (draft.budget_attribute, draft.budget_at_most) = ("site".into(), String::new());
    assert!(draft.spec().unwrap_err().iter().any(|p| p.field == "budget.at_most"), "a budget without a number");
}

#[test]
fn buttons_change_the_stages() {
    let mut draft = plan();
    draft.apply("add");
    assert_eq!(draft.stages.iter().map(|s| s.reach.as_str()).collect::<Vec<_>>(), ["10", "tag:half -tag:lab", "55", "100"]);
    draft.apply("remove.0");
    assert_eq!(draft.stages.len(), 3);
    draft.apply("remove.9");
    draft.apply("remove.x");
    draft.apply("template.unknown");
    assert_eq!(draft.stages.len(), 3);
    draft.apply("template.all");
    draft.apply("remove.0");
    assert_eq!(draft.stages.len(), 1, "the last stage stays");
    for _ in 0..80 {
        draft.apply("add");
    }
    assert_eq!(draft.stages.len(), MOST_STAGES);
}

#[test]
fn a_plan_begins_with_one_site_and_goes_on_by_percent() {
    let mut draft = plan();
    let before = draft.clone();
    for (text, why) in [(" ", "Choose which devices go first"), ("tag:", "At character 5: "), ("size>3", "At character 1: ")] {
        assert!(draft.first(text).unwrap_err().starts_with(why), "{:?}", draft.first(text));
    }
    assert_eq!(draft, before, "what can't be read changes nothing");
    draft.first(" attr.site:\"Den Haag\" ").unwrap();
    let stages: Vec<_> = draft.stages.iter().map(|s| (s.name.as_str(), s.reach.as_str(), s.unit.as_str(), s.then.as_str())).collect();
    assert_eq!(
        stages,
        [
            ("Den Haag", "attr.site:\"Den Haag\"", "matching", "ask"),
            ("Half", "50", "percent", "go_on"),
            ("Rest", "100", "percent", "go_on")
        ]
    );
    assert_eq!(Draft::read(&draft.write()), draft);
    assert_eq!(draft.spec().unwrap().stages[0].reach, Reach::Matching("attr.site:\"Den Haag\"".into()));
    draft.first("tag:eu,us -tag:lab").unwrap();
    assert_eq!(draft.stages[0].name, "First", "of several conditions none is a name");
}

#[test]
fn a_stage_that_is_added_is_called_as_no_other_one() {
    let mut draft = plan();
    draft.apply("template.careful");
    for what in ["add", "remove.1", "add", "remove.0", "add", "add"] {
        draft.apply(what);
    }
    let names: std::collections::BTreeSet<_> = draft.stages.iter().map(|stage| &stage.name).collect();
    assert_eq!(names.len(), draft.stages.len(), "{names:?}");
}

#[test]
fn a_hostile_query_makes_no_giant_plan() {
    let draft = Draft::read("stages.4000000000.name=x&stages.49.name=last&stages.-1.name=y&stages.1.nothing=z&do=add");
    assert_eq!(draft.stages.len(), 50);
    assert_eq!(draft.stages[49].name, "last");
}

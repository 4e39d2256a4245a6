//! Plans as files: what is read of them, and what is said of what is wrong with one.

use super::{
    misread::{begins_alias, key_before, past},
    *,
};
use serde_saphyr::budget::BudgetBreach;
use wire::rollouts::{GateAction, Reach, TooFew, Worse};

const EXAMPLE: &str = include_str!("example.yaml");

fn read(text: &str) -> Result<PlanFile> {
    PlanFile::read(Path::new("plan.yaml"), text)
}

fn wrong(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn release() -> ReleaseId {
    "rel_00000000000000000000000000000001".parse().unwrap()
}

#[test]
fn the_example_is_the_plan_it_looks_like_and_the_one_of_the_manual() {
    let file = read(EXAMPLE).unwrap();
    assert_eq!((file.release.value.device_type.as_str(), file.release.value.version.as_str()), ("gateway", "2.0.0"));
    let spec = file.spec(Path::new("plan.yaml"), release(), None).unwrap();
    assert_eq!((spec.selector.as_str(), spec.timeout_min, spec.start_at), ("tag:eu -tag:lab", 60, None));
    assert_eq!(
        spec.stages.iter().map(|s| s.reach.clone()).collect::<Vec<_>>(),
        [Reach::Count(2), Reach::Percent(25.0), Reach::Percent(100.0)]
    );
    assert!(spec.stages[0].confirm && spec.stages[0].soak_s == 3600);
    assert_eq!((spec.stages[0].gate.max_errors, &spec.stages[1].gate), (1, &GateSpec::default()));
    assert!(include_str!("../../../app/docs/rollouts.md").contains(EXAMPLE), "the manual shows another file");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let misspelt = wrong(&EXAMPLE.replace("soak_s: 3600              #", "soak: 3600 #"));
    assert!(misspelt.starts_with("plan.yaml:13:") && misspelt.contains("soak"), "{misspelt}");
    let word = wrong(&EXAMPLE.replace("timeout_min: 60", "timeout_min: an hour"));
    assert!(word.starts_with("plan.yaml:8:14 "), "{word}");
    let reach = wrong(&EXAMPLE.replace("{ percent: 25 }", "{ share: 25 }"));
    assert!(reach.starts_with("plan.yaml:21:") && reach.contains("percent"), "{reach}");
    let twice = wrong(&format!("{EXAMPLE}name: again\n"));
    let told =
        "plan.yaml:25:1 is not a plan: on line 25, the key “name” stands for the second time in the same place. Keep one of the two.\n";
    assert!(twice.starts_with(told), "{twice}");
    let inside = wrong(&EXAMPLE.replace("timeout_min: 60", "budget: { attribute: site, at_most: 1, at_most: 2 }"));
    assert!(inside.contains("on line 8, the key “at_most” stands for the second time") && !inside.contains("Options"), "{inside}");
    let cut = wrong("name: x\nstages: [");
    assert!(cut.starts_with("plan.yaml:"), "{cut}");
    assert!(wrong("name: x\n").contains("release"), "a plan without a release");
}

#[test]
fn what_is_wrong_is_one_line_in_the_words_of_json_bodies() {
    let first = |text: &str| wrong(text).lines().next().unwrap().to_owned();
    for (text, says) in [
        (EXAMPLE.replace("selector:", "selectr:"), ": there is no field selectr; it may be one of name, release, "),
        (EXAMPLE.replace("timeout_min: 60", "timeout_min: an hour"), ": the field timeout_min is not "),
        (EXAMPLE.replace("{ percent: 25 }", "{ share: 25 }"), "is not one of "),
        (String::new(), ": it is empty."),
        ("# nothing\n\n".to_owned(), ": it is empty."),
        (format!("{EXAMPLE}---\n{EXAMPLE}"), ": a second document begins in it. Keep one plan in a file."),
        ("name: x\n".to_owned(), ": the field release is missing."),
    ] {
        let told = first(&text);
        assert!(told.contains(says) && !told.contains("-->") && !told.contains('`'), "{told}");
        assert_eq!(wrong(&text).lines().count(), 2, "the line, and where a whole file is");
    }
    for (text, says) in [
        (
            EXAMPLE.replace("timeout_min: 60", "timeout_min: &s 60\ngate: *s"),
            ": the field gate is not an object. It is what the alias (*) stands for",
        ),
        (EXAMPLE.replace("timeout_min: 60", "timeout_min: 60\ngate: none"), ": the field gate is not an object."),
        (EXAMPLE.replace("timeout_min: 60", "timeout_min: 60\ngate: *nobody"), ": an alias (*) has no anchor (&) of its name before it."),
        (
            EXAMPLE.replace("timeout_min: 60", "timeout_min: 60\norder: &a { listed: [*a] }"),
            ": an alias (*) stands inside of what its own anchor (&) names.",
        ),
    ] {
        let told = first(&text);
        assert!(told.contains(says) && !told.contains("defined") && !told.contains("mapping"), "{told}");
    }
    assert_eq!(key_before("a: 1\n  - { metric: x, worse: more }", 2, 25).as_deref(), Some("worse"));
    assert_eq!([(1, 4), (1, 3), (2, 1), (0, 0)].map(|(line, column)| begins_alias("a: *a", line, column)), [true, false, false, false]);
    assert_eq!((key_before("a: 1", 1, 1), key_before("a", 9, 9)), (None, None));
}

#[test]
fn what_a_file_has_too_much_of_is_told_in_words_of_our_own() {
    let first = |text: &str| wrong(text).lines().next().unwrap().to_owned();
    let listed = |ids: &str| format!("{EXAMPLE}order: {{ listed: [{ids}] }}\n");
    for (text, says) in [
        (
            listed(&"a,".repeat(250_001)),
            " is not a plan: it has more than 250,000 values, lists and maps. A plan needs few: name many devices by a selector, ",
        ),
        (
            listed(&format!("&a gw-1{}", ", *a".repeat(101))),
            " is not a plan: it has more than 10 aliases (*) for each anchor (&). Write out what is meant.",
        ),
    ] {
        let told = first(&text);
        assert!(told.contains(says), "{told}");
    }
    let deep = first(&format!("{EXAMPLE}order: {}", "[".repeat(300)));
    assert!(!deep.contains("recursion") && !deep.contains("budget"), "{deep}");
    for (breach, says) in [
        (
            BudgetBreach::Depth { depth: 65 },
            "it has more than 64 lists and maps inside of each other. A plan needs few: take the others away.",
        ),
        (BudgetBreach::Aliases { aliases: 50_001 }, "it has more than 50,000 aliases (*). Write out what is meant."),
        (BudgetBreach::MergeKeys { merge_keys: 10_001 }, "it has more than 10,000 merge keys (<<). Write out what is meant."),
    ] {
        assert_eq!(past(&breach), says);
    }
}

#[test]
fn a_start_is_an_instant_and_a_version_is_text() {
    let spec = |from: &str, to: &str| read(&EXAMPLE.replace(from, to)).unwrap().spec(Path::new("plan.yaml"), release(), None);
    let line = "# start_at: 2027-01-15T06:00:00Z    at once after the approval unless given";
    assert_eq!(spec(line, "start_at: 2027-01-15T07:00:00+01:00").unwrap().start_at.unwrap().rfc3339(), "2027-01-15T06:00:00Z");
    let refused = spec(line, "start_at: tomorrow").unwrap_err().to_string();
    assert!(refused.starts_with("plan.yaml:9:11 start_at is no instant"), "{refused}");
    assert_eq!(read(&EXAMPLE.replace("version: 2.0.0", "version: 1.10")).unwrap().release.value.version, "1.10");
}

#[test]
fn an_update_is_put_off_until_an_instant_and_the_number_of_before_is_one_too() {
    let urgency = |said: &str| {
        let file = read(&format!("{EXAMPLE}urgency: {said}\n")).unwrap();
        file.spec(Path::new("plan.yaml"), release(), None).map(|spec| spec.urgency).map_err(|e| e.to_string())
    };
    let until = Ok(Urgency::ForcedAfter(Timestamp(1_798_106_400_000)));
    for said in ["2026-12-24T10:00:00Z", "\"2026-12-24T11:00:00+01:00\"", "1798106400000"] {
        assert_eq!(urgency(&format!("{{ forced_after: {said} }}")), until, "{said}");
    }
    assert_eq!(urgency("\n  forced_after: 2026-12-24T10:00:00Z"), until);
    assert_eq!([urgency("soft"), urgency("forced")], [Ok(Urgency::Soft), Ok(Urgency::Forced)]);
    let refused = urgency("{ forced_after: at Christmas }").unwrap_err();
    assert!(refused.starts_with("plan.yaml:25:") && refused.contains(" forced_after is no instant. Write it as RFC 3339 "), "{refused}");
    let other = wrong(&format!("{EXAMPLE}urgency: hard\n"));
    assert!(other.contains("the field urgency is not one of soft, forced, forced_after."), "{other}");
}

#[test]
fn a_way_back_is_named_like_the_release() {
    let more = "way_back: { device_type: gateway, version: 1.0.0+3 }\nretry: { classes: [failed], times: 2, wait_min: 30 }\npriority: 3\n";
    let file = read(&format!("{EXAMPLE}{more}")).unwrap();
    assert_eq!(file.way_back.as_ref().unwrap().value.version, "1.0.0+3");
    let spec = file.spec(Path::new("plan.yaml"), release(), Some(release())).unwrap();
    assert_eq!((spec.way_back, spec.retry.unwrap().times, spec.priority), (Some(release()), 2, 3));
}

#[test]
fn order_rate_and_a_stage_of_its_own_are_written_as_the_manual_has_them() {
    let of = |order: &str| {
        let more = format!("order: {order}\nrate: {{ per_minute: 10, growth: {{ factor: 2, successes: 50, at_most: 1000 }} }}\n");
        let text = EXAMPLE.replace("reach: { count: 2 }       #", "reach: { matching: \"tag:lab\" } #");
        let text = format!("{text}budget: {{ attribute: site, at_most_percent: 10 }}\n{more}");
        read(&text).unwrap().spec(Path::new("plan.yaml"), release(), None).unwrap()
    };
    let spec = of("random");
    assert_eq!((spec.order, spec.stages[0].reach.clone()), (Some(Order::Random), Reach::Matching("tag:lab".into())));
    let (rate, budget) = (spec.rate.unwrap(), spec.budget.unwrap());
    assert_eq!((rate.per_minute, rate.growth.map(|g| g.at_most), budget.at_most_percent), (10, Some(1000), Some(10.0)));
    assert_eq!(of("{ spread: site }").order, Some(Order::Spread("site".into())));
    let listed = ["gw-7", "gw-2"].map(|id| id.parse().unwrap()).to_vec();
    assert_eq!(of("{ listed: [gw-7, gw-2] }").order, Some(Order::Listed(listed)));
    assert!(wrong(&format!("{EXAMPLE}order: alphabetical\n")).starts_with("plan.yaml:25:"));
}

#[test]
fn metrics_the_whole_gate_and_steps_are_fields_of_the_file() {
    let metric = "{ metric: cpu.load, worse: higher, min_devices: 20, min_shift: 0.5, too_few: pass }";
    let text = EXAMPLE.replace("      max_errors: 1\n", &format!("      max_errors: 1\n      metrics:\n        - {metric}\n"));
    let more = "gate: { success_percent: 90, error_percent: 10, min_sample: 50, action: pause }\nsteps: { installing_min: 30 }\n";
    let spec = read(&format!("{text}{more}")).unwrap().spec(Path::new("plan.yaml"), release(), None).unwrap();
    let compared = &spec.stages[0].gate.metrics[0];
    assert_eq!((compared.metric.as_str(), compared.worse, compared.too_few), ("cpu.load", Worse::Higher, TooFew::Pass));
    assert_eq!((compared.min_devices, compared.min_shift), (20, Some(0.5)));
    assert_eq!((spec.gate.unwrap().min_sample, spec.steps.installing_min, spec.steps.verifying_min), (50, Some(30), None));
    assert!(wrong(&text.replace("worse: higher", "worse: more")).contains("worse"));
}

#[test]
fn limits_of_each_kind_of_error_are_fields_of_a_gate_and_others_are_none() {
    let limits = "      max_failed: 2\n      max_reverted: 0\n      max_timed_out: 3\n      max_rejected: 1\n      max_dark: 4\n";
    let text = EXAMPLE.replace("      max_errors: 1\n", &format!("      max_errors: 9\n{limits}"));
    let more = "gate: { success_percent: 90, error_percent: 10, min_sample: 50, max_rejected: 7 }\n";
    let spec = read(&format!("{text}{more}")).unwrap().spec(Path::new("plan.yaml"), release(), None).unwrap();
    let of = |g: &GateSpec| [g.max_failed, g.max_reverted, g.max_timed_out, g.max_rejected, g.max_dark];
    assert_eq!(of(&spec.stages[0].gate), [Some(2), Some(0), Some(3), Some(1), Some(4)]);
    assert_eq!((of(&spec.stages[1].gate), of(&spec.gate.unwrap())), ([None; 5], [None, None, None, Some(7), None]));
    let negative = wrong(&text.replace("max_failed: 2", "max_failed: -1"));
    assert!(negative.starts_with("plan.yaml:20:"), "{negative}");
    assert!(wrong(&text.replace("max_rejected", "max_refused")).contains("max_refused"));
}

#[test]
fn what_a_gate_does_not_say_is_as_where_there_is_none() {
    let text =
        format!("{EXAMPLE}gate: {{ action: pause }}\n").replace("      max_errors: 1\n", "      max_errors: 1\n      action: pause\n");
    let spec = read(&text).unwrap().spec(Path::new("plan.yaml"), release(), None).unwrap();
    assert_eq!(spec.gate.unwrap(), GateSpec { action: GateAction::Pause, ..GateSpec::USUAL });
    let alone = read(&EXAMPLE.replace("{ percent: 25 }", "{ percent: 25 }\n    gate: { max_errors: 4 }")).unwrap();
    let spec = alone.spec(Path::new("plan.yaml"), release(), None).unwrap();
    assert_eq!(spec.stages[1].gate, GateSpec { max_errors: 4, ..GateSpec::USUAL });
}

#[test]
fn stages_without_names_are_called_by_their_numbers() {
    let text = EXAMPLE.replace("  - name: A quarter\n    reach", "  - reach");
    assert_ne!(text, EXAMPLE);
    let spec = read(&text).unwrap().spec(Path::new("plan.yaml"), release(), None).unwrap();
    assert_eq!(spec.stages.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["Canary", "Stage 2", "Everybody"]);
}

#[test]
fn a_problem_of_the_plan_is_told_with_its_line() {
    let file = read(EXAMPLE).unwrap();
    let problem = |field: &str| Problem { field: field.into(), message: "no".into() };
    let told = file.told(Path::new("plan.yaml"), EXAMPLE, &["selector", "stages.1.reach", "stages", "elsewhere"].map(problem));
    assert_eq!(told, "plan.yaml:7 selector: no\nplan.yaml:20 stages.1.reach: no\nplan.yaml:10 stages: no\nplan.yaml elsewhere: no");
}

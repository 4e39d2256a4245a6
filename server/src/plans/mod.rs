//! A rollout as a YAML file, for the command line and for REST. The fields are those of the REST API; the release is named by its device type and version,
//! and a start by its date. Refuses to know where a file comes from, and what becomes of its plan (the core).

mod written;

pub(crate) use written::written;

use crate::http::json;
use anyhow::{Result, bail};
use fleet::{Error, Fleet, access::Actor, rollouts};
use serde::Deserialize;
use serde_saphyr::{Error as YamlError, Spanned};
use std::path::Path;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wire::{
    Timestamp,
    ids::ReleaseId,
    rollouts::{Budget, GateSpec, Order, Problem, Rate, Retry, RolloutSpec, StepLimits, Urgency, Window, WrittenStage},
};

/// The largest file that is read; a plan has at most 50 stages.
pub(crate) const LARGEST: u64 = 256 * 1024;

/// What a file says, with the lines where it says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "as the plan has them")]
pub(crate) struct PlanFile {
    name: String,
    /// Which release.
    pub release: Spanned<ReleaseName>,
    #[serde(default)]
    selector: String,
    stages: Vec<Spanned<WrittenStage>>,
    #[serde(default)]
    start_at: Option<Spanned<String>>,
    #[serde(default = "default_timeout_min")]
    timeout_min: u32,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    at_once: Option<u32>,
    #[serde(default)]
    budget: Option<Budget>,
    #[serde(default)]
    confirm_at_device: bool,
    #[serde(default)]
    bandwidth: Option<u64>,
    #[serde(default)]
    ignore_data_budget: bool,
    #[serde(default)]
    window: Option<Window>,
    #[serde(default)]
    urgency: Urgency,
    #[serde(default)]
    download_only: bool,
    #[serde(default)]
    during_freeze: bool,
    /// Which release devices go back to.
    #[serde(default)]
    pub way_back: Option<Spanned<ReleaseName>>,
    #[serde(default)]
    retry: Option<Retry>,
    #[serde(default)]
    priority: u32,
    #[serde(default)]
    order: Option<Order>,
    #[serde(default)]
    rate: Option<Rate>,
    gate: Option<GateSpec>,
    #[serde(default)]
    steps: StepLimits,
}

/// A release as people name it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseName {
    /// Its device type.
    pub device_type: String,
    /// Its version.
    pub version: String,
}

const fn default_timeout_min() -> u32 {
    60
}

impl PlanFile {
    /// Reads a file's text. What is wrong is told in a line, with its place.
    pub(crate) fn read(path: &Path, text: &str) -> Result<Self> {
        match serde_saphyr::from_str(text) {
            Ok(file) => Ok(file),
            Err(e) => {
                let at = e.location().map_or_else(String::new, |at| format!(":{}:{}", at.line(), at.column()));
                let why = said(text, &e);
                bail!(
                    "{}{at} is not a plan: {why}\nThe manual has a whole file to begin with: /docs/rollouts on the console.",
                    path.display(),
                )
            }
        }
    }

    /// The plan, with the releases found.
    pub(crate) fn spec(&self, path: &Path, release: ReleaseId, way_back: Option<ReleaseId>) -> Result<RolloutSpec> {
        let start_at = match &self.start_at {
            None => None,
            Some(at) => match instant(&at.value) {
                Some(instant) => Some(instant),
                None => bail!(
                    "{}:{}:{} start_at is no instant. Write it as RFC 3339 has it, for example 2027-01-15T06:00:00Z.",
                    path.display(),
                    at.referenced.line(),
                    at.referenced.column()
                ),
            },
        };
        Ok(RolloutSpec {
            name: self.name.clone(),
            release,
            selector: self.selector.clone(),
            stages: (1..).zip(&self.stages).map(|(number, s)| s.value.clone().numbered(number)).collect(),
            start_at,
            timeout_min: self.timeout_min,
            reason: self.reason.clone(),
            at_once: self.at_once,
            budget: self.budget.clone(),
            confirm_at_device: self.confirm_at_device,
            bandwidth: self.bandwidth,
            ignore_data_budget: self.ignore_data_budget,
            window: self.window.clone(),
            urgency: self.urgency,
            download_only: self.download_only,
            during_freeze: self.during_freeze,
            way_back,
            retry: self.retry.clone(),
            priority: self.priority,
            order: self.order.clone(),
            rate: self.rate.clone(),
            gate: self.gate.clone(),
            steps: self.steps,
        })
    }

    /// Why a plan was refused: its problems in the file's words, anything else as it is.
    pub(crate) fn refused(&self, path: &Path, text: &str, why: Error) -> anyhow::Error {
        match why {
            Error::Rollouts(rollouts::Error::Problems(problems)) => anyhow::Error::msg(self.told(path, text, &problems)),
            other => other.into(),
        }
    }

    /// Problems of the plan, each with its place in the file.
    fn told(&self, path: &Path, text: &str, problems: &[Problem]) -> String {
        let line = |problem: &Problem| {
            let at = self.line(text, &problem.field).map_or_else(String::new, |line| format!(":{line}"));
            format!("{}{at} {}: {}", path.display(), problem.field, problem.message)
        };
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The line on which a field of the plan begins; for a field of a stage, the stage.
    fn line(&self, text: &str, field: &str) -> Option<u64> {
        let mut parts = field.split('.');
        let first = parts.next()?;
        if let Some(stage) = parts.next().and_then(|n| n.parse::<usize>().ok()).and_then(|n| self.stages.get(n)) {
            return Some(stage.referenced.line());
        }
        let at = text.lines().position(|line| line.strip_prefix(first).is_some_and(|rest| rest.trim_start().starts_with(':')))?;
        u64::try_from(at + 1).ok()
    }
}

/// What is wrong with a file, in a line, in the words of JSON bodies.
fn said(text: &str, e: &YamlError) -> String {
    if text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#')) {
        return "it is empty.".to_owned();
    }
    let one_of = |known: &[&str]| known.join(", ");
    let key = e.location().and_then(|at| key_before(text, at.line(), at.column()));
    // Of what an alias stands for, that is told which is wrong with it.
    let (of, aliased) = match e.without_snippet() {
        YamlError::AliasError { error, .. } => (error.without_snippet(), true),
        own => (own, false),
    };
    // What stands inside of itself is met as an alias where a value is expected.
    let at_alias = || of.location().is_some_and(|at| begins_alias(text, at.line(), at.column()));
    let looped = match of {
        YamlError::RecursiveReferencesRequireWeakTypes { .. } => true,
        YamlError::Unexpected { .. } => !aliased && at_alias(),
        _ => false,
    };
    if looped {
        return "an alias (*) stands inside of what its own anchor (&) names. Write out what is meant.".to_owned();
    }
    let library = match of {
        YamlError::DuplicateMappingKey { key, location } => {
            let what = key.as_ref().map_or_else(|| "a key".to_owned(), |key| format!("the key “{key}”"));
            return format!("on line {}, {what} stands for the second time in the same place. Keep one of the two.", location.line());
        }
        YamlError::MultipleDocuments { .. } => return "a second document begins in it. Keep one plan in a file.".to_owned(),
        YamlError::Eof { .. } => return "it ends before the plan does.".to_owned(),
        YamlError::UnknownAnchor { .. } => {
            return "an alias (*) has no anchor (&) of its name before it. Write out what is meant, or quote a text that begins with *."
                .to_owned();
        }
        YamlError::AliasReplayCounterOverflow { .. }
        | YamlError::AliasReplayLimitExceeded { .. }
        | YamlError::AliasExpansionLimitExceeded { .. }
        | YamlError::AliasReplayStackDepthExceeded { .. } => {
            return "its aliases (*) repeat more than a plan has. Write out what is meant.".to_owned();
        }
        YamlError::SerdeMissingField { field, .. } => return format!("the field {field} is missing."),
        YamlError::SerdeUnknownField { field, expected, .. } => format!("unknown field `{field}`, expected one of {}", one_of(expected)),
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            format!("unknown variant `{variant}`, expected one of {}", one_of(expected))
        }
        YamlError::Unexpected { expected, .. } => format!("invalid type: something else, expected {}", node(expected)),
        YamlError::SerdeInvalidType { unexpected, expected, .. } => format!("invalid type: {unexpected}, expected {expected}"),
        YamlError::SerdeInvalidValue { unexpected, expected, .. } => format!("invalid value: {unexpected}, expected {expected}"),
        YamlError::InvalidScalar { ty: "boolean", .. } => "invalid type: text, expected a boolean".to_owned(),
        YamlError::InvalidScalar { ty: "floating point", .. } => "invalid type: text, expected f64".to_owned(),
        YamlError::InvalidScalar { ty, .. } => format!("invalid type: text, expected {ty}"),
        YamlError::Message { msg, .. } | YamlError::SerdeVariantId { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let first = library.lines().next().unwrap_or_default();
    let sentence = json::of_data(key.as_deref().unwrap_or("."), first);
    // It follows a place and a colon.
    let sentence = sentence.replacen("The body ", "this ", 1).replacen("The field ", "the field ", 1).replacen("There is ", "there is ", 1);
    if aliased { format!("{sentence} It is what the alias (*) stands for: write out what is meant.") } else { sentence }
}

/// A part of a file that is expected, by the words for values of JSON.
fn node(expected: &str) -> &str {
    match expected {
        "mapping start" | "empty mapping start" => "a map",
        "sequence start" => "a sequence",
        "string scalar" | "scalar" => "a string",
        other => other,
    }
}

/// Whether an alias stands at this place.
fn begins_alias(text: &str, line: u64, column: u64) -> bool {
    let place = |n: u64| usize::try_from(n).ok()?.checked_sub(1);
    let (Some(line), Some(column)) = (place(line), place(column)) else { return false };
    text.lines().nth(line).and_then(|line| line.chars().nth(column)) == Some('*')
}

/// The key whose value stands at this place, if it is on the same line.
fn key_before(text: &str, line: u64, column: u64) -> Option<String> {
    let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
    let before: String = text.lines().nth(line.checked_sub(1)?)?.chars().take(column.checked_sub(1)?).collect();
    let key = before.trim_end_matches([' ', '{', '[', '"', '\'']).strip_suffix(':')?;
    let key = key.rsplit([' ', '{', ',', '"', '\'']).next()?;
    (!key.is_empty()).then(|| key.to_owned())
}

/// The plan of a file's text, and what it means here. `path` is what the text is called where it is wrong.
pub(crate) async fn meant(fleet: &Fleet, actor: &Actor, path: &Path, text: &str) -> Result<(PlanFile, RolloutSpec)> {
    let plan = PlanFile::read(path, text)?;
    let release = found(fleet, actor, path, &plan.release).await?;
    let way_back = match &plan.way_back {
        Some(named) => Some(found(fleet, actor, path, named).await?),
        None => None,
    };
    let spec = plan.spec(path, release, way_back)?;
    Ok((plan, spec))
}

/// The release of a name in a file.
async fn found(fleet: &Fleet, actor: &Actor, path: &Path, at: &Spanned<ReleaseName>) -> Result<ReleaseId> {
    let named = &at.value;
    let Some(release) = fleet.releases().named(actor, &named.device_type, &named.version).await? else {
        let meant = match fleet.releases().nearest(actor, &named.device_type, &named.version).await? {
            Some((of, Some(version))) => format!(" Did you mean {of} {version}?"),
            Some((of, None)) if of != named.device_type => format!(" Did you mean the device type {of}? That has no such release either."),
            _ => String::new(),
        };
        bail!(
            "{}:{} there is no release {} for {}.{meant} Upload and publish it first, or correct device_type and version.",
            path.display(),
            at.referenced.line(),
            named.version,
            named.device_type
        );
    };
    Ok(release.id)
}

/// An instant as RFC 3339 has it.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            (
                EXAMPLE.replace("timeout_min: 60", "timeout_min: 60\ngate: *nobody"),
                ": an alias (*) has no anchor (&) of its name before it.",
            ),
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
    fn a_start_is_an_instant_and_a_version_is_text() {
        let spec = |from: &str, to: &str| read(&EXAMPLE.replace(from, to)).unwrap().spec(Path::new("plan.yaml"), release(), None);
        let line = "# start_at: 2027-01-15T06:00:00Z    at once after the approval unless given";
        assert_eq!(spec(line, "start_at: 2027-01-15T07:00:00+01:00").unwrap().start_at.unwrap().rfc3339(), "2027-01-15T06:00:00Z");
        let refused = spec(line, "start_at: tomorrow").unwrap_err().to_string();
        assert!(refused.starts_with("plan.yaml:9:11 start_at is no instant"), "{refused}");
        assert_eq!(read(&EXAMPLE.replace("version: 2.0.0", "version: 1.10")).unwrap().release.value.version, "1.10");
    }

    #[test]
    fn a_way_back_is_named_like_the_release() {
        let more =
            "way_back: { device_type: gateway, version: 1.0.0+3 }\nretry: { classes: [failed], times: 2, wait_min: 30 }\npriority: 3\n";
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
}

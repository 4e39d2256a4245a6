//! Pure: a stage of a plan in the making, and the plans to start from.

use super::metric::{MOST, MetricDraft};
use super::words::{limit_text, number, optional, percentage, problem, selector, span, span_text, word};
use crate::ui::number::plain;
use wire::rollouts::{GateSpec, Problem, Reach, StageSpec};

/// A stage in the making.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageDraft {
    /// Its name.
    pub name: String,
    /// A number, or a selector.
    pub reach: String,
    /// `percent`, `count`, or `matching` where the reach is a selector.
    pub unit: String,
    /// A span: `90 s`, `10 min`, `2 h`, `1 d`.
    pub soak: String,
    /// `go_on` or `ask`.
    pub then: String,
    /// Percent.
    pub success: String,
    /// Percent.
    pub error: String,
    /// A number of devices.
    pub sample: String,
    /// A number of devices; 0 is no cap.
    pub max_errors: String,
    /// A number of devices that may fail to install; empty is no limit.
    pub max_failed: String,
    /// A number of devices that may go back; empty is no limit.
    pub max_reverted: String,
    /// A number of devices that may fall silent; empty is no limit.
    pub max_timed_out: String,
    /// A number of devices that may refuse; empty is no limit.
    pub max_rejected: String,
    /// A number of devices that may go dark; empty is no limit.
    pub max_dark: String,
    /// What the gate does when it says no: a word of [`GateAction`].
    pub action: String,
    /// Metrics it compares; those without a name are none.
    pub metrics: Vec<MetricDraft>,
}

/// Plans to start from: key, label, and the stages as name, percent, soak, whether to ask.
type Template = (&'static str, &'static str, &'static [(&'static str, &'static str, &'static str, bool)]);
/// The first is what a new rollout begins with.
pub const TEMPLATES: [Template; 4] = [
    ("canary", "Canary, half, all", &[("Canary", "10", "10 min", false), ("Half", "50", "10 min", false), ("Rest", "100", "0 s", false)]),
    (
        "careful",
        "1 %, 20 %, 50 %, all, asking each time",
        &[("Canary", "1", "1 h", true), ("Early", "20", "2 h", true), ("Half", "50", "2 h", true), ("Rest", "100", "0 s", false)],
    ),
    ("two", "Canary, then all", &[("Canary", "10", "10 min", false), ("Rest", "100", "0 s", false)]),
    ("all", "All at once", &[("All", "100", "0 s", false)]),
];

impl StageDraft {
    pub(super) fn new(name: &str, percent: &str, soak: &str, ask: bool) -> Self {
        Self {
            name: name.into(),
            reach: percent.into(),
            unit: "percent".into(),
            soak: soak.into(),
            then: if ask { "ask" } else { "go_on" }.into(),
            ..Self::of_gate(&GateSpec::default())
        }
    }

    pub(super) fn copy_gate(&mut self, of: &Self) {
        self.success.clone_from(&of.success);
        self.error.clone_from(&of.error);
        self.sample.clone_from(&of.sample);
        self.max_errors.clone_from(&of.max_errors);
        self.max_failed.clone_from(&of.max_failed);
        self.max_reverted.clone_from(&of.max_reverted);
        self.max_timed_out.clone_from(&of.max_timed_out);
        self.max_rejected.clone_from(&of.max_rejected);
        self.max_dark.clone_from(&of.max_dark);
        self.action.clone_from(&of.action);
    }

    /// The inputs of a stage, by the names the core uses for problems.
    pub fn fields(&self) -> [(&'static str, &String); 15] {
        [
            ("name", &self.name),
            ("reach", &self.reach),
            ("unit", &self.unit),
            ("soak_s", &self.soak),
            ("confirm", &self.then),
            ("gate.success_percent", &self.success),
            ("gate.error_percent", &self.error),
            ("gate.min_sample", &self.sample),
            ("gate.max_errors", &self.max_errors),
            ("gate.max_failed", &self.max_failed),
            ("gate.max_reverted", &self.max_reverted),
            ("gate.max_timed_out", &self.max_timed_out),
            ("gate.max_rejected", &self.max_rejected),
            ("gate.max_dark", &self.max_dark),
            ("gate.action", &self.action),
        ]
    }

    /// The inputs of its metrics, by the names the core uses for problems.
    pub fn metric_fields(&self) -> impl Iterator<Item = (String, &String)> {
        let named = self.metrics.iter().filter(|m| !m.metric.trim().is_empty()).enumerate();
        named.flat_map(|(i, m)| m.fields().map(|(field, text)| (format!("gate.metrics.{i}.{field}"), text)))
    }

    pub(super) fn field_mut(&mut self, name: &str) -> Option<&mut String> {
        if let Some((number, field)) = name.strip_prefix("gate.metrics.").and_then(|rest| rest.split_once('.')) {
            let index = number.parse::<usize>().ok().filter(|i| *i < MOST)?;
            while self.metrics.len() <= index {
                self.metrics.push(MetricDraft::empty());
            }
            return self.metrics.get_mut(index)?.field_mut(field);
        }
        Some(match name {
            "name" => &mut self.name,
            "reach" => &mut self.reach,
            "unit" => &mut self.unit,
            "soak_s" => &mut self.soak,
            "confirm" => &mut self.then,
            "gate.success_percent" => &mut self.success,
            "gate.error_percent" => &mut self.error,
            "gate.min_sample" => &mut self.sample,
            "gate.max_errors" => &mut self.max_errors,
            "gate.max_failed" => &mut self.max_failed,
            "gate.max_reverted" => &mut self.max_reverted,
            "gate.max_timed_out" => &mut self.max_timed_out,
            "gate.max_rejected" => &mut self.max_rejected,
            "gate.max_dark" => &mut self.max_dark,
            "gate.action" => &mut self.action,
            _ => return None,
        })
    }

    /// A gate of the whole rollout: its inputs and nothing of a stage.
    pub(super) fn of_gate(gate: &GateSpec) -> Self {
        Self {
            success: plain(gate.success_percent),
            error: plain(gate.error_percent),
            sample: gate.min_sample.to_string(),
            max_errors: gate.max_errors.to_string(),
            max_failed: limit_text(gate.max_failed),
            max_reverted: limit_text(gate.max_reverted),
            max_timed_out: limit_text(gate.max_timed_out),
            max_rejected: limit_text(gate.max_rejected),
            max_dark: limit_text(gate.max_dark),
            action: gate.action.to_string(),
            metrics: gate.metrics.iter().map(MetricDraft::of).collect(),
            ..Self::default()
        }
    }

    /// The gate of the whole rollout; none where nothing but what it would do is said.
    pub(super) fn whole(&self, wrong: &mut Vec<Problem>) -> Option<GateSpec> {
        let said = self.fields().into_iter().any(|(key, text)| key.starts_with("gate.") && key != "gate.action" && !text.trim().is_empty());
        said.then(|| {
            let usual = |text: &str, usual: &str| if text.trim().is_empty() { usual.to_owned() } else { text.to_owned() };
            let filled = Self { max_errors: usual(&self.max_errors, "0"), ..self.clone() };
            filled.gate(&|field| field.to_owned(), wrong)
        })
    }

    pub(super) fn of(spec: &StageSpec) -> Self {
        let (reach, unit) = match spec.reach {
            Reach::Percent(p) => (plain(p), "percent"),
            Reach::Count(n) => (n.to_string(), "count"),
            Reach::Matching(ref own) => (own.clone(), "matching"),
        };
        Self {
            name: spec.name.clone(),
            reach,
            unit: unit.into(),
            soak: span_text(spec.soak_s),
            then: if spec.confirm { "ask" } else { "go_on" }.into(),
            ..Self::of_gate(&spec.gate)
        }
    }

    /// The stage itself, as the one at this place from 0; what has to be put right first is added to what is wrong, and is zero meanwhile.
    pub fn spec(&self, index: usize, wrong: &mut Vec<Problem>) -> StageSpec {
        let at = |field: &str| format!("stages.{index}.{field}");
        let reach = if self.unit == "matching" {
            selector(&self.reach, &at("reach"), wrong);
            Reach::Matching(self.reach.trim().to_owned())
        } else if self.unit == "count" {
            Reach::Count(number(&self.reach, &at("reach"), "Write a whole number of devices, for example 5.", wrong))
        } else {
            Reach::Percent(percentage(&self.reach, &at("reach"), "Write a percentage, for example 10.", wrong))
        };
        let soak_s = span(&self.soak).unwrap_or_else(|| {
            wrong.push(problem(&at("soak_s"), "Write a span, for example 90 s, 10 min, 2 h or 1 d."));
            0
        });
        let gate = self.gate(&at, wrong);
        StageSpec { name: self.name.trim().to_owned(), reach, soak_s, confirm: self.then == "ask", gate }
    }

    /// The gate alone.
    pub(super) fn gate(&self, at: &dyn Fn(&str) -> String, wrong: &mut Vec<Problem>) -> GateSpec {
        let percent =
            |text: &str, field: &str, wrong: &mut Vec<Problem>| percentage(text, &at(field), "Write a percentage, for example 95.", wrong);
        let most = |text: &str, field: &str, wrong: &mut Vec<Problem>| {
            optional(text, &at(field), "Write how many devices may, for example 2, or leave it empty for no limit.", wrong)
        };
        let named = self.metrics.iter().filter(|m| !m.metric.trim().is_empty()).enumerate();
        let metrics = named.map(|(i, m)| m.gate(&at(&format!("gate.metrics.{i}")), wrong)).collect();
        GateSpec {
            success_percent: percent(&self.success, "gate.success_percent", wrong),
            error_percent: percent(&self.error, "gate.error_percent", wrong),
            min_sample: number(&self.sample, &at("gate.min_sample"), "Write a whole number of devices, for example 3.", wrong),
            max_errors: number(&self.max_errors, &at("gate.max_errors"), "Write a whole number of devices; 0 is no limit.", wrong),
            max_failed: most(&self.max_failed, "gate.max_failed", wrong),
            max_reverted: most(&self.max_reverted, "gate.max_reverted", wrong),
            max_timed_out: most(&self.max_timed_out, "gate.max_timed_out", wrong),
            max_rejected: most(&self.max_rejected, "gate.max_rejected", wrong),
            max_dark: most(&self.max_dark, "gate.max_dark", wrong),
            action: word(&self.action, &at("gate.action"), "Choose what the gate does: halt, pause or roll_back.", wrong),
            metrics,
        }
    }
}

/// Most characters of a stage's name.
const LONGEST_NAME: usize = 100;

/// The stages of a plan that begins with the devices of a selector, watches them and asks a person, and goes on by percent.
pub(super) fn first_of(selector: &str, named: &str) -> Vec<StageDraft> {
    let name: String = named.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let first = StageDraft { reach: selector.into(), unit: "matching".into(), ..StageDraft::new(&name, "", "1 h", true) };
    vec![first, StageDraft::new("Half", "50", "10 min", false), StageDraft::new("Rest", "100", "0 s", false)]
}

/// The stages of a plan to start from; none for an unknown key.
pub(super) fn template(key: &str) -> Vec<StageDraft> {
    let stages = TEMPLATES.iter().find(|t| t.0 == key).map_or(&[][..], |t| t.2);
    stages.iter().map(|(name, percent, soak, ask)| StageDraft::new(name, percent, soak, *ask)).collect()
}

//! Pure: a plan as it is typed into the wizard, in texts that may still be wrong; to and from a query string, to and from a plan.
//!
//! The query string is the wizard's only memory: every step carries the whole plan, so a step can be reloaded, shared, and gone back to. The
//! names of the inputs are the names that the core uses for problems (`stages.1.reach`), so each problem finds its input. Refuses to know the
//! wizard's steps and the server functions; both read and write plans here.

mod metric;
mod order;
pub mod query;
mod retry;
mod stage;
mod when;
mod words;

pub use metric::{MetricDraft, StepsDraft};
pub use order::OrderDraft;
pub use stage::{StageDraft, TEMPLATES};
pub use when::WhenDraft;
pub(crate) use words::instant;

use crate::ui::number::{plain, read_decimal};
use stage::{first_of, template};
use wire::{
    ids::ReleaseId,
    rollouts::{Problem, RolloutSpec, StageSpec},
    selector::Selector,
};
use words::{limit_text, number, optional, problem, speed, speed_text};

/// Stages a plan has at most; more in a query are not read.
pub const MOST_STAGES: usize = 50;

/// A plan in the making.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// What people will call it; empty is filled in from the release.
    pub name: String,
    /// The release's id; empty while none is chosen.
    pub release: String,
    /// Who gets it.
    pub selector: String,
    /// When it starts, `2026-11-22T09:57` in UTC; empty means at once after the approval.
    pub start_at: String,
    /// Minutes.
    pub timeout_min: String,
    /// Why.
    pub reason: String,
    /// By what the preview of a plan that is not kept has drawn its devices, a rollout's id; empty before the first preview. No part of the plan: the draft is
    /// made under it, so that the devices that were named are those that come.
    pub draw: String,
    /// A number of devices; empty is no limit.
    pub at_once: String,
    /// An attribute; empty is no budget.
    pub budget_attribute: String,
    /// A number of devices, or a percentage with its sign.
    pub budget_at_most: String,
    /// `yes` when somebody at each device confirms; anything else is no.
    pub confirm_at_device: String,
    /// Kilobytes (1,000 bytes) a second; empty is no limit.
    pub bandwidth: String,
    /// `true`, or empty.
    pub ignore_data_budget: String,
    /// When devices may install.
    pub when: WhenDraft,
    /// The id of the release that devices go back to; empty is no way back.
    pub way_back: String,
    /// Ends that are tried again, `failed,timed_out`; empty is none.
    pub retry_classes: String,
    /// A number.
    pub retry_times: String,
    /// Minutes.
    pub retry_wait: String,
    /// 0 to 9; empty is 0.
    pub priority: String,
    /// In which order devices come, and how fast.
    pub order: OrderDraft,
    /// The gate of the whole rollout; none where all its inputs are empty.
    pub whole: StageDraft,
    /// How long an update may be in one step.
    pub steps: StepsDraft,
    /// At least one.
    pub stages: Vec<StageDraft>,
}

impl Draft {
    /// The plan of a query string; what is missing has its default.
    pub fn read(search: &str) -> Self {
        let mut draft = Self { timeout_min: "60".into(), ..Self::default() };
        for (key, value) in query::pairs(search) {
            match key.as_str() {
                "name" => draft.name = value,
                "release" => draft.release = value,
                "selector" => draft.selector = value,
                "start_at" => draft.start_at = value,
                "timeout_min" => draft.timeout_min = value,
                "reason" => draft.reason = value,
                "draw" => draft.draw = value,
                "at_once" => draft.at_once = value,
                "budget.attribute" => draft.budget_attribute = value,
                "budget.at_most" => draft.budget_at_most = value,
                "confirm_at_device" => draft.confirm_at_device = value,
                "bandwidth" => draft.bandwidth = value,
                "ignore_data_budget" => draft.ignore_data_budget = value,
                _ if draft.when.read(&key, &value) || draft.order.read(&key, &value) => {}
                "way_back" => draft.way_back = value,
                "retry.classes" => draft.retry_classes = value,
                "retry.times" => draft.retry_times = value,
                "retry.wait_min" => draft.retry_wait = value,
                "priority" => draft.priority = value,
                _ if draft.steps.read(&key, &value) => {}
                _ if key.starts_with("gate.") => {
                    if let Some(text) = draft.whole.field_mut(&key) {
                        *text = value;
                    }
                }
                _ => draft.read_stage(&key, value),
            }
        }
        if draft.stages.is_empty() {
            draft.stages = template("canary");
        }
        draft
    }

    fn read_stage(&mut self, key: &str, value: String) {
        let Some((number, field)) = key.strip_prefix("stages.").and_then(|rest| rest.split_once('.')) else { return };
        let Some(index) = number.parse::<usize>().ok().filter(|i| *i < MOST_STAGES) else { return };
        while self.stages.len() <= index {
            self.stages.push(StageDraft::new("", "", "0 s", false));
        }
        let Some(stage) = self.stages.get_mut(index) else { return };
        if let Some(text) = stage.field_mut(field) {
            *text = value;
        }
    }

    /// The query string of this plan.
    pub fn write(&self) -> String {
        let mut out = String::new();
        for (key, value) in self.pairs() {
            if !value.is_empty() {
                query::push(&mut out, &key, &value);
            }
        }
        out
    }

    /// Every input with its text, for the query and for the hidden inputs of a step.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let single = [
            ("name", &self.name),
            ("release", &self.release),
            ("selector", &self.selector),
            ("start_at", &self.start_at),
            ("timeout_min", &self.timeout_min),
            ("reason", &self.reason),
            ("draw", &self.draw),
            ("at_once", &self.at_once),
            ("budget.attribute", &self.budget_attribute),
            ("budget.at_most", &self.budget_at_most),
            ("confirm_at_device", &self.confirm_at_device),
            ("bandwidth", &self.bandwidth),
            ("ignore_data_budget", &self.ignore_data_budget),
            ("way_back", &self.way_back),
            ("retry.classes", &self.retry_classes),
            ("retry.times", &self.retry_times),
            ("retry.wait_min", &self.retry_wait),
            ("priority", &self.priority),
        ];
        let stages =
            self.stages.iter().enumerate().flat_map(|(i, s)| s.fields().map(|(field, text)| (format!("stages.{i}.{field}"), text.clone())));
        let metrics = self
            .stages
            .iter()
            .enumerate()
            .flat_map(|(i, s)| s.metric_fields().map(move |(field, text)| (format!("stages.{i}.{field}"), text.clone())));
        let whole =
            self.whole.fields().into_iter().filter(|(key, _)| key.starts_with("gate.")).map(|(key, text)| (key.to_owned(), text.clone()));
        let single = single.into_iter().map(|(key, text)| (key.to_owned(), text.clone()));
        single
            .chain(self.when.pairs())
            .chain(self.order.pairs())
            .chain(whole)
            .chain(self.steps.pairs())
            .chain(stages)
            .chain(metrics)
            .collect()
    }

    /// The plan an existing rollout has.
    pub fn of(spec: &RolloutSpec) -> Self {
        Self {
            name: spec.name.clone(),
            release: spec.release.to_string(),
            selector: spec.selector.clone(),
            start_at: spec.start_at.map(|t| t.rfc3339().chars().take(16).collect()).unwrap_or_default(),
            timeout_min: spec.timeout_min.to_string(),
            reason: spec.reason.clone(),
            draw: String::new(),
            at_once: limit_text(spec.at_once),
            budget_attribute: spec.budget.as_ref().map(|b| b.attribute.clone()).unwrap_or_default(),
            budget_at_most: order::room_text(spec.budget.as_ref()),
            confirm_at_device: if spec.confirm_at_device { "yes".to_owned() } else { String::new() },
            bandwidth: speed_text(spec.bandwidth),
            ignore_data_budget: if spec.ignore_data_budget { "true".to_owned() } else { String::new() },
            when: WhenDraft::of(spec),
            way_back: spec.way_back.as_ref().map(ToString::to_string).unwrap_or_default(),
            retry_classes: retry::ends(spec.retry.as_ref()),
            retry_times: limit_text(spec.retry.as_ref().map(|r| r.times)),
            retry_wait: limit_text(spec.retry.as_ref().map(|r| r.wait_min)),
            priority: limit_text((spec.priority > 0).then_some(spec.priority)),
            order: OrderDraft::of(spec),
            whole: spec.gate.as_ref().map(StageDraft::of_gate).unwrap_or_default(),
            steps: StepsDraft::of(&spec.steps),
            stages: spec.stages.iter().map(StageDraft::of).collect(),
        }
    }

    /// The plan itself, or what has to be put right first.
    pub fn spec(&self) -> Result<RolloutSpec, Vec<Problem>> {
        let mut wrong = Vec::new();
        match self.read_as_far(&mut wrong) {
            Some(spec) if wrong.is_empty() => Ok(spec),
            _ => Err(wrong),
        }
    }

    /// The plan as far as it can be read, to tell of it while it is written: what can't be is none or zero. None while no release is chosen.
    pub fn so_far(&self) -> Option<RolloutSpec> {
        self.read_as_far(&mut Vec::new())
    }

    fn read_as_far(&self, wrong: &mut Vec<Problem>) -> Option<RolloutSpec> {
        let release =
            self.release.parse().map_err(|_| problem("release", "Choose the release to roll out.")).map_err(|p| wrong.push(p)).ok();
        words::selector(&self.selector, "selector", wrong);
        let start_at = match self.start_at.trim() {
            "" => None,
            text => instant(text).or_else(|| {
                wrong.push(problem("start_at", "Write date and time in UTC, for example 2026-11-22T09:30, or leave it empty."));
                None
            }),
        };
        let timeout_min = number(&self.timeout_min, "timeout_min", "Write a whole number of minutes, for example 60.", wrong);
        let at_once = optional(&self.at_once, "at_once", "Write a whole number of devices, for example 20, or leave it empty.", wrong);
        let budget = order::budget(&self.budget_attribute, &self.budget_at_most, wrong);
        let (order, rate) = (self.order.order(wrong), self.order.rate(wrong));
        let bandwidth = speed(&self.bandwidth, "bandwidth", wrong);
        let (window, urgency) = (self.when.window(wrong), self.when.urgency(wrong));
        let way_back = self.way_back(wrong);
        let retry = retry::retry(&self.retry_classes, &self.retry_times, &self.retry_wait, wrong);
        let priority = optional(&self.priority, "priority", "Write a number from 0 to 9, or leave it empty.", wrong).unwrap_or(0);
        let (gate, steps) = (self.whole.whole(wrong), self.steps.limits(wrong));
        let stages: Vec<_> = self.stages.iter().enumerate().map(|(i, stage)| stage.spec(i, wrong)).collect();
        Some(RolloutSpec {
            name: self.name.trim().to_owned(),
            release: release?,
            selector: self.selector.trim().to_owned(),
            stages,
            start_at,
            timeout_min,
            reason: self.reason.trim().to_owned(),
            at_once,
            budget,
            confirm_at_device: self.confirm_at_device == "yes",
            bandwidth,
            ignore_data_budget: self.ignore_data_budget == "true",
            window,
            urgency,
            download_only: self.when.download_only == "true",
            during_freeze: self.when.during_freeze == "true",
            way_back,
            retry,
            priority,
            order,
            rate,
            gate,
            steps,
        })
    }

    fn way_back(&self, wrong: &mut Vec<Problem>) -> Option<ReleaseId> {
        let id = self.way_back.trim();
        if id.is_empty() {
            return None;
        }
        id.parse().map_err(|_| wrong.push(problem("way_back", "Choose the release that devices go back to, or none."))).ok()
    }

    /// Does what a button of the form asks for: `add`, `remove.N`, `template.KEY`; anything else changes nothing.
    pub fn apply(&mut self, what: &str) {
        match what.split_once('.') {
            None if what == "add" => self.add_stage(),
            Some(("remove", n)) => {
                if let Some(index) = n.parse::<usize>().ok().filter(|i| self.stages.len() > 1 && *i < self.stages.len()) {
                    self.stages.remove(index);
                }
            }
            Some(("template", key)) if TEMPLATES.iter().any(|t| t.0 == key) => self.stages = template(key),
            _ => {}
        }
    }

    /// Begins with the devices of this selector, for example those of one site, and goes on by percent. The error says what is wrong with it.
    pub fn first(&mut self, selector: &str) -> Result<(), String> {
        let selector = selector.trim();
        let named = match Selector::parse(selector) {
            Err(e) => return Err(e.sentence()),
            Ok(Selector::All(parts)) if parts.is_empty() => {
                return Err("Choose which devices go first, or write a selector, for example attr.site:rotterdam.".to_owned());
            }
            Ok(Selector::Is(_, mut values)) if values.len() == 1 => values.remove(0),
            Ok(_) => "First".to_owned(),
        };
        self.stages = first_of(selector, &named);
        Ok(())
    }

    /// A new stage goes in front of the last one, half way between its neighbours, so that the plan still ends with everybody.
    fn add_stage(&mut self) {
        if self.stages.len() >= MOST_STAGES {
            return;
        }
        let at = self.stages.len().saturating_sub(1);
        let reach = |stage: Option<&StageDraft>, or: f64| {
            stage.filter(|s| s.unit == "percent").and_then(|s| read_decimal(s.reach.trim())).unwrap_or(or)
        };
        let before = reach(self.stages.iter().take(at).rfind(|s| s.unit == "percent"), 0.0);
        let middle = f64::midpoint(before, reach(self.stages.last(), 100.0)).round();
        // After others were removed its number may be another one's name.
        let free = |name: &String| self.stages.iter().all(|stage| stage.name.trim() != name);
        let name = (at + 1..=at + 1 + self.stages.len()).map(StageSpec::usual_name).find(free).unwrap_or_default();
        let mut stage = StageDraft::new(&name, &plain(middle), "10 min", false);
        if let Some(model) = self.stages.get(at) {
            stage.copy_gate(model);
        }
        self.stages.insert(at, stage);
    }
}

#[cfg(test)]
mod tests;

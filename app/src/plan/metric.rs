//! Pure: metrics of a gate, and limits of steps, as they are typed into the wizard.

use super::words::{decimal, limit_text, number, optional, percentage, word};
use crate::ui::number::plain;
use wire::rollouts::{MetricGate, Problem, StepLimits, TooFew, Worse};

/// Metrics of a stage that are read at most: one more than a gate may have, so that too many are told.
pub(super) const MOST: usize = 9;

/// A metric of a gate in the making; without a name it is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricDraft {
    /// Its name.
    pub metric: String,
    /// `higher` or `lower`.
    pub worse: String,
    /// A number of devices.
    pub devices: String,
    /// Percent.
    pub effect: String,
    /// A number in the metric's unit; empty is no limit.
    pub shift: String,
    /// Percent.
    pub confidence: String,
    /// `ask` or `pass`.
    pub too_few: String,
}

impl MetricDraft {
    /// An empty row of the form, with what is usual.
    pub fn empty() -> Self {
        Self { worse: Worse::Higher.to_string(), ..Self::of(&MetricGate::new(String::new(), Worse::Higher)) }
    }

    /// Its inputs, by the names the core uses for problems.
    pub fn fields(&self) -> [(&'static str, &String); 7] {
        [
            ("metric", &self.metric),
            ("worse", &self.worse),
            ("min_devices", &self.devices),
            ("effect_percent", &self.effect),
            ("min_shift", &self.shift),
            ("confidence_percent", &self.confidence),
            ("too_few", &self.too_few),
        ]
    }

    pub(super) fn field_mut(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "metric" => &mut self.metric,
            "worse" => &mut self.worse,
            "min_devices" => &mut self.devices,
            "effect_percent" => &mut self.effect,
            "min_shift" => &mut self.shift,
            "confidence_percent" => &mut self.confidence,
            "too_few" => &mut self.too_few,
            _ => return None,
        })
    }

    pub(super) fn of(gate: &MetricGate) -> Self {
        Self {
            metric: gate.metric.clone(),
            worse: gate.worse.to_string(),
            devices: gate.min_devices.to_string(),
            effect: plain(gate.effect_percent),
            shift: gate.min_shift.map(plain).unwrap_or_default(),
            confidence: plain(gate.confidence_percent),
            too_few: gate.too_few.to_string(),
        }
    }

    pub(super) fn gate(&self, at: &str, wrong: &mut Vec<Problem>) -> MetricGate {
        let field = |name: &str| format!("{at}.{name}");
        let worse = match self.worse.trim() {
            "lower" => Worse::Lower,
            _ => Worse::Higher,
        };
        MetricGate {
            metric: self.metric.trim().to_owned(),
            worse,
            min_devices: number(&self.devices, &field("min_devices"), "Write a whole number of devices, for example 10.", wrong),
            effect_percent: percentage(&self.effect, &field("effect_percent"), "Write a percentage, for example 65.", wrong),
            min_shift: decimal(&self.shift, &field("min_shift"), "Write a number, for example 0.5, or leave it empty.", wrong),
            confidence_percent: percentage(&self.confidence, &field("confidence_percent"), "Write a percentage, for example 99.", wrong),
            too_few: word::<TooFew>(&self.too_few, &field("too_few"), "Choose ask or pass.", wrong),
        }
    }
}

/// Limits of steps in the making: minutes, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepsDraft {
    /// Fetching.
    pub downloading: String,
    /// Writing.
    pub installing: String,
    /// Starting.
    pub rebooting: String,
    /// Checking.
    pub verifying: String,
}

impl StepsDraft {
    pub(super) fn read(&mut self, key: &str, value: &str) -> bool {
        let text = match key {
            "steps.downloading_min" => &mut self.downloading,
            "steps.installing_min" => &mut self.installing,
            "steps.rebooting_min" => &mut self.rebooting,
            "steps.verifying_min" => &mut self.verifying,
            _ => return false,
        };
        value.clone_into(text);
        true
    }

    /// The inputs with their texts.
    pub fn pairs(&self) -> [(String, String); 4] {
        [
            ("steps.downloading_min", &self.downloading),
            ("steps.installing_min", &self.installing),
            ("steps.rebooting_min", &self.rebooting),
            ("steps.verifying_min", &self.verifying),
        ]
        .map(|(key, text)| (key.to_owned(), text.clone()))
    }

    pub(super) fn of(steps: &StepLimits) -> Self {
        Self {
            downloading: limit_text(steps.downloading_min),
            installing: limit_text(steps.installing_min),
            rebooting: limit_text(steps.rebooting_min),
            verifying: limit_text(steps.verifying_min),
        }
    }

    pub(super) fn limits(&self, wrong: &mut Vec<Problem>) -> StepLimits {
        let mut read =
            |text: &str, field: &str| optional(text, field, "Write a whole number of minutes, for example 30, or leave it empty.", wrong);
        StepLimits {
            downloading_min: read(&self.downloading, "steps.downloading_min"),
            installing_min: read(&self.installing, "steps.installing_min"),
            rebooting_min: read(&self.rebooting, "steps.rebooting_min"),
            verifying_min: read(&self.verifying, "steps.verifying_min"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_and_written_back() {
        let mut wrong = Vec::new();
        let mut draft = MetricDraft { metric: " cpu.load ".into(), worse: "lower".into(), shift: "0.5".into(), ..MetricDraft::empty() };
        let gate = draft.gate("stages.0.gate.metrics.0", &mut wrong);
        assert_eq!((gate.metric.as_str(), gate.worse, gate.min_devices, gate.min_shift), ("cpu.load", Worse::Lower, 10, Some(0.5)));
        assert_eq!(MetricDraft { metric: " cpu.load ".into(), ..MetricDraft::of(&gate) }, draft);
        assert_eq!(wrong, []);
        (draft.devices, draft.shift, draft.too_few) = ("some".into(), "a bit".into(), "hope".into());
        draft.gate("m", &mut wrong);
        assert_eq!(wrong.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["m.min_devices", "m.min_shift", "m.too_few"]);
    }

    #[test]
    fn limits_of_steps_are_numbers_or_nothing() {
        let mut wrong = Vec::new();
        let mut draft = StepsDraft::default();
        assert!(draft.read("steps.installing_min", "30") && !draft.read("steps.waiting_min", "1"));
        let limits = draft.limits(&mut wrong);
        assert_eq!((limits.installing_min, limits.downloading_min, StepsDraft::of(&limits) == draft), (Some(30), None, true));
        draft.verifying = "soon".into();
        draft.limits(&mut wrong);
        assert_eq!(wrong[0].field, "steps.verifying_min");
    }
}

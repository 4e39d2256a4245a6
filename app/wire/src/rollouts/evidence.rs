//! Evidence beside counts: metrics that a gate compares while a stage is watched, what it found, and how long a step of an update may take.

use crate::{Timestamp, states::words};
use serde::{Deserialize, Serialize};

use super::Call;

words! {
    /// Which way of a metric is worse.
    Worse {
        /// More of it: temperature, errors, restarts.
        Higher = "higher",
        /// Less of it: signal, free memory, throughput.
        Lower = "lower",
    }
    /// What follows when there are too few devices to compare.
    #[derive(Default)]
    TooFew {
        /// The stage waits for a person.
        #[default]
        Ask = "ask",
        /// The stage may pass without the comparison.
        Pass = "pass",
    }
}

/// A metric that must not be worse on a stage's updated devices than on devices that have not been updated yet, while the stage is watched.
///
/// It says no when the difference is beyond chance at the level of confidence, and at least as large as matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MetricGate {
    /// The metric, as devices send it.
    pub metric: String,
    /// Which way is worse.
    pub worse: Worse,
    /// Devices with samples that each of the two groups needs; 4 to 2,000.
    #[serde(default = "usual_devices")]
    pub min_devices: u32,
    /// The smallest effect that matters, in percent: how likely an updated device fares worse than one that is not, taken at random. 50 is no
    /// difference, 100 is every one worse than every other; 50 to 99, at most four decimals.
    #[serde(default = "usual_effect")]
    pub effect_percent: f64,
    /// The smallest shift that matters as well, in the metric's unit, over 0, at most four decimals; none for no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_shift: Option<f64>,
    /// How sure it has to be, in percent, over all looks of a watch together: a release that changes nothing is stopped by this metric at most
    /// in the rest of the cases. 80 to 99.99, at most four decimals.
    #[serde(default = "usual_confidence")]
    pub confidence_percent: f64,
    /// What follows when there are too few devices to compare at the last look.
    #[serde(default)]
    pub too_few: TooFew,
}

const fn usual_devices() -> u32 {
    10
}

const fn usual_effect() -> f64 {
    65.0
}

const fn usual_confidence() -> f64 {
    99.0
}

impl MetricGate {
    /// A metric with what is usual for the rest.
    pub const fn new(metric: String, worse: Worse) -> Self {
        Self {
            metric,
            worse,
            min_devices: usual_devices(),
            effect_percent: usual_effect(),
            min_shift: None,
            confidence_percent: usual_confidence(),
            too_few: TooFew::Ask,
        }
    }
}

/// How long an update may be in one step, however often its device reports; none for no limit of its own. Minutes, 1 to 10,080.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StepLimits {
    /// Fetching the release, also while the download waits for its turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloading_min: Option<u32>,
    /// Writing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installing_min: Option<u32>,
    /// Starting it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebooting_min: Option<u32>,
    /// Checking that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifying_min: Option<u32>,
}

impl StepLimits {
    /// Whether there is no limit at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The limits with the step's word, in the order of the steps.
    pub const fn each(&self) -> [(&'static str, Option<u32>); 4] {
        [
            ("downloading", self.downloading_min),
            ("installing", self.installing_min),
            ("rebooting", self.rebooting_min),
            ("verifying", self.verifying_min),
        ]
    }
}

/// What a look at a metric found, with the numbers it saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// Which look of the watch, from 1.
    pub look: u32,
    /// How many looks a watch has.
    pub looks: u32,
    /// When it looked.
    pub at: Timestamp,
    /// From when on samples count, up to the look.
    pub from: Timestamp,
    /// The metric.
    pub metric: String,
    /// Which way is worse.
    pub worse: Worse,
    /// `wait` for not enough to compare, `pass` for nothing that matters, `halt` for worse.
    pub call: Call,
    /// In words and numbers.
    pub text: String,
    /// Updated devices of the stage with samples.
    pub updated: i64,
    /// Devices that have not been updated, with samples.
    pub control: i64,
    /// How many each group needs.
    pub needed: i64,
    /// A group was larger than what is compared, and the same part of it is taken at each look.
    pub sampled: bool,
    /// The comparison; none when there were too few.
    pub compared: Option<Compared>,
    /// A person went on in spite of it: this metric is not held against the stage again.
    #[serde(default)]
    pub seen: bool,
}

/// Two groups compared: one figure a device, its mean over the time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Compared {
    /// The median of the updated devices.
    pub updated_median: f64,
    /// The median of those that are not.
    pub control_median: f64,
    /// How likely an updated device fares worse, in percent; an equal figure counts half.
    pub effect_percent: f64,
    /// The interval of that, at the plan's confidence.
    pub effect_low: f64,
    /// Its other end.
    pub effect_high: f64,
    /// How far the updated devices have shifted, in the metric's unit (Hodges and Lehmann).
    pub shift: f64,
    /// The interval of that, at the plan's confidence.
    pub shift_low: f64,
    /// Its other end.
    pub shift_high: f64,
    /// How often so large a difference or a larger one comes about by chance (Mann and Whitney, one side).
    pub p: f64,
    /// What this look needed that to be at most.
    pub level: f64,
    /// The confidence of the intervals, in percent.
    pub confidence_percent: f64,
    /// Counted over all ways to divide the devices, not approximated.
    pub exact: bool,
}

/// A value that was measured, to four digits.
pub fn figure(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let size = x.abs().log10().floor();
    if !(-4.0..9.0).contains(&size) {
        return format!("{x:.3e}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
    let digits = (3.0 - size).max(0.0) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A probability, never shown as certain.
pub fn probability(p: f64) -> String {
    if p < 0.0001 { "below 0.0001".to_owned() } else { figure(p) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_never_lie_about_zero() {
        assert_eq!(
            [0.0, 1.0, 0.12345, 1234.56, -20.5, 99_999.4, 1e-7, 2e12].map(figure),
            ["0", "1", "0.1235", "1235", "-20.5", "99999", "1.000e-7", "2.000e12"]
        );
        assert_eq!([0.5, 0.00125, 0.00001].map(probability), ["0.5", "0.00125", "below 0.0001"]);
    }
}

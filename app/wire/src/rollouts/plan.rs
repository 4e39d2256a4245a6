//! The plan, as people write it.

use super::{
    Budget, GateAction, MetricGate, Order, Rate, Retry, StepLimits,
    back::is_zero,
    when::{Urgency, Window},
};
use crate::{Timestamp, ids::ReleaseId};
use serde::{Deserialize, Deserializer, Serialize};

/// What a rollout should do: this, with the release's digest, is what an approver signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the plan that people write")]
pub struct RolloutSpec {
    /// What people call it, 1 to 100 characters.
    pub name: String,
    /// The release.
    pub release: ReleaseId,
    /// Who gets it, in the selector language; empty means every device of the release's type.
    #[serde(default)]
    pub selector: String,
    /// In which order; 1 to 50 stages. A device is in the first stage that takes it. The last stage is `percent: 100` and takes the rest, or names its
    /// own devices, and then what no stage takes is left out.
    #[serde(deserialize_with = "numbered")]
    pub stages: Vec<StageSpec>,
    /// Start then instead of at once after the approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Timestamp>,
    /// Minutes without a word after which an update counts as timed out, and for which a stage waits for devices that don't come; the last
    /// stage waits for at least 30 days. 1 to 10,080.
    #[serde(default = "default_timeout_min")]
    pub timeout_min: u32,
    /// Why, for the approver.
    #[serde(default)]
    pub reason: String,
    /// At most so many of its devices update at the same time, at least 1; none for no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// How many devices that belong together may update at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Somebody at each device agrees before it begins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm_at_device: bool,
    /// Bytes a second of all downloads of the rollout together, at least 10,000; none for no limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u64>,
    /// Devices that have used up their data budget get it as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_data_budget: bool,
    /// When devices may install; none for at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Whether devices may put it off.
    #[serde(default, skip_serializing_if = "Urgency::is_usual")]
    pub urgency: Urgency,
    /// Devices only fetch the release; an update has succeeded when that is done, and nothing is installed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub download_only: bool,
    /// Goes on while a freeze of the organization holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub during_freeze: bool,
    /// The way back: a published release of the same device type with a higher sequence, which is the last good firmware signed again. A gate with
    /// `roll_back`, or a person, sends it to the devices that run this release; none for no way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<ReleaseId>,
    /// What is offered again by itself to devices that did not make it; none for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Which of several rollouts a device gets first: the higher, and of the same the newer release. 0 to 9.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: u32,
    /// In which order devices come. A plan that is kept without one gets the organization's: spread over the attribute that it names, or over the first
    /// of `site`, `gateway` and `customer` that devices report. Where they report none, and in what was kept before there were orders, it is by lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// How many devices a minute may begin; none for no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The gate of the whole rollout, over all devices that have finished in any stage; none for none. It names no metrics: these are compared
    /// stage by stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateSpec>,
    /// How long an update may be in one step.
    #[serde(default, skip_serializing_if = "StepLimits::is_none")]
    pub steps: StepLimits,
}

impl RolloutSpec {
    /// A plan that says no more than this: every device of the release's type, at once after the approval.
    pub const fn new(name: String, release: ReleaseId, stages: Vec<StageSpec>) -> Self {
        Self {
            name,
            release,
            selector: String::new(),
            stages,
            start_at: None,
            timeout_min: default_timeout_min(),
            reason: String::new(),
            at_once: None,
            budget: None,
            confirm_at_device: false,
            bandwidth: None,
            ignore_data_budget: false,
            window: None,
            urgency: Urgency::Forced,
            download_only: false,
            during_freeze: false,
            way_back: None,
            retry: None,
            priority: 0,
            order: None,
            rate: None,
            gate: None,
            steps: StepLimits { downloading_min: None, installing_min: None, rebooting_min: None, verifying_min: None },
        }
    }
}

const fn default_timeout_min() -> u32 {
    60
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// What people call it, 1 to 100 characters; no two stages of a plan are called the same. Left out of a plan it is `Stage 1`, `Stage 2` and so on.
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub name: String,
    /// Up to where it reaches.
    pub reach: Reach,
    /// Seconds to watch after the last device finished; 0 to 2,592,000 (30 days).
    #[serde(default)]
    pub soak_s: u32,
    /// Wait for a person before the next stage.
    #[serde(default)]
    pub confirm: bool,
    /// What lets it pass and what stops it.
    #[serde(default)]
    pub gate: GateSpec,
}

impl StageSpec {
    /// What the stage of this number, from 1, is called unless somebody says otherwise.
    pub fn usual_name(number: usize) -> String {
        format!("Stage {number}")
    }
}

/// A stage as it is written, whose name may be left out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename = "StageSpec")]
pub struct WrittenStage {
    #[serde(default)]
    name: Option<String>,
    reach: Reach,
    #[serde(default)]
    soak_s: u32,
    #[serde(default)]
    confirm: bool,
    #[serde(default)]
    gate: GateSpec,
}

impl WrittenStage {
    /// The stage that it is as the one of this number, from 1.
    pub fn numbered(self, number: usize) -> StageSpec {
        let Self { name, reach, soak_s, confirm, gate } = self;
        StageSpec { name: name.unwrap_or_else(|| StageSpec::usual_name(number)), reach, soak_s, confirm, gate }
    }
}

fn numbered<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<StageSpec>, D::Error> {
    let written = Vec::<WrittenStage>::deserialize(from)?;
    Ok((1..).zip(written).map(|(number, stage)| stage.numbered(number)).collect())
}

/// How far a stage reaches. Percentages and numbers are cumulative, so they read as "up to".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Percent of all targeted devices, over 0 up to 100, at most four decimals; larger than the stage before.
    Percent(f64),
    /// A number of devices, in all stages so far.
    Count(u32),
    /// Those of the rollout's devices that also match this selector and are in no earlier stage.
    Matching(String),
}

/// The rule that promotes or halts a stage on evidence: rates over *finished* devices. What is left out is as in a stage without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GateSpec {
    /// The stage passes when at least this percent of its finished devices succeeded.
    pub success_percent: f64,
    /// The rollout halts when more than this percent of the stage's finished devices ended in an error …
    pub error_percent: f64,
    /// … and at least this many are finished.
    pub min_sample: u32,
    /// It halts at this many errors whatever the rate; 0 means no such cap.
    #[serde(default)]
    pub max_errors: u32,
    /// It halts when more devices than this could not install, whatever the rates; none for no limit of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failed: Option<u32>,
    /// It halts when more devices than this went back by themselves, whatever the rates; none for no limit of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_reverted: Option<u32>,
    /// The same for devices that fell silent in their update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_timed_out: Option<u32>,
    /// The same for devices that refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rejected: Option<u32>,
    /// The same for devices that succeeded and then went dark: not connected, and not heard of from 15 minutes after their success on. Counted at
    /// the end of the soak, which has to be 30 minutes at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_dark: Option<u32>,
    /// What it does when it says no.
    #[serde(default, skip_serializing_if = "GateAction::is_usual")]
    pub action: GateAction,
    /// Metrics that are compared with devices not updated yet while the stage is watched; at most 8. The watch has to be 10 minutes at least,
    /// and the last stage has none: nobody is left to compare with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricGate>,
}

impl GateSpec {
    /// What a stage has unless its plan says otherwise.
    pub const USUAL: Self = Self {
        success_percent: 95.0,
        error_percent: 5.0,
        min_sample: 3,
        max_errors: 0,
        max_failed: None,
        max_reverted: None,
        max_timed_out: None,
        max_rejected: None,
        max_dark: None,
        action: GateAction::Halt,
        metrics: Vec::new(),
    };
}

impl Default for GateSpec {
    fn default() -> Self {
        Self::USUAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_without_a_name_is_called_by_its_number_and_what_was_kept_is_read_as_it_is() {
        let read = |stages: &str| {
            let text = format!(r#"{{"name":"x","release":"rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2","stages":{stages}}}"#);
            serde_json::from_str::<RolloutSpec>(&text)
        };
        let names = |spec: RolloutSpec| spec.stages.into_iter().map(|stage| stage.name).collect::<Vec<_>>();
        let reach = r#""reach":{"percent":100}"#;
        let some = read(&format!(r#"[{{{reach}}},{{"name":"Rest",{reach}}},{{"soak_s":5,{reach}}}]"#)).unwrap();
        assert_eq!(some.stages[2].soak_s, 5);
        assert_eq!(names(some), ["Stage 1", "Rest", "Stage 3"]);
        let kept = read(&format!(r#"[{{"name":"",{reach}}},{{"name":"",{reach}}}]"#)).unwrap();
        assert_eq!(serde_json::from_str::<RolloutSpec>(&serde_json::to_string(&kept).unwrap()).unwrap(), kept);
        assert_eq!(names(kept), ["", ""]);
        assert!(read(&format!(r#"[{{"nme":"x",{reach}}}]"#)).unwrap_err().to_string().starts_with("unknown field `nme`"));
    }
}

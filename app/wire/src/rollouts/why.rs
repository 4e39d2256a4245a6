//! Why a device is, or is not, updating: the rules of the planner one by one, as they stand for this device.

use crate::{Timestamp, ids::RolloutId, states::words};
use serde::{Deserialize, Serialize};

words! {
    /// What follows for a device.
    Outlook {
        /// No rollout concerns it.
        Nothing = "nothing",
        /// Its update is under way.
        UnderWay = "under_way",
        /// It is offered the release within a moment.
        Now = "now",
        /// It is offered the release as soon as it asks.
        WhenItAsks = "when_it_asks",
        /// A rule keeps it back.
        Blocked = "blocked",
        /// It has had its turn and succeeded.
        Done = "done",
    }
    /// A rule, in the order in which they are asked.
    Rule {
        /// What it was told before has ended.
        LastWord = "last_word",
        /// It has not had its turn, or is tried again.
        OwnTurn = "own_turn",
        /// The selector means it.
        Selected = "selected",
        /// The release is for its type.
        DeviceType = "device_type",
        /// It is in the fleet.
        Active = "active",
        /// It is not pinned to what it runs.
        Pinned = "pinned",
        /// The release runs on its hardware.
        Hardware = "hardware",
        /// It runs something older.
        Older = "older",
        /// It runs what is taken back.
        TakenBack = "taken_back",
        /// It runs something new enough to be updated directly.
        Direct = "direct",
        /// Enough of the keys that it says it trusts have signed the release.
        Signed = "signed",
        /// The rollout goes out.
        GoesOut = "goes_out",
        /// The turn of its stage has come.
        Stage = "stage",
        /// Its window is open, and no freeze holds.
        Time = "time",
        /// The release can be fetched.
        Release = "release",
        /// There is room beside the devices that update at the same time.
        AtOnce = "at_once",
        /// It is below its data budget.
        DataBudget = "data_budget",
        /// Somebody agrees, where the plan asks for that.
        Agreed = "agreed",
        /// It asks, because it is connected or polls.
        Asks = "asks",
        /// It says how its update goes.
        Reports = "reports",
    }
    /// What a rule says of a device.
    Says {
        /// It does not keep it back.
        Met = "met",
        /// It keeps it back.
        Blocks = "blocks",
        /// The plan has no such rule.
        NoMatter = "no_matter",
        /// It is asked only once the rollout goes out.
        NotYet = "not_yet",
    }
}

/// A rule as it stands for a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reason {
    /// Which.
    pub rule: Rule,
    /// What it says.
    pub says: Says,
    /// What it looked at, in words; of one that keeps the device back, why.
    pub fact: String,
    /// When it is looked at again, in words; empty where nothing changes that.
    pub again: String,
    /// The same as an instant, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_at: Option<Timestamp>,
}

/// A rollout as it stands for a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WhyRollout {
    /// Its id.
    pub id: RolloutId,
    /// Its name.
    pub name: String,
    /// The version it brings.
    pub version: String,
    /// What follows from the rules.
    pub outlook: Outlook,
    /// The rules, in their order; the first that blocks is the reason.
    pub rules: Vec<Reason>,
    /// Whether the caller may confirm it here, because its plan asks for somebody and this device does not.
    #[serde(default)]
    pub may_confirm: bool,
    /// Whether the caller may cancel the device's update by it: one that is under way and that the device has not begun to install, or one that ended and
    /// waits to be tried again by itself.
    #[serde(default)]
    pub may_cancel: bool,
}

impl WhyRollout {
    /// The rule that keeps the device back; none when none does.
    pub fn blocker(&self) -> Option<&Reason> {
        self.rules.iter().find(|r| r.says == Says::Blocks)
    }
}

/// Why a device is, or is not, updating.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Why {
    /// What follows.
    pub outlook: Outlook,
    /// The answer in a sentence or two; empty when no rollout concerns the device.
    pub answer: String,
    /// The rollouts that concern it; the answer is about the first.
    pub rollouts: Vec<WhyRollout>,
}

impl Default for Why {
    fn default() -> Self {
        Self { outlook: Outlook::Nothing, answer: String::new(), rollouts: Vec::new() }
    }
}

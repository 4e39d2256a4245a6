//! The overview: the fleet at a glance.

use crate::{
    Timestamp,
    ids::{DeviceId, RolloutId},
    rollouts::RolloutRow,
};
use serde::{Deserialize, Serialize};

/// Counts of the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FleetCounts {
    /// Devices that are active.
    pub devices: i64,
    /// Of these, connected now.
    pub online: i64,
    /// Devices with an update under way.
    pub updating: i64,
    /// Devices whose last update ended in an error.
    pub failed: i64,
    /// Active certificates that end within 30 days.
    pub expiring: i64,
}

/// All the overview shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverviewPage {
    /// The counts.
    pub counts: FleetCounts,
    /// Rollouts that run, wait or were halted; at most 8.
    pub rollouts: Vec<RolloutRow>,
    /// What needs a person; at most 8, worst first.
    pub attention: Vec<Attention>,
    /// How many devices run each version, most first; at most 8.
    pub versions: Vec<VersionShare>,
    /// Whether the caller may draft a rollout.
    pub may_draft: bool,
    /// When this was read.
    pub at: Timestamp,
}

/// One thing that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// What kind of thing.
    pub kind: AttentionKind,
    /// In words.
    pub text: String,
    /// Where to go, a path of the console.
    pub href: String,
    /// Since when.
    pub since: Timestamp,
    /// The device, where it is about one.
    pub device: Option<DeviceId>,
    /// The rollout, where it is about one.
    pub rollout: Option<RolloutId>,
}

/// Kinds of things that need a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionKind {
    /// A rollout was halted by a gate.
    Halted,
    /// A rollout waits for approval.
    Approval,
    /// A rollout was started without approval, and that is to be reviewed.
    GlassBroken,
    /// A device's update failed or was reverted.
    UpdateFailed,
    /// A device is offline for long.
    Offline,
    /// Somebody else may hold a device's key.
    PossibleClone,
    /// An authority has signed what was never issued here: its key is stolen, or the database was set back.
    NeverIssued,
    /// A certificate ends soon.
    Expiring,
    /// An upload was quarantined.
    Quarantined,
    /// A release's file is damaged in the store.
    Damaged,
    /// The server's clock has jumped, and nothing is issued.
    ClockJump,
    /// The key set that devices follow ends soon or has ended.
    KeySetEnds,
    /// The list of revoked certificates of a registered authority could not be fetched.
    ListNotFetched,
    /// An authority that issues has to be followed by another one.
    AuthorityEnds,
}

/// How many devices of a type run a version: the same version of two types is two firmwares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionShare {
    /// Their type.
    pub device_type: String,
    /// The version; empty when a device never said.
    pub version: String,
    /// How many.
    pub devices: i64,
}

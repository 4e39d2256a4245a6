//! The overview: the fleet at a glance.

use crate::{
    Timestamp,
    consents::Deed,
    ids::{AuthorityId, DeviceId, ReleaseId, RolloutId},
    pki::{ClockJump, SignerLost},
    releases::Damage,
    rollouts::RolloutRow,
    states::UpdateState,
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
    /// How many devices were connected 24 hours ago, and then every hour until now; empty where that is not known.
    #[serde(default)]
    pub connected: Vec<i64>,
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

/// One thing that needs a person: the facts; the console has the words and the ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// What it is.
    pub matter: Matter,
    /// Since when.
    pub since: Timestamp,
}

/// What needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    /// The server's clock has jumped, and nothing is issued.
    ClockJump {
        /// By how much.
        jump: ClockJump,
    },
    /// Authorities' keys are out of reach.
    SignerLost(SignerLost),
    /// An authority has signed what was never issued here: its key is stolen, or the database was set back.
    NeverIssued {
        /// Which.
        authority: AuthorityId,
        /// Its subject.
        subject: String,
        /// What was seen, in words.
        sign: String,
    },
    /// Devices have been cut off since their authority was given up.
    CutOff {
        /// Which.
        authority: AuthorityId,
        /// Its name.
        name: String,
        /// Active devices that have a certificate of it and none that is believed.
        devices: i64,
    },
    /// The key set that devices follow ends soon or has ended.
    KeySetEnds {
        /// Its version.
        version: u64,
        /// When it ends.
        end: Timestamp,
    },
    /// The list of revoked certificates of a registered authority could not be fetched, or is awaited.
    ListNotFetched {
        /// Which.
        authority: AuthorityId,
        /// What is wrong, in words.
        warning: String,
    },
    /// An authority that issues, or the root, has to be followed by another one.
    AuthorityEnds {
        /// Which.
        authority: AuthorityId,
        /// Its name.
        name: String,
        /// When it ends.
        ends: Timestamp,
        /// Whether it is the root: nothing that is issued below it outlives it.
        root: bool,
        /// Whether the next one is there and waits to be activated.
        staged: bool,
    },
    /// The list of revoked certificates of an authority that issues is so long that the next one ought to issue.
    ListLong {
        /// Which.
        authority: AuthorityId,
        /// Its name.
        name: String,
        /// How many certificates are on it.
        entries: i64,
        /// Whether the next one is there and waits to be activated.
        staged: bool,
    },
    /// A rollout was started without approval, and that is to be reviewed.
    GlassBroken {
        /// Which.
        rollout: RolloutId,
        /// Its name.
        name: String,
        /// Who started it.
        by: String,
        /// Whether the time for its review is over.
        overdue: bool,
    },
    /// Somebody asks for a second person.
    ConsentAsked {
        /// Who.
        by: String,
        /// For what.
        deed: Deed,
    },
    /// A rollout was halted by a gate.
    Halted {
        /// Which.
        rollout: RolloutId,
        /// Its name.
        name: String,
        /// Why, in words.
        summary: String,
    },
    /// A rollout waits for approval.
    WaitsForApproval {
        /// Which.
        rollout: RolloutId,
        /// Its name.
        name: String,
    },
    /// Devices run a release that was recalled.
    RecalledRuns {
        /// The release.
        release: ReleaseId,
        /// For which type of devices it is.
        device_type: String,
        /// Its version.
        version: String,
        /// How many run it.
        devices: i64,
    },
    /// An enrolment token that is used up was tried again from somewhere else.
    TokenReused {
        /// What it was for.
        label: String,
        /// From where.
        from: String,
    },
    /// Somebody else may hold a device's key.
    PossibleClone {
        /// Which.
        device: DeviceId,
        /// What was seen, in words.
        sign: String,
    },
    /// A release's file is damaged in the store.
    Damaged {
        /// The release.
        release: ReleaseId,
        /// For which type of devices it is.
        device_type: String,
        /// Its version.
        version: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        damage: Damage,
    },
    /// An upload was quarantined.
    Quarantined {
        /// The release.
        release: ReleaseId,
        /// Why, in words.
        reason: String,
    },
    /// A device's update failed or was reverted.
    UpdateFailed {
        /// Which.
        device: DeviceId,
        /// How it ended.
        state: UpdateState,
    },
    /// A device has been silent for long.
    Silent {
        /// Which.
        device: DeviceId,
    },
}

impl Matter {
    /// The device, where it is about one.
    pub const fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::PossibleClone { device, .. } | Self::UpdateFailed { device, .. } | Self::Silent { device } => Some(device),
            _ => None,
        }
    }
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
    /// Whether the release of this version was recalled.
    #[serde(default)]
    pub recalled: bool,
}

//! Where a release is: which devices run it, which are to get it, and what the others of its type run.

use super::ReleaseDetail;
use crate::ids::ReleaseId;
use serde::{Deserialize, Serialize};

/// Most versions that are told one by one.
pub const MOST_VERSIONS: usize = 12;

/// The devices of a release's type by what they run. Of a large fleet the counts may be up to two minutes old.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseInstalls {
    /// Devices of its type that are in the fleet.
    pub devices: i64,
    /// How many of them run it.
    pub running: i64,
    /// How many are to get it: those that wait or are just updating in rollouts of it that are under way; none once it was recalled.
    pub assigned: i64,
    /// How many run each version, most first; at most 12, and its own among them where a device runs it.
    pub versions: Vec<VersionInstalls>,
    /// Devices that run a version that is not listed.
    pub others: i64,
}

/// How many devices run a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionInstalls {
    /// The version; empty where devices have not said what they run.
    pub version: String,
    /// How many.
    pub devices: i64,
    /// The release of this version, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
}

/// All a release's page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleasePage {
    /// The release.
    pub release: ReleaseDetail,
    /// Where it is; none of a draft, which nobody was ever given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installs: Option<ReleaseInstalls>,
}

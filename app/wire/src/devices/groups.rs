//! Groups of devices as lists and pages show them.

use super::{DeviceRow, SelectorError};
use crate::{
    Timestamp,
    ids::{DeviceId, GroupId},
    page::Page,
    rollouts::RolloutLink,
};
use serde::{Deserialize, Serialize};

/// Devices that people have put together by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceGroup {
    /// Its id, which stays when it is renamed.
    pub id: GroupId,
    /// Its name, as selectors ask for it: `group:NAME`.
    pub name: String,
    /// How many devices are in it.
    pub devices: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Rollouts that have not ended and whose selector names it.
    #[serde(default)]
    pub used_by: Vec<RolloutLink>,
}

/// The groups, and what the caller may do with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsPage {
    /// By their names; at most 200.
    pub groups: Vec<DeviceGroup>,
    /// Whether the caller may make, fill and delete groups.
    pub may_edit: bool,
    /// When this was read.
    pub at: Timestamp,
}

/// A group with the first of its devices, and what a selector would put into it or take out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupPage {
    /// The group.
    pub group: DeviceGroup,
    /// A page of its devices.
    pub devices: Page<DeviceRow>,
    /// How many devices the selector means that was asked about; none where none was.
    pub meant: Option<i64>,
    /// What is wrong with it, if something is.
    pub selector_error: Option<SelectorError>,
    /// Whether the caller may change the group.
    pub may_edit: bool,
}

/// What a group should be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewDeviceGroup {
    /// 1 to 100 characters, without `*`.
    pub name: String,
}

/// Which devices go into a group, or out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GroupMany {
    /// The selector; empty means every device that is not decommissioned.
    #[serde(default)]
    pub q: String,
    /// These devices instead of a selector, at most 10,000.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
    /// Out of it instead of into it.
    #[serde(default)]
    pub out: bool,
    /// How many devices the selector means, at most 10,000; another number by now is a conflict. Not asked of devices that are named.
    #[serde(default)]
    pub expected: i64,
}

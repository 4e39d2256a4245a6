//! What the device list can be filtered by, counted.

use serde::{Deserialize, Serialize};

/// A value that devices can be filtered by, and how many of the fleet have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacetCount {
    /// The value.
    pub value: String,
    /// Devices; decommissioned ones are not counted.
    pub devices: i64,
}

/// What the device list can be filtered by, with how many devices of the whole fleet each value means. Counted a minute ago at most, or two where counting
/// takes long. At most a hundred values each, of which most devices have one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceFacets {
    /// `online:`, `yes` and `no`.
    pub online: Vec<FacetCount>,
    /// `state:`
    pub states: Vec<FacetCount>,
    /// `type:`
    pub types: Vec<FacetCount>,
    /// `version:`
    pub versions: Vec<FacetCount>,
    /// `tag:`
    pub tags: Vec<FacetCount>,
    /// `group:`
    pub groups: Vec<FacetCount>,
}

impl DeviceFacets {
    /// How many devices have the value of a selector's key; none where it is not known.
    pub fn count(&self, key: &str, value: &str) -> Option<i64> {
        let of = match key {
            "online" => &self.online,
            "state" => &self.states,
            "type" => &self.types,
            "version" => &self.versions,
            "tag" => &self.tags,
            "group" => &self.groups,
            _ => return None,
        };
        of.iter().find(|count| count.value == value).map(|count| count.devices)
    }
}

//! Views of the device list that a person has saved: a filter, an order and the columns that are shown.

use crate::devices::DeviceSort;
use serde::{Deserialize, Serialize};

/// Most characters of a view's name.
pub const MAX_VIEW_NAME: u32 = 100;
/// Most views of a person.
pub const MAX_VIEWS: usize = 50;
/// The word for no column beside the device's name.
const NONE: &str = "none";

crate::states::words! {
    /// A column of the device list, beside the device's name, which is always there; in the order in which they stand.
    DeviceColumn {
        /// Presence and standing.
        Status = "status",
        /// The version it runs.
        Version = "version",
        /// Its type.
        Type = "type",
        /// Its hardware revision.
        Hardware = "hw",
        /// The state of its newest update.
        Update = "update",
        /// When it was last heard of.
        LastSeen = "last_seen",
        /// Operator's tags.
        Tags = "tags",
    }
}

impl DeviceColumn {
    /// All of them: what is shown when nothing was chosen.
    pub fn all() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    /// The columns that a text names, separated by commas, in the order in which they stand; all of them when it names none that there is.
    pub fn listed(text: &str) -> Vec<Self> {
        if text == NONE {
            return Vec::new();
        }
        let named: Vec<Self> = Self::ALL.iter().copied().filter(|column| text.split(',').any(|word| word == column.as_str())).collect();
        if named.is_empty() { Self::all() } else { named }
    }

    /// The text that names these columns; empty for all of them.
    pub fn text(columns: &[Self]) -> String {
        let named: Vec<&str> = Self::ALL.iter().filter(|column| columns.contains(column)).map(|column| column.as_str()).collect();
        match named.len() {
            0 => NONE.to_owned(),
            n if n == Self::ALL.len() => String::new(),
            _ => named.join(","),
        }
    }
}

/// A view of the device list that a person has saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SavedView {
    /// Its name; a person has one of a name.
    pub name: String,
    /// The selector; empty means every device.
    pub q: String,
    /// `device_id`, `last_seen` or `version`; `-` in front reverses.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub sort: DeviceSort,
    /// The columns that are shown beside the device's name.
    pub columns: Vec<DeviceColumn>,
}

/// What a view should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSavedView {
    /// The selector; empty means every device.
    pub q: String,
    /// `device_id`, `last_seen` or `version`; `-` in front reverses.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub sort: DeviceSort,
    /// The columns that are shown beside the device's name; all of them unless given.
    #[serde(default = "DeviceColumn::all")]
    pub columns: Vec<DeviceColumn>,
}

#[cfg(test)]
mod tests {
    use super::DeviceColumn as C;

    #[test]
    fn columns_and_their_text_are_each_others_inverse() {
        assert_eq!((C::text(&C::all()), C::text(&[])), (String::new(), "none".to_owned()));
        assert_eq!(C::text(&[C::Tags, C::Status]), "status,tags");
        for text in ["", "none", "status", "version,hw,last_seen"] {
            assert_eq!(C::text(&C::listed(text)), text);
        }
        assert_eq!(C::listed("nonsense"), C::all(), "an address that says nothing known shows everything");
        assert_eq!(C::listed("tags,nonsense,status"), [C::Status, C::Tags]);
    }
}

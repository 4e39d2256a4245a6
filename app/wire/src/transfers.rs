//! How many bytes of files go to devices, and how fast.

use crate::{Timestamp, device::MAX_ATTRIBUTE};
use serde::{Deserialize, Serialize};

/// The least bandwidth that can be set, in bytes a second: less, and clients take the server for dead.
pub const LEAST_BANDWIDTH: u64 = 10_000;
/// The most, which is as good as no limit.
pub const MOST_BANDWIDTH: u64 = 1_000_000_000_000;
/// The most MB of a device's budget.
pub const MOST_BUDGET_MB: u32 = 10_000_000;

/// What an organization allows. A limit that is absent is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TransferLimits {
    /// Bytes a second of all downloads together, at least 10,000; of each server where there are several.
    #[serde(default)]
    pub bandwidth: Option<u64>,
    /// The attribute whose value says at which site a device is, as devices report it; empty when sites don't matter.
    #[serde(default)]
    pub site_attribute: String,
    /// Bytes a second of all downloads to one site, at least 10,000.
    #[serde(default)]
    pub site_bandwidth: Option<u64>,
    /// MB (1,000,000 bytes) of files that a device may be sent in 30 days; beyond, it is offered nothing, unless a plan says otherwise.
    #[serde(default)]
    pub data_budget_mb: Option<u32>,
}

impl TransferLimits {
    /// The first thing that is wrong: a field, and what to do about it.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        let wrong = |of: Option<u64>| of.is_some_and(|n| !(LEAST_BANDWIDTH..=MOST_BANDWIDTH).contains(&n));
        let name = self.site_attribute.trim();
        if wrong(self.bandwidth) {
            return Some(("bandwidth", "Choose at least 10,000 bytes a second, or no limit."));
        }
        if wrong(self.site_bandwidth) {
            return Some(("site_bandwidth", "Choose at least 10,000 bytes a second, or no limit."));
        }
        if self.site_bandwidth.is_some() && name.is_empty() {
            return Some(("site_attribute", "Name the attribute whose value says at which site a device is, or set no limit for sites."));
        }
        if name.len() > MAX_ATTRIBUTE || name.chars().any(char::is_control) {
            return Some(("site_attribute", "No device has an attribute of this name. Use at most 256 bytes, and no control characters."));
        }
        if self.data_budget_mb.is_some_and(|mb| !(1..=MOST_BUDGET_MB).contains(&mb)) {
            return Some(("data_budget_mb", "Choose from 1 to 10,000,000 MB, or no budget."));
        }
        None
    }
}

/// The limits as the firmware page shows them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TransfersPage {
    /// What is allowed.
    pub limits: TransferLimits,
    /// Whether the caller may change it.
    pub may_edit: bool,
}

/// What a device was sent lately.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DataUse {
    /// Bytes of files in the last 30 days.
    pub bytes: i64,
    /// Bytes that it may be sent in that time; absent when there is no budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<i64>,
    /// When it is below its budget again; absent while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_told_at_its_field() {
        let fine = TransferLimits {
            bandwidth: Some(LEAST_BANDWIDTH),
            site_attribute: "site".into(),
            site_bandwidth: Some(50_000),
            data_budget_mb: Some(200),
        };
        assert_eq!((fine.problem(), TransferLimits::default().problem()), (None, None));
        for (wrong, field) in [
            (TransferLimits { bandwidth: Some(9_999), ..fine.clone() }, "bandwidth"),
            (TransferLimits { site_bandwidth: Some(u64::MAX), ..fine.clone() }, "site_bandwidth"),
            (TransferLimits { site_attribute: " ".into(), ..fine.clone() }, "site_attribute"),
            (TransferLimits { site_attribute: "a\nb".into(), ..fine.clone() }, "site_attribute"),
            (TransferLimits { data_budget_mb: Some(0), ..fine }, "data_budget_mb"),
        ] {
            assert_eq!(wrong.problem().map(|p| p.0), Some(field));
        }
    }
}

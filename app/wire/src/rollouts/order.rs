//! In which order a plan's devices come, how fast, and how much of what belongs together at once.

use crate::ids::DeviceId;
use serde::{Deserialize, Serialize};

/// The attribute that names a device's site.
pub const SITE: &str = "site";
/// The attribute that names the gateway a device is behind.
pub const GATEWAY: &str = "gateway";
/// The attribute that names the customer whose device it is.
pub const CUSTOMER: &str = "customer";
/// What devices are spread over where their organization does not say what it calls a site: the first of these that some device reports.
pub const APART: [&str; 3] = [SITE, GATEWAY, CUSTOMER];

/// In which order devices come. Each order is the same on every instance and whenever it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By lot.
    Random,
    /// By lot, and spread over the values of this attribute: of each value every stage takes the same share, to within one device. Devices without the
    /// attribute count as one value.
    Spread(String),
    /// These first, as they are listed, then all others by lot. 1 to 1,000, each once.
    Listed(Vec<DeviceId>),
}

/// How much of what belongs together may be disturbed at once: devices with the same value of an attribute, for example of one site. Updates of
/// other rollouts count as well. A device that does not have the attribute belongs to nothing and is not limited. One of the two limits is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The attribute, as devices report it; at most 256 bytes.
    pub attribute: String,
    /// So many devices with the same value, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
    /// So many percent of the active devices with the same value, rounded down, but always one; over 0 up to 100, at most four decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_percent: Option<f64>,
}

/// How many devices a minute may begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// At most so many offers within any minute, 1 to 100,000.
    pub per_minute: u32,
    /// How it grows while devices succeed; none for a rate that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
}

/// How a rate grows: by a factor, each time that so many more devices have succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// Over 1, up to 10, at most four decimals.
    pub factor: f64,
    /// Devices that have to succeed for each step, at least 1.
    pub successes: u32,
    /// It stays here, however many succeed; above the rate that it begins with, up to 100,000.
    pub at_most: u32,
}

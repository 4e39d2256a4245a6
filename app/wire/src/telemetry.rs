//! Measured values as charts and tables show them.

use crate::{Timestamp, ids::DeviceId};
use serde::{Deserialize, Serialize};

/// The newest value of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LatestValue {
    /// The metric.
    pub metric: String,
    /// When.
    pub at: Timestamp,
    /// How much.
    pub value: f64,
}

/// A metric that devices report, as forms suggest it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownMetric {
    /// Its name.
    pub name: String,
    /// When one of them sent it last, and what; none where that is not known any more.
    pub last: Option<(Timestamp, f64)>,
}

/// What history to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Whose.
    pub device_id: DeviceId,
    /// Which metrics; empty means all.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// From, inclusive.
    pub from: Timestamp,
    /// To, exclusive.
    pub to: Timestamp,
    /// At most so many points a series, 10 to 2,000; more are decimated on the server to the least and greatest value of each interval.
    pub points: u32,
}

/// History of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct History {
    /// One entry a metric, by name.
    pub series: Vec<Series>,
    /// Whether points were left out by decimation.
    pub decimated: bool,
}

/// Points of one metric, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Series {
    /// The metric.
    pub metric: String,
    /// Unix milliseconds.
    pub t: Vec<i64>,
    /// Values, as many as `t`.
    pub v: Vec<f64>,
}

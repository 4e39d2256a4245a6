//! The live protocol between browser and server: JSON text frames on the operator listener's `/live`.
//!
//! One websocket a tab. The browser subscribes to topics; each topic has its own sequence numbers within the server's `epoch` (one server run).
//! After a cut the browser subscribes again with the last number it saw: if the server still holds what followed, it resumes; otherwise it gets
//! a snapshot. A slow browser never delays anybody: its queue coalesces to the newest value per series and says so with `lagged`.

use crate::{
    Timestamp,
    ids::{DeviceId, RolloutId},
    overview::FleetCounts,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Seconds between the server's beats; no frame for two of them means the page is stale.
pub const BEAT_S: u32 = 5;

/// What can be subscribed to. Written `fleet`, `devices`, `rollouts`, `releases`, `device/{device_id}`, `rollout/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Topic {
    /// The counts of the overview, at most once a second.
    Fleet,
    /// Something in the device list changed; at most once a second.
    Devices,
    /// Something in the list of rollouts or approvals changed.
    Rollouts,
    /// Something in the list of releases changed.
    Releases,
    /// One device: its presence and its samples.
    Device(DeviceId),
    /// One rollout: something in it changed; at most twice a second.
    Rollout(RolloutId),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("fleet"),
            Self::Devices => f.write_str("devices"),
            Self::Rollouts => f.write_str("rollouts"),
            Self::Releases => f.write_str("releases"),
            Self::Device(id) => write!(f, "device/{id}"),
            Self::Rollout(id) => write!(f, "rollout/{id}"),
        }
    }
}

/// A text that names no topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a topic: {0:?}")]
pub struct UnknownTopic(pub String);

impl FromStr for Topic {
    type Err = UnknownTopic;
    fn from_str(s: &str) -> Result<Self, UnknownTopic> {
        let unknown = || UnknownTopic(s.to_owned());
        Ok(match s.split_once('/') {
            None => match s {
                "fleet" => Self::Fleet,
                "devices" => Self::Devices,
                "rollouts" => Self::Rollouts,
                "releases" => Self::Releases,
                _ => return Err(unknown()),
            },
            Some(("device", id)) => Self::Device(id.parse().map_err(|_| unknown())?),
            Some(("rollout", id)) => Self::Rollout(id.parse().map_err(|_| unknown())?),
            Some(_) => return Err(unknown()),
        })
    }
}
impl TryFrom<String> for Topic {
    type Error = UnknownTopic;
    fn try_from(s: String) -> Result<Self, UnknownTopic> {
        s.parse()
    }
}
impl From<Topic> for String {
    fn from(t: Topic) -> Self {
        t.to_string()
    }
}

/// What the browser sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Ask {
    /// Begin, or resume after `from`.
    Subscribe {
        /// The topic.
        topic: Topic,
        /// Where it left off.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Position>,
    },
    /// End.
    Unsubscribe {
        /// The topic.
        topic: Topic,
    },
}

/// A place in a topic's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The server run.
    pub epoch: u64,
    /// The last sequence number seen.
    pub seq: u64,
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tell {
    /// First frame.
    Hello {
        /// This server run.
        epoch: u64,
        /// Server time.
        time: Timestamp,
    },
    /// Everything as of `seq`; follows a subscription that can't be resumed.
    Snapshot {
        /// The topic.
        topic: Topic,
        /// Sequence number of the state.
        seq: u64,
        /// The state.
        data: Data,
    },
    /// What changed with `seq`.
    Delta {
        /// The topic.
        topic: Topic,
        /// Sequence number; numbers left out were coalesced into this one.
        seq: u64,
        /// The change.
        data: Data,
    },
    /// So many deltas were folded because this browser was slow.
    Lagged {
        /// The topic.
        topic: Topic,
        /// How many.
        skipped: u64,
    },
    /// The subscription was refused: no such thing, or not allowed.
    Refused {
        /// The topic.
        topic: Topic,
    },
    /// The server lives.
    Beat {
        /// Server time.
        time: Timestamp,
    },
}

/// A topic's state or change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Data {
    /// Of [`Topic::Fleet`].
    Counts(FleetCounts),
    /// Of the list and rollout topics: read it again. A snapshot of those topics is this, too.
    Changed,
    /// Of [`Topic::Device`].
    Device(DeviceLive),
}

/// A device as it lives: in a snapshot the latest value of each series, in a delta the new points.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeviceLive {
    /// Whether it is connected, where that is news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// New points, by metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<MetricPoints>,
    /// When this left the server, to show the lag.
    pub at: Timestamp,
}

/// Points of one metric, oldest first: Unix milliseconds and value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricPoints {
    /// The metric.
    pub metric: String,
    /// The points.
    pub points: Vec<(i64, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_print_and_parse() {
        for s in ["fleet", "devices", "rollouts", "releases", "device/gw-1", "rollout/rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2"] {
            assert_eq!(s.parse::<Topic>().unwrap().to_string(), s);
        }
        for s in ["", "device", "device/", "device/../x", "rollout/1", "fleet/1"] {
            assert!(s.parse::<Topic>().is_err(), "{s}");
        }
    }
}

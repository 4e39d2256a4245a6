//! What happened to a device: what people did to it, when it came and went, and how its updates went, in one order.

use crate::{Timestamp, access::AuditEntry, ids::RolloutId, states::UpdateState};
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// What of a device's activity is asked for.
    #[derive(Default)]
    ActivityKind {
        /// All of it.
        #[default]
        All = "all",
        /// Entries of the audit log.
        Deeds = "deeds",
        /// Its connections.
        Connections = "connections",
        /// Its updates.
        Updates = "updates",
    }
}

/// A page of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ActivityQuery {
    /// What of it.
    #[serde(default)]
    pub show: ActivityKind,
    /// Only what was before this instant, Unix milliseconds; none for the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// An entry of the audit log about the device or one of its certificates.
    Deed(AuditEntry),
    /// It connected.
    Connected {
        /// When.
        at: Timestamp,
        /// From where.
        address: String,
    },
    /// Its connection ended.
    Disconnected {
        /// When.
        at: Timestamp,
        /// Since when it had been connected.
        since: Timestamp,
        /// From where.
        address: String,
        /// Why; empty when nobody knows.
        reason: String,
    },
    /// An update was offered to it.
    Offered {
        /// When.
        at: Timestamp,
        /// The rollout.
        rollout: RolloutId,
        /// Its name.
        name: String,
        /// To which version.
        version: String,
    },
    /// An update ended, well or not.
    Ended {
        /// When.
        at: Timestamp,
        /// The rollout.
        rollout: RolloutId,
        /// Its name.
        name: String,
        /// To which version.
        version: String,
        /// How.
        state: UpdateState,
        /// What the device said.
        detail: String,
    },
}

impl Happening {
    /// When.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Deed(entry) => entry.at,
            Self::Connected { at, .. } | Self::Disconnected { at, .. } | Self::Offered { at, .. } | Self::Ended { at, .. } => *at,
        }
    }
}

/// A page of what happened to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityPage {
    /// Newest first.
    pub items: Vec<Happening>,
    /// The page after this one is what was before this instant; none on the last.
    pub next: Option<Timestamp>,
    /// Whether the caller may read the audit log; entries of it are left out otherwise.
    pub may_audit: bool,
}

//! The devices of a rollout as lists show them, and how lists are asked for.

use super::Show;
use crate::{
    Timestamp,
    ids::{DeviceId, UpdateId},
    states::UpdateState,
    updates::UpdateFailure,
};
use serde::{Deserialize, Serialize};

/// Most devices that are looked at to put a list into another order than that in which they joined the fleet.
pub const MOST_SORTED: usize = 2000;

crate::states::words! {
    /// Orders of the devices of a rollout.
    #[derive(Default)]
    UpdateSort {
        /// As they joined the fleet. However many there are.
        #[default]
        Joined = "joined",
        /// By their ids. This order and those below are of lists for which at most 2,000 devices have to be looked at, in whichever stage they are: those of a small
        /// fleet, those that fare alike or ended alike in a rollout to as many, those that ended badly where they are as many, and those of a search for a few.
        Device = "device",
        /// The same from the end.
        DeviceDesc = "-device",
        /// By how far they are: in the order of an update's life, then how it ended.
        State = "state",
        /// The same from the end.
        StateDesc = "-state",
        /// By the version that they ran before, the oldest in front.
        Version = "version",
        /// The same, the newest in front.
        VersionDesc = "-version",
        /// What changed first in front; who waits has not changed yet.
        Changed = "changed",
        /// What changed last in front.
        ChangedDesc = "-changed",
    }
}

impl UpdateSort {
    /// Whether it is from the end.
    pub const fn descends(self) -> bool {
        matches!(self.as_str().as_bytes(), [b'-', ..])
    }
}

/// A device of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateRow {
    /// The update; none while it has not been offered.
    pub id: Option<UpdateId>,
    /// The device.
    pub device_id: DeviceId,
    /// Its stage, from 1.
    pub stage: u32,
    /// Where it is.
    pub state: UpdateState,
    /// Percent of the current step.
    pub progress: Option<i64>,
    /// From which version.
    pub from_version: String,
    /// How often it was tried.
    pub attempts: i64,
    /// A word for programs, why it ended as it did; empty when there is none.
    pub code: String,
    /// A line for people.
    pub detail: String,
    /// Whether its channel is open.
    pub online: bool,
    /// When it was offered; none when it was not.
    pub offered_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Which devices of a rollout to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpdateQuery {
    /// Only this stage, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<u32>,
    /// Only these.
    #[serde(default)]
    pub show: Show,
    /// Only those whose update ended like this; `show` does not count then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<UpdateFailure>,
    /// A selector, as the list of devices has it; empty means all.
    #[serde(default)]
    pub q: String,
    /// Their order.
    #[serde(default)]
    pub sort: UpdateSort,
    /// Cursor of the page before, in the same order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows of a page, at most [`crate::page::MAX_ROWS`]; [`crate::page::DEFAULT_ROWS`] unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
}

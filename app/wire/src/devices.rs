//! Devices as lists and pages show them.

mod groups;

pub use groups::{DeviceGroup, GroupMany, GroupPage, GroupsPage, NewDeviceGroup};

use crate::{
    Timestamp,
    enrolment::TargetToken,
    facets::DeviceFacets,
    ids::DeviceId,
    page::Page,
    pki::CertificateRow,
    rollouts::Why,
    slots::DeviceSlot,
    states::{DeviceState, DeviceStep, UpdateState},
    telemetry::LatestValue,
    transfers::DataUse,
    updates::{DeviceUpdate, Pin},
    views::SavedView,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A device without a channel that was heard of within so many milliseconds (a day) is stale; later it is offline.
pub const PRESENT_MS: i64 = 24 * 3_600_000;

crate::states::words! {
    /// Whether a device is there.
    Presence {
        /// Connected.
        Online = "online",
        /// Not connected, and heard of within a day: devices that only poll are never more.
        Stale = "stale",
        /// Not heard of for a day, or never.
        Offline = "offline",
    }
    /// How a device's certificate stands.
    CertificateStanding {
        /// Good for more than 30 days.
        Valid = "valid",
        /// Good, and ends within 30 days.
        Expiring = "expiring",
        /// It would be good, but its authority is not believed any more.
        Untrusted = "untrusted",
        /// The one that ends last was revoked, and no other lets the device in: it was cut off, whatever is believed of its authority.
        Revoked = "revoked",
        /// The last one has ended, and it was not revoked.
        Expired = "expired",
        /// It never had one.
        None = "none",
    }
}

/// What to list. The same shape is a page's URL, a REST query and a rollout's target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceQuery {
    /// A selector, for example `type:gateway tag:eu online:yes 1.2`; empty means all.
    #[serde(default)]
    pub q: String,
    /// Column to sort by; `-` in front reverses.
    #[serde(default)]
    pub sort: DeviceSort,
    /// Cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows, at most [`crate::page::MAX_ROWS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
}

/// Orders of the device list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DeviceSort {
    /// By device id.
    #[default]
    #[serde(rename = "device_id")]
    DeviceId,
    /// By device id, from the end.
    #[serde(rename = "-device_id")]
    DeviceIdDesc,
    /// Seen longest ago first.
    #[serde(rename = "last_seen")]
    LastSeen,
    /// Seen last first.
    #[serde(rename = "-last_seen")]
    LastSeenDesc,
    /// By firmware version, as text.
    #[serde(rename = "version")]
    Version,
    /// By firmware version, from the end.
    #[serde(rename = "-version")]
    VersionDesc,
}

impl DeviceSort {
    /// Every order.
    pub const ALL: [Self; 6] = [Self::DeviceId, Self::DeviceIdDesc, Self::LastSeen, Self::LastSeenDesc, Self::Version, Self::VersionDesc];

    /// The word used in addresses and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeviceId => "device_id",
            Self::DeviceIdDesc => "-device_id",
            Self::LastSeen => "last_seen",
            Self::LastSeenDesc => "-last_seen",
            Self::Version => "version",
            Self::VersionDesc => "-version",
        }
    }

    /// The order of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == word)
    }
}

/// A device in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceRow {
    /// Its name.
    pub device_id: DeviceId,
    /// Its type.
    pub device_type: String,
    /// Its hardware revision.
    pub hardware: String,
    /// Its standing.
    pub state: DeviceState,
    /// Whether its channel is open.
    pub online: bool,
    /// The version it runs, as it said.
    pub version: String,
    /// When it was last heard of.
    pub last_seen_at: Option<Timestamp>,
    /// Operator's tags.
    pub tags: Vec<String>,
    /// The state of its newest update.
    pub update: Option<UpdateState>,
}

/// Tags for every device that a selector means, or for those that are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TagMany {
    /// The selector; empty means every device that is not decommissioned.
    pub q: String,
    /// These devices instead of a selector, at most 200.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
    /// Tags they get.
    #[serde(default)]
    pub add: Vec<String>,
    /// Tags they lose.
    #[serde(default)]
    pub remove: Vec<String>,
    /// How many devices the selector means or are named, at most 10,000; another number by now is a conflict.
    pub expected: i64,
}

/// How many devices were tagged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tagged {
    /// Devices that the selector meant.
    pub devices: i64,
}

/// A step for every device that a selector means, or for those that are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StepMany {
    /// The selector; empty means every device that is not decommissioned.
    pub q: String,
    /// These devices instead of a selector, at most 200.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
    /// `suspend` or `resume`; the other steps are taken one by one.
    pub step: DeviceStep,
    /// How many devices the selector means or are named, at most 10,000; another number by now is a conflict.
    pub expected: i64,
}

/// How many devices took a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stepped {
    /// Devices that the selector meant.
    pub devices: i64,
    /// Those of them that were not there already.
    pub changed: i64,
}

/// A page of devices for programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceList {
    /// The rows, in the order asked for.
    pub items: Vec<DeviceRow>,
    /// The cursor of the page after this one; none at the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
    /// How many rows match in all.
    pub total: i64,
    /// Sentences about types, tags, attributes, hardware, versions, metrics and groups that the selector asks for and that there are none of, with the nearest; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub hints: Vec<String>,
}

/// The device list's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DevicesPage {
    /// The rows.
    pub devices: Page<DeviceRow>,
    /// Types there are, for the filter.
    pub types: Vec<String>,
    /// Tags there are, for the filter.
    pub tags: Vec<String>,
    /// Groups there are, for the filter.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Versions there are, for the filter.
    pub versions: Vec<String>,
    /// How many devices these are, where that was counted by the time the rows were there; asked for by itself otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<DeviceFacets>,
    /// The caller's saved views, by their names.
    #[serde(default)]
    pub views: Vec<SavedView>,
    /// What is wrong with the selector, if something is; the rows are then empty.
    pub selector_error: Option<SelectorError>,
    /// Sentences about types, tags, attributes, hardware, versions, metrics and groups that the selector asks for and that there are none of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misspelt: Vec<String>,
    /// Devices in the fleet at all; 0 shows the first steps instead of "no match".
    pub fleet: i64,
    /// Whether the caller may enrol devices.
    pub may_enrol: bool,
    /// Whether the caller may tag devices.
    pub may_edit: bool,
    /// Whether the caller may suspend and resume them.
    #[serde(default)]
    pub may_suspend: bool,
    /// When this was read.
    pub at: Timestamp,
}

/// Where a selector is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SelectorError {
    /// Byte position in the text.
    pub position: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// All a device's page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that may be done, named for whoever shows it")]
pub struct DeviceDetail {
    /// The row as in the list.
    pub row: DeviceRow,
    /// The sequence of the firmware it runs.
    pub sequence: i64,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// By which token's label or certificate.
    pub enrolled_by: String,
    /// When the present or last connection began.
    pub connected_at: Option<Timestamp>,
    /// The address of the present or last connection.
    pub address: String,
    /// The agent's name and version.
    pub agent: String,
    /// The device's own facts.
    pub attributes: BTreeMap<String, String>,
    /// Its certificates, newest first.
    pub certificates: Vec<CertificateRow>,
    /// Whether an order to renew would be of anything now: it has a certificate that is renewed here, which one of an owner's authority is not.
    #[serde(default)]
    pub renewable: bool,
    /// Its updates, newest first; at most 20.
    pub updates: Vec<DeviceUpdate>,
    /// Latest value of each series, by metric.
    pub latest: Vec<LatestValue>,
    /// Connections of the last 24 hours, oldest first.
    pub connections: Vec<ConnectionSpan>,
    /// Why it is or isn't updating, in words; empty when nothing concerns it.
    pub update_reason: String,
    /// The same, rule by rule.
    #[serde(default)]
    pub why: Why,
    /// That it stays on what it runs, if somebody has said so.
    #[serde(default)]
    pub pin: Option<Pin>,
    /// The places in which it keeps firmware, as it reported them last; empty when it reports none.
    #[serde(default)]
    pub slots: Vec<DeviceSlot>,
    /// What it was sent of files lately.
    #[serde(default)]
    pub data: DataUse,
    /// The sign that somebody else may hold its key, until a person has looked at it.
    #[serde(default)]
    pub suspicion: Option<Suspicion>,
    /// Whether the caller may say that the sign means nothing.
    #[serde(default)]
    pub may_clear: bool,
    /// Whether the caller may change it.
    pub may_edit: bool,
    /// Whether the caller may cut it off.
    pub may_revoke: bool,
    /// Groups it is in, by their names.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The secret that speaks for it by hawkBit's protocol, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_token: Option<TargetToken>,
    /// The steps of its life that are possible from where it is, and for the caller.
    pub steps: Vec<DeviceStep>,
    /// When this was read.
    pub at: Timestamp,
}

/// The words of a line of tags, as people separate them: by blanks, commas, semicolons or line ends.
pub fn words(text: &str) -> Vec<String> {
    text.split([',', ';']).flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// A sign that two hold one device's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Suspicion {
    /// When it was seen.
    pub at: Timestamp,
    /// What was seen.
    pub sign: String,
}

/// A stretch of time a device was connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionSpan {
    /// Start.
    pub from: Timestamp,
    /// End; none while it lasts.
    pub to: Option<Timestamp>,
    /// From where.
    pub address: String,
    /// Why it ended.
    pub reason: String,
}

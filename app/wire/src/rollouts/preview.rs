//! What a plan would do, and what is wrong with it.

use super::{ApprovalAhead, Bottleneck, Counts, RolloutSpec};
use crate::{
    Timestamp,
    devices::SelectorError,
    facets::{DeviceFacets, FacetCount},
    ids::{DeviceId, ReleaseId, RolloutId},
    releases::{ReleaseDetail, ReleaseRow},
    selector::{Field, Selector},
    telemetry::KnownMetric,
};
use serde::{Deserialize, Serialize};

/// What would happen: who, in which stage, who isn't in it and why.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Preview {
    /// Devices that would get it.
    pub total: i64,
    /// Stage by stage.
    pub stages: Vec<PreviewStage>,
    /// Devices the selector matches that would not get it, by reason.
    pub excluded: Vec<Excluded>,
    /// What is wrong with the selector.
    pub selector_error: Option<SelectorError>,
    /// What is wrong with the plan; `field` names the input, for example `stages.1.reach`.
    pub problems: Vec<Problem>,
    /// Bytes that would be downloaded: by devices that run what a delta starts from, the delta.
    pub bytes: i64,
    /// How long it is likely to take; none when no device of this type was updated by a rollout before, or nobody would get it.
    #[serde(default)]
    pub expected: Option<Expected>,
    /// How its times fall; none for a plan without a window while no freeze is ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// Devices that get it, but later than it is their turn, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put_off: Vec<Excluded>,
    /// When the last of those that their data budget puts off is below it again, when nothing else is sent to it; none where it puts nobody off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_off_until: Option<Timestamp>,
    /// Devices that it brings to their data budget or beyond: they get it, and nothing after it until enough is 30 days ago. 0 without a budget.
    #[serde(default)]
    pub reach_budget: i64,
    /// How many bytes a second its downloads are; none when nobody would get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// By what its devices are drawn: a draft that is made with this within a day has exactly this draw. Of a plan that is kept it is the rollout's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<RolloutId>,
    /// How the release stands to the devices that the plan means; none where the release or the selector can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<ReleaseFit>,
    /// Devices that get it, but are not connected and were not heard of for 7 days: they get it when they are back.
    #[serde(default)]
    pub silent: i64,
    /// The attribute that its devices are spread over; none where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread_over: Option<String>,
    /// What it names that no device has, sends or runs, and files of its releases that are damaged here, in sentences: it can be sent, but does not do what was meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Days after which a device that is not connected counts as silent in a preview.
pub const SILENT_DAYS: i64 = 7;

/// How a release stands to the devices that a plan means: the active ones of its type that the selector matches, without those that are pinned. Each counts
/// once, by the first of these that holds for it: other hardware, newer, the same, too old, unsigned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseFit {
    /// The release.
    pub release: ReleaseId,
    /// All of these devices.
    pub meant: i64,
    /// Have hardware that it does not run on.
    pub other_hardware: i64,
    /// Run something of a higher sequence: they are left out, because no device goes back by itself.
    pub newer: i64,
    /// The version that most of these run; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_version: Option<String>,
    /// Run this sequence already.
    pub on_it: i64,
    /// Run something that it can't be installed over.
    pub too_old: i64,
    /// Say which keys they trust, and too few of them have signed it: they are left out until they say another one, or one of theirs has signed it.
    pub unsigned: i64,
}

/// From which share of the devices on, in percent, a release is said to be older than what many of them run.
pub const MANY_PERCENT: i64 = 10;

impl ReleaseFit {
    /// Whether it is older than what many of the devices run.
    pub const fn is_behind(&self) -> bool {
        self.newer > 0 && self.newer.saturating_mul(100) >= self.meant.saturating_mul(MANY_PERCENT)
    }
}

/// How many bytes a second a plan's downloads are at most, as if nothing else were sent meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Egress {
    /// Bytes a second that leave at most, by the limits of the plan, the organization and its sites; of each server where there are several. None
    /// when they don't hold all of it: it is as fast as the lines are.
    pub peak: Option<i64>,
    /// Devices that download side by side at most: a stage, or what the plan lets update at once.
    pub together: i64,
    /// Bytes a second that are asked for, on average over a minute, when as many devices begin as the plan's rate allows at most; none without a rate.
    pub paced: Option<i64>,
    /// Milliseconds that the downloads of all stages take at least by the limits; 0 where nothing limits them.
    pub least_ms: i64,
}

/// How a plan's times fall among its devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Times {
    /// Devices that report no zone, or none that is known: their window is in the plan's.
    pub zoneless: i64,
    /// When the window of the first device opens, or its first freeze is over.
    pub first: Option<Timestamp>,
    /// By when every device's window has opened once.
    pub last: Option<Timestamp>,
    /// Where the plan and freezes are in each other's way, in sentences.
    pub conflicts: Vec<String>,
}

/// How long a plan is likely to take, from earlier updates of the same device type and the plan's limits. It assumes that every device is online and asks
/// at once, and leaves out what people take to decide and what other rollouts update meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Expected {
    /// Earlier updates it rests on, at most 200.
    pub updates: i64,
    /// From the start to the end of the last stage's soak, as if nobody were put off.
    pub whole: Span,
    /// Stage by stage, each with its soak.
    pub stages: Vec<Span>,
    /// When it is usually over: the whole after every device's window has opened once, and those that are put off are below their data budgets.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// How much longer it is by the limits of bandwidth than as earlier updates went, in milliseconds of the usual whole: at least, as if nothing else
    /// were sent meanwhile.
    #[serde(default)]
    pub held_ms: i64,
    /// The limit that decides how long it takes; none where no device waits for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decides: Option<Bottleneck>,
}

/// A span of time that is not certain, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Span {
    /// As likely less as more.
    pub usual_ms: i64,
    /// Not more in nine of ten cases.
    pub slow_ms: i64,
}

/// A stage of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewStage {
    /// Its name.
    pub name: String,
    /// How many devices.
    pub devices: i64,
    /// Some of them, in their order; at most 100.
    pub sample: Vec<DeviceId>,
    /// Bytes that they would download.
    #[serde(default)]
    pub bytes: i64,
    /// How many different values they have of the attribute that the plan is spread over; none where it is spread over nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<i64>,
}

/// Devices left out of a rollout or put off, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Excluded {
    /// In words, for example `already on 1.2.0 or newer`.
    pub reason: String,
    /// How many.
    pub devices: i64,
}

/// A device that a plan's selector matches, and its place as of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewDevice {
    /// The device.
    pub device_id: DeviceId,
    /// The stage that it would be in, from 1; none when it would not get it.
    pub stage: Option<u32>,
    /// Why it would not get it, for example `already on 1.2.0 or newer`.
    pub reason: Option<String>,
    /// Why it would get it later than it is its turn; none when it would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_off: Option<String>,
}

/// Which devices of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PreviewQuery {
    /// Only this stage, from 1; 0 is those that would not get it.
    #[serde(default)]
    pub stage: Option<u32>,
    /// Cursor of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows of a page, at most [`crate::page::MAX_ROWS`]; [`crate::page::DEFAULT_ROWS`] unless given.
    #[serde(default)]
    pub rows: Option<u32>,
}

/// Something wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The input it belongs to.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How updates of a device type ended lately: what the fleet's own history says to the limits of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastUpdates {
    /// The type.
    pub device_type: String,
    /// How far back, in days.
    pub days: u32,
    /// Finished devices of the stages that began within these days, counted as their gates count them; who has not finished is not among them.
    pub ended: Counts,
    /// Devices that succeeded within these days and have been listened for since, the newest, at most 2,000 …
    pub listened: i64,
    /// … and how many of them are dark as of now: not connected, and not heard of from 15 minutes after their success on.
    pub dark: i64,
}

/// Devices that belong together, which a plan is suggested to begin with: those with one value of an attribute, of a group or with a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectorSuggestion {
    /// What a stage's own selector says of them, for example `attr.site:rotterdam`.
    pub selector: String,
    /// How many of the fleet; decommissioned ones are not counted.
    pub devices: i64,
}

impl SelectorSuggestion {
    /// Those with exactly this value of a field; none where no selector says exactly that: it is empty, or a `*` in it stands for others.
    pub fn of(field: Field, value: &str, devices: i64) -> Option<Self> {
        let asked = Selector::Is(field, vec![value.to_owned()]);
        let selector = asked.to_string();
        let exact = !value.is_empty() && !value.contains('*') && Selector::parse(&selector).is_ok_and(|read| read == asked);
        exact.then_some(Self { selector, devices })
    }

    /// Those in each of these groups, or with each of these tags.
    pub fn each<'a>(field: &'a Field, counts: &'a [FacetCount]) -> impl Iterator<Item = Self> + 'a {
        counts.iter().filter_map(move |count| Self::of(field.clone(), &count.value, count.devices))
    }
}

/// What the wizard shows: the plan so far, what it would do, and what can be chosen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WizardPage {
    /// Published releases, newest first.
    pub releases: Vec<ReleaseRow>,
    /// The plan so far.
    pub spec: Option<RolloutSpec>,
    /// What it would do.
    pub preview: Option<Preview>,
    /// The metrics that devices report, the first 200 by name.
    #[serde(default)]
    pub metrics: Vec<KnownMetric>,
    /// How updates of the chosen release's device type ended lately; none while no release is chosen.
    #[serde(default)]
    pub past: Option<PastUpdates>,
    /// The rollout being edited, with its generation.
    pub editing: Option<(RolloutId, i64)>,
    /// The release of the plan so far, where it was asked for and there is such a release.
    #[serde(default)]
    pub chosen: Option<ReleaseDetail>,
    /// Which approval the plan would take if the caller sent it now; none while it has no release that is published.
    #[serde(default)]
    pub ahead: Option<ApprovalAhead>,
    /// What its first stage could be, most devices first; empty where it is not known yet.
    #[serde(default)]
    pub suggestions: Vec<SelectorSuggestion>,
    /// What devices can be filtered by; none where that is not known yet.
    #[serde(default)]
    pub facets: Option<DeviceFacets>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_said_exactly_or_not_at_all() {
        let site = |value: &str| SelectorSuggestion::of(Field::Attribute("site".into()), value, 3).map(|suggestion| suggestion.selector);
        assert_eq!(site("rotterdam").as_deref(), Some("attr.site:rotterdam"));
        assert_eq!(site("Den Haag").as_deref(), Some("attr.site:\"Den Haag\""));
        assert_eq!((site(""), site("r*")), (None, None), "a pattern would be others too");
        assert_eq!(SelectorSuggestion::of(Field::Attribute("a b".into()), "x", 1), None, "a name that no selector can write");
        assert_eq!(SelectorSuggestion::of(Field::Group, "pilot", 1).unwrap().selector, "group:pilot");
    }

    #[test]
    fn a_release_is_behind_when_many_run_something_newer() {
        let fit = |newer, meant| {
            let release = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
            ReleaseFit { release, meant, other_hardware: 0, newer, newer_version: None, on_it: 0, too_old: 0, unsigned: 0 }.is_behind()
        };
        assert_eq!([(0, 0), (0, 9), (1, 10), (9, 100), (10, 100)].map(|(n, of)| fit(n, of)), [false, false, true, false, true]);
    }
}

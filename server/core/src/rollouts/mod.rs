//! Rollouts: one release to a part of the fleet, in stages, with somebody else's approval, stopped by evidence.
//!
//! Owns plans, approvals, stages, updates and their counts. Refuses to know bytes (releases), sockets and pages. It asks `telemetry` for one figure a
//! device. Its SQL reads beside its own tables what lists and rules need: names, attributes, presence and connections of `devices`, files and deltas of
//! `releases`, settings of the organization. Of these it writes one thing: that a device confirms by itself (`auto_confirm_at`).
//!
//! The pure core says what happens, one file for each question:
//!
//! | about | files |
//! |---|---|
//! | who is in | [`survey`] who, [`draw`] in which order ([`lot`] as the plan arranges it, [`fair`] shared out), [`alike`] which share a budget |
//! | what is done next | [`mod@plan`], [`state`] which states may follow which, [`control`] what people may do, [`hearing`] what a device's word does |
//! | evidence | [`gate`] what it says, [`evidence`] what metrics say beside counts, `comparable` which never could, [`ranks`] how they are compared |
//! | whose turn it is | [`admission`] whether a device may have it now, [`throttle`] how many at once, [`turn`] when others have theirs, [`holding`] what those wait for that hold its places |
//! | time | [`timing`] whether a device may install now, by a [`window`] and the calendar of freezes, [`steps`] how long an update may be in one step |
//! | approval | [`digest`] what it binds, [`rule`] whose it takes and how far those are that were given, [`difference`] what a plan changes |
//! | before it begins | [`validate`] what is wrong, [`expecting`] how long it may take, [`egress`] what its downloads weigh, [`fitting`] whom its release suits, [`elsewhere`] what other rollouts have for its devices, [`unheard`] what it names that no device of it has |
//! | answers | [`explain`] and [`why`] why a device does or doesn't update |
//! | going back | [`way_back`] how a bad release is taken back |
//!
//! The store applies a list of [`course::Change`]s in one transaction, guarded by the generation they were made on; any instance may plan, a stale plan
//! never applies.
//!
//! Locks are taken in one order: the rollout's row, its organization's (for a budget), its update rows, its stage rows.

pub mod admission;
pub mod alike;
pub mod confirming;
pub mod control;
pub mod course;
pub mod ddi;
pub mod difference;
pub mod digest;
pub mod draw;
pub mod egress;
pub mod elsewhere;
pub mod evidence;
pub mod expecting;
pub mod explain;
pub mod fair;
pub mod fitting;
pub mod foreseeing;
pub mod gate;
pub mod hearing;
pub mod holding;
pub mod lot;
pub mod plan;
pub mod ranks;
pub mod retry;
pub mod rule;
pub mod stand;
pub mod state;
pub mod steps;
pub mod survey;
pub mod throttle;
pub mod timing;
pub mod turn;
pub mod unheard;
pub mod validate;
pub mod way_back;
pub mod why;
pub mod window;

mod admitting;
mod applying;
mod approval_ahead;
mod approval_standing;
mod approvers;
mod arranging;
mod attempts;
mod beside;
mod cancelling;
mod comparable;
mod comparing;
mod contending;
mod dark;
mod deciding;
mod drafting;
mod error;
mod expiring;
mod freezes;
mod glass;
mod going_back;
mod going_on;
mod idle;
mod inbox;
mod listing;
mod moving;
mod offering;
mod passing;
mod pinning;
mod placed;
mod placing;
mod previewing;
mod proving;
mod quorum;
mod reading;
mod reasoning;
mod refusals;
mod report;
mod reporting;
mod reserving;
mod sending;
mod sharing;
mod soak;
mod sorted;
mod sound;
pub(crate) mod store;
mod suggestions;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod ticking;
mod uses;
mod verbs;
mod verdicts;
mod wanted;
mod watching;

#[cfg(test)]
mod tests;

pub use applying::{Against, Applied, Outcome};
pub use error::Error;
pub use glass::Figures;
pub use moving::Saw;
pub use offering::StandingOffer;
pub use report::{Part, REPORT, push_report_line};
pub use reporting::MAX_DETAIL;
pub use sending::Fetching;

use crate::{
    bus::Bus,
    clock::Clock,
    db::Db,
    entropy::Entropy,
    telemetry::{LastValues, Means},
};
use aws_lc_rs::hmac;
use std::sync::Arc;
use wire::Timestamp;

/// The room's façade.
pub struct Rollouts {
    db: Db,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Bus,
    began: Timestamp,
    glimpses: previewing::Glimpses,
    lists: placed::Lists,
    installed: reading::Installed,
    suggestions: suggestions::Suggestions,
    idle: idle::Idle,
    beside: beside::Beside,
    glass: Figures,
    calendar: freezes::Calendar,
    last: Option<LastValues>,
    means: Means,
    draws: hmac::Key,
}

impl Rollouts {
    /// The room over an open store; `means` is what it learns of metrics, and by the key of `draws` instances know the draws that one of them has made.
    pub fn new(db: Db, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, bus: Bus, means: Means, draws: hmac::Key) -> Self {
        let began = clock.now();
        let (glimpses, installed, idle) = (previewing::Glimpses::default(), reading::Installed::default(), idle::Idle::default());
        let (glass, calendar, lists) = (Figures::default(), freezes::Calendar::default(), placed::Lists::default());
        let (suggestions, beside) = (suggestions::Suggestions::default(), beside::Beside::default());
        Self {
            db,
            clock,
            entropy,
            bus,
            began,
            glimpses,
            lists,
            installed,
            suggestions,
            idle,
            beside,
            glass,
            calendar,
            last: None,
            means,
            draws,
        }
    }

    /// The room with the last values of metrics, for selectors that ask for them; without them no device has any.
    #[must_use]
    pub fn measured_by(self, last: LastValues) -> Self {
        Self { last: Some(last), ..self }
    }
}

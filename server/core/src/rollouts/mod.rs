//! Rollouts: one release to a part of the fleet, in stages, with somebody else's approval, stopped by evidence.
//!
//! Owns plans, approvals, stages, updates and their counts. Refuses to know bytes (releases), sockets and pages. Its SQL reads beside its own
//! tables the names and presence of `devices`, for lists, and the files of `releases`, for what a device may download; it writes to neither.
//!
//! The pure core says what happens: [`survey`] who is in, [`draw`] in which order, [`gate`] what the evidence says, [`mod@plan`] what to do next,
//! [`control`] what people may do, [`hearing`] what a device's word does, [`state`] which states may follow which, [`throttle`] how many may update at
//! once, [`timing`] whether a device may install now, by a [`window`] and the calendar of freezes, [`digest`] what an approval binds, [`validate`] what is wrong with a plan, [`expecting`] how long it may take, [`difference`] what it
//! changes, [`explain`] and [`why`] why a device does or doesn't update, [`way_back`] how a bad release is taken back. The store applies a list of
//! [`course::Change`]s in one transaction, guarded by the generation they were made on; any instance may plan, a stale plan never applies.
//!
//! Locks are taken in one order: the rollout's row, its organization's (for a budget), its update rows, its stage rows.

pub mod confirming;
pub mod control;
pub mod course;
pub mod ddi;
pub mod difference;
pub mod digest;
pub mod draw;
pub mod expecting;
pub mod explain;
pub mod foreseeing;
pub mod gate;
pub mod hearing;
pub mod plan;
pub mod retry;
pub mod stand;
pub mod state;
pub mod survey;
pub mod throttle;
pub mod timing;
pub mod validate;
pub mod way_back;
pub mod why;
pub mod window;

mod applying;
mod comparing;
mod deciding;
mod drafting;
mod error;
mod freezes;
mod going_back;
mod idle;
mod listing;
mod moving;
mod offering;
mod previewing;
mod quorum;
mod reading;
mod reasoning;
mod report;
mod reporting;
mod sound;
pub(crate) mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod ticking;

#[cfg(test)]
mod tests;

pub use applying::{Against, Applied, Outcome};
pub use error::Error;
pub use offering::Standing;
pub use report::Part;
pub use reporting::MAX_DETAIL;

use crate::{bus::Bus, clock::Clock, db::Db, entropy::Entropy};
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
    idle: idle::Idle,
    calendar: freezes::Calendar,
}

impl Rollouts {
    /// The room over an open store.
    pub fn new(db: Db, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, bus: Bus) -> Self {
        let began = clock.now();
        Self {
            db,
            clock,
            entropy,
            bus,
            began,
            glimpses: previewing::Glimpses::default(),
            idle: idle::Idle::default(),
            calendar: freezes::Calendar::default(),
        }
    }
}

//! Devices: who is in the fleet, how they get in, what is known of them, and whether they are there.
//!
//! Owns the device's row, tags, attributes, presence, slots, pins, enrolment tokens and the selector language. Refuses to know certificates' insides (the
//! `pki` room signs), samples, and how an update goes.

pub(crate) mod admission;
mod along;
pub(crate) mod batches;
pub(crate) mod claims;
pub(crate) mod connections;
mod desk;
mod enrolment;
mod entry;
mod error;
pub(crate) mod facts;
pub(crate) mod filter;
mod gave;
pub(crate) mod given_groups;
pub(crate) mod groups;
mod hook;
pub(crate) mod imports;
pub(crate) mod just_in_time;
mod known;
mod let_in;
mod life;
pub(crate) mod listing;
pub mod misspelt;
pub(crate) mod naming;
pub(crate) mod narrowing;
mod paging;
pub(crate) mod pins;
mod presence;
mod recovery;
mod registry;
pub(crate) mod renewal_orders;
mod renewals;
mod requests;
pub(crate) mod rows;
pub use wire::selector;
mod server_keys;
pub(crate) mod shared;
mod signs;
pub(crate) mod sizes;
pub(crate) mod slots;
pub mod state;
mod stepping;
pub(crate) mod store;
mod suspicion;
mod tagging;
mod telling;
#[cfg(test)]
mod tests;
mod tokens;
mod versions;
pub(crate) mod views;
mod words;

pub use batches::{Broken, NewBatch, Pieces, Seal};
pub use enrolment::{Attempt, EnrolmentUrls, Over};
pub use error::{Away, Error, PENDING};
pub use hook::Hook;
pub use imports::{ImportFormat, ImportHow, MOST_IMPORT_BYTES, Unreadable};
pub use naming::MOST_AT_ONCE;
pub use presence::Connected;
pub(crate) use presence::{FIRMWARE_SEQUENCE, FIRMWARE_VERSION, Told, said_to_run, tells_firmware};
pub(crate) use registry::Troubled;
pub use selector::{Facts, Selector};
pub use server_keys::EnrolledWithKey;
pub use shared::{Said, Spoken};
pub(crate) use sizes::{Spread, WAITED};

use crate::{access::Throttle, bus::Bus, clock::Clock, db::Db, entropy::Entropy, pki::Pki, source::Source, telemetry::LastValues};
use std::sync::Arc;

/// The key of a device inside Fleetward. Its owner's name for it is [`wire::ids::DeviceId`].
pub type DeviceNo = i64;

/// The room's façade.
pub struct Devices {
    db: Db,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Bus,
    pki: Arc<Pki>,
    urls: EnrolmentUrls,
    presence: presence::Presence,
    facets: sizes::KeptFacets,
    spreads: sizes::KeptSpreads,
    totals: listing::KeptTotals,
    facet_counts: sizes::KeptFacetCounts,
    courses: sizes::KeptCourses,
    counts: sizes::KeptCounts,
    guesses: Throttle<Source>,
    booked: Throttle,
    asks: Throttle<Source>,
    turned_away: just_in_time::TurnedAway,
    batches_due: tokio::sync::Notify,
    batch_outcomes: batches::Outcomes,
    desk: Arc<desk::Desk>,
    hook: Option<Hook>,
    hook_refusals: Throttle,
    shared: shared::Counts,
    known: known::Known,
    let_in: let_in::LetIn,
    last: Option<LastValues>,
}

impl Devices {
    /// The enrol listener as devices know it, `https://host:port`.
    pub fn enrol_url(&self) -> &str {
        &self.urls.enrol
    }

    /// The room over an open store; `hook` is asked before a claim lets a new key in.
    pub fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        bus: Bus,
        pki: Arc<Pki>,
        urls: EnrolmentUrls,
        hook: Option<Hook>,
    ) -> Self {
        let presence = presence::Presence::new(db.clone(), bus.clone());
        // Ten wrong secrets a minute close an address for the rest of it.
        let guesses = Throttle::new(10, 60_000);
        // As many refusals of a right one are written down, of each kind.
        let booked = Throttle::new(10, 60_000);
        // As many new requests to join a minute come from one address (E-6).
        let asks = Throttle::new(10, 60_000);
        let desk = desk::Desk::new(db.clone(), clock.clone(), bus.clone(), pki.clone());
        Self {
            db,
            clock,
            entropy,
            bus,
            pki,
            urls,
            presence,
            facets: sizes::KeptFacets::default(),
            spreads: sizes::KeptSpreads::default(),
            totals: listing::KeptTotals::default(),
            facet_counts: sizes::KeptFacetCounts::default(),
            courses: sizes::KeptCourses::default(),
            counts: sizes::KeptCounts::default(),
            guesses,
            booked,
            asks,
            turned_away: just_in_time::TurnedAway::default(),
            batches_due: tokio::sync::Notify::new(),
            batch_outcomes: batches::Outcomes::default(),
            desk,
            hook,
            hook_refusals: Throttle::new(hook::REFUSALS, 60_000),
            shared: shared::Counts::default(),
            known: known::Known::default(),
            let_in: let_in::LetIn::default(),
            last: None,
        }
    }

    /// The room with the last values of metrics, for selectors that ask for them; without them no device has any.
    #[must_use]
    pub fn measured_by(self, last: LastValues) -> Self {
        Self { last: Some(last), ..self }
    }
}

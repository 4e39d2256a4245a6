//! Devices without a certificate that speak hawkBit's protocol (DDI) by a shared secret: a target token for one device, gateway tokens for those of
//! an organization. Owns who may be spoken for; refuses to know the protocol.
//!
//! A secret is weaker than a certificate, so it never stands in for one: who has a certificate is not spoken for, and who lost it by revocation only
//! by a target token that a person made afterwards. All of it is off until an administrator of the organization switches it on.

mod gateways;
mod refusal;
mod speaking;
mod store;
mod targets;

pub use refusal::Refusal;
pub use speaking::{Said, Spoken};
pub(crate) use store::ALL;
pub(super) use {
    store::TARGET_CLEAR,
    targets::{Given, give, token_of},
};

use crate::{access::Throttle, source::Source};

/// Wrong secrets in a minute before an address is told to wait; a right one always passes, for behind one address may be a whole site.
const WRONG: u32 = 10;
const MINUTE_MS: i64 = 60_000;
/// A refusal of a right secret is written into the books once in so long for each device.
const BOOKED_MS: i64 = 3_600_000;

/// What is counted in memory.
pub(super) struct Counts {
    /// Wrong secrets by where they came from.
    wrong: Throttle<Source>,
    /// Refusals in the books, by device.
    booked: Throttle,
}

impl Default for Counts {
    fn default() -> Self {
        Self { wrong: Throttle::new(WRONG, MINUTE_MS), booked: Throttle::new(1, BOOKED_MS) }
    }
}

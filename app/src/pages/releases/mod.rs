//! Firmware: the list of releases with the upload and the signing keys, a release's page, and two releases beside each other.

pub mod compare;
mod deltas;
pub mod detail;
mod downloads;
mod image_keys;
mod installs;
pub mod keys;
pub mod list;
mod query;
mod recalled;
pub mod resume;
#[cfg(feature = "hydrate")]
mod sending;
mod signing;
pub mod upload;
mod verbs;

pub use compare::ComparePage;
pub use detail::ReleasePage;
pub use list::ReleasesPage;

//! Firmware: the list of releases with the upload and the signing keys, and a release's page.

mod deltas;
pub mod detail;
mod downloads;
pub mod keys;
pub mod list;
#[cfg(feature = "hydrate")]
mod sending;
mod signing;
pub mod upload;

pub use detail::ReleasePage;
pub use list::ReleasesPage;

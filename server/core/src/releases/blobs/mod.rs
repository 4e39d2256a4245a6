//! Where the bytes of artifacts are, by their SHA-256. Owns the folders on disk; refuses to know releases, uploads' owners and rights.
//!
//! A file arrives in `staging`, where it can be cut off and gone on with; when it is whole it moves into the content-addressed store in one
//! rename. Nothing in the store is ever written to.

mod disk;
mod staging;

pub use disk::ArtifactFile;
pub(super) use disk::Disk;
pub(super) use staging::{Staged, Staging};

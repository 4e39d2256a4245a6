//! Releases: uploads, content-addressed artifacts, signed manifests, signing keys.
//!
//! Owns what may be rolled out and why something may not. Refuses to decide which devices get it (rollouts) and to know how bytes travel (the
//! listeners). Its rows show how many devices run a release, so its SQL reads `devices`, for show; it never writes to them. How many rollouts use one
//! is theirs to say.
//!
//! What is signed offline is checked here on upload and again before it is published; devices check it once more themselves.

mod acceptance;
mod again;
mod blobs;
mod checksums;
mod comparing;
mod containers;
mod countersigning;
mod deciding;
mod deltas;
mod difference;
mod error;
mod image_keys;
mod key_sets;
mod keys;
pub mod label;
mod looking;
mod making;
pub mod manifest;
mod ordering;
mod policy;
pub mod quorum;
mod reading;
mod recalled;
mod receiving;
mod scrubbing;
pub mod signing;
pub mod state;
pub(crate) mod store;
pub mod succession;
#[cfg(test)]
mod tests;
mod trusting;
mod turns;
mod uploading;

pub use blobs::ArtifactFile;
pub use checksums::Checksums;
pub use error::Error;
pub use making::Created;
pub use reading::{RolloutRelease, for_rollout, installed, published, short_of_signatures, signed};
pub use scrubbing::Figures;
pub(crate) use store::{StillRun, damaged_in, has_damage, sequence_of};
pub use trusting::{Signed, says_trust};

use crate::{bus::Bus, clock::Clock, db::Db, entropy::Entropy};
use blobs::{Disk, Staging};
use parking_lot::Mutex;
use std::{path::Path, sync::Arc};
use turns::Turns;
use wire::Timestamp;

/// Most bytes of one file.
pub const LARGEST_FILE: i64 = 16 << 30;

/// The room's façade.
pub struct Releases {
    db: Db,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Bus,
    disk: Disk,
    staging: Staging,
    turns: Arc<Turns>,
    // Held while content is taken into the store or out of it, so that nothing is removed that is just being used again.
    shelf: Arc<tokio::sync::Mutex<()>>,
    // Held while a file is read for its older checksums: many devices ask for the same ones at once.
    summing: Arc<tokio::sync::Mutex<()>>,
    /// Somebody waits for a delta.
    deltas_wanted: tokio::sync::Notify,
    /// When content that nothing needs was looked for last.
    content_swept: Mutex<Option<Timestamp>>,
    /// What the machine room is told.
    scrubbed: scrubbing::Counters,
    /// Content that looks otherwise than when it was right.
    suspects: looking::Suspects,
    recalls: recalled::KeptRecalls,
    gaps: deltas::KeptGaps,
}

impl Releases {
    /// The room over an open store. `folder` holds the artifacts and the uploads on their way in, on one file system so that a file moves in
    /// one rename; it is made when it isn't there.
    pub async fn open(db: Db, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, bus: Bus, folder: &Path) -> Result<Self, Error> {
        let folder = folder.to_owned();
        let folders = move || Ok::<_, Error>((Disk::open(&folder.join("blobs"))?, Staging::open(folder.join("staging"))?));
        let (disk, staging) = tokio::task::spawn_blocking(folders).await.map_err(std::io::Error::other)??;
        Ok(Self {
            db,
            clock,
            entropy,
            bus,
            disk,
            staging,
            turns: Arc::default(),
            shelf: Arc::default(),
            summing: Arc::default(),
            deltas_wanted: tokio::sync::Notify::new(),
            content_swept: Mutex::default(),
            scrubbed: scrubbing::Counters::default(),
            suspects: looking::Suspects::default(),
            recalls: recalled::KeptRecalls::default(),
            gaps: deltas::KeptGaps::default(),
        })
    }

    /// Ends uploads that are being received: each syncs and records what it has, and its sender is told to go on later. For a graceful stop;
    /// returns when all have ended.
    pub async fn drain(&self) {
        self.turns.drain().await;
    }
}

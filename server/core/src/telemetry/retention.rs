//! Forgetting: samples after 30 days, rollups after a year, streams that newer ones of their device have replaced.

use super::{Core, block::HOUR_MS, store};
use crate::Result;
use std::time::Duration;

const DAY_MS: i64 = 24 * HOUR_MS;
/// How long samples are kept.
pub const SAMPLES_MS: i64 = 30 * DAY_MS;
/// How long rollups are kept.
pub const ROLLUPS_MS: i64 = 365 * DAY_MS;
/// Streams kept for each device: the one in use, and a few that a late connection may still ask about.
const STREAMS: i64 = 8;
/// Rows deleted in one transaction, so that commits slip in between.
const SLICE: i64 = 500;
/// A device's state leaves memory when it was silent for so long; it is loaded again when it speaks.
const SILENT: Duration = Duration::from_mins(10);

impl Core {
    /// Deletes what is stored of a device's samples; those that still wait in the log go when this is called again after they were folded.
    pub(super) async fn forget_device(&self, device: i64) -> Result<u64> {
        let mut gone = 0;
        loop {
            let mut tx = self.db.write().await?;
            let n = store::forget_device(&mut tx, device, SLICE).await?;
            tx.commit().await?;
            if n == 0 {
                break;
            }
            gone += n;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.devices.forget_latest(device);
        Ok(gone)
    }

    /// Deletes what has had its time. How many rows.
    pub(super) async fn forget(&self) -> Result<u64> {
        let now = self.clock.now();
        let samples = now.plus(-SAMPLES_MS).0.div_euclid(HOUR_MS);
        let rollups = now.plus(-ROLLUPS_MS).0.div_euclid(HOUR_MS);
        let mut gone = 0;
        loop {
            let mut tx = self.db.write().await?;
            let n = store::old_chunks(&mut tx, samples, SLICE).await? + store::old_rollups(&mut tx, rollups, SLICE).await?;
            tx.commit().await?;
            if n == 0 {
                break;
            }
            gone += n;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut tx = self.db.write().await?;
        gone += store::forget_streams(&mut tx, STREAMS).await?;
        gone += store::old_aside(&mut tx, now.plus(-SAMPLES_MS)).await?;
        tx.commit().await?;
        self.db.shrink().await?;
        self.devices.drop_idle(SILENT);
        Ok(gone)
    }
}

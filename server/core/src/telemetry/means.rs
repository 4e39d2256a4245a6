//! One figure a device: the mean of its samples of a metric over a time, for whoever compares devices. Read from rollups and the tail, a few hundred devices at a
//! time, so that it costs the same however fast the devices send.

use super::{
    Core, Error,
    block::{HOUR_MS, hour},
    rollup::Hour,
    store::{self, Band},
    tail::Tail,
};
use crate::Result;
use std::{collections::HashMap, sync::Arc, time::Duration};
use wire::{Timestamp, ids::OrgId};

/// Devices that are read at once.
const SLICE: usize = 200;
const MINUTE_MS: i64 = 60_000;
/// How often a read looks again when folding moved under it.
const TRIES: u32 = 100;

/// The way to the figures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Means(Arc<Core>);

/// How many samples, and their sum.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    samples: u64,
    total: f64,
}

impl Sum {
    fn add(&mut self, samples: u64, total: f64) {
        self.samples = self.samples.saturating_add(samples);
        self.total = (self.total + total).clamp(f64::MIN, f64::MAX);
    }
}

impl Means {
    pub(super) fn over(core: &Arc<Core>) -> Self {
        Self(Arc::clone(core))
    }

    /// The mean of each of these devices that sent the metric in the whole minutes from `from` up to `to`, both rounded down; in no order, and nothing for a device that sent
    /// none. Two statements for each 200 devices. An error when folding keeps moving under the read.
    pub async fn of(&self, org: &OrgId, metric: &str, devices: &[i64], from: Timestamp, to: Timestamp) -> Result<Vec<f64>> {
        let (from, to) = (whole_minutes(from), whole_minutes(to));
        let mut out = Vec::with_capacity(devices.len());
        if from >= to {
            return Ok(out);
        }
        for slice in devices.chunks(SLICE) {
            out.extend(self.slice(org, metric, slice, (from, to)).await?.into_values().filter_map(mean));
        }
        Ok(out)
    }

    async fn slice(&self, org: &OrgId, metric: &str, devices: &[i64], (from, to): (i64, i64)) -> Result<HashMap<i64, Sum>> {
        let band = Band { org, devices, first: hour(from), last: hour(to - 1), metric };
        let mut shared = Tail::shared(&self.0.db);
        for _ in 0..TRIES {
            if shared {
                self.0.catch_up().await?;
            }
            if let Some(found) = self.read(band, from, to).await? {
                return Ok(found);
            }
            // As with a history: folding stepped between the reads.
            shared = Tail::shared(&self.0.db);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Err(Error::Moving.into())
    }

    /// None when the store and the tail were of different generations.
    async fn read(&self, band: Band<'_>, from: i64, to: i64) -> Result<Option<HashMap<i64, Sum>>> {
        let mut on = self.0.db.read().await?;
        let sums = store::sums_of(&mut on, band).await?;
        let edges = store::edges_of(&mut on, band).await?;
        drop(on);
        let (generation, unfolded) = self.0.tail.between(band.devices, from, to);
        if sums.iter().map(|r| r.0).chain(edges.iter().map(|r| r.0)).any(|g| g != generation) {
            return Ok(None);
        }
        let mut found: HashMap<i64, Sum> = HashMap::new();
        let mut device_of = HashMap::new();
        for (_, series, device, samples, total) in sums {
            let (Some(series), Some(device)) = (series, device) else { continue };
            device_of.insert(series, device);
            if let (Some(samples), Some(total)) = (samples, total) {
                found.entry(device).or_default().add(u64::try_from(samples).unwrap_or_default(), total);
            }
        }
        let mut damaged = 0;
        for (_, device, at, minutes) in edges {
            let (Some(device), Some(at), Some(minutes)) = (device, at, minutes) else { continue };
            match Hour::read(at, &minutes) {
                Ok(hour) => {
                    let within = hour.minutes().filter(|m| (from..to).contains(&m.last.0));
                    within.for_each(|m| found.entry(device).or_default().add(m.samples, m.total));
                }
                Err(e) => {
                    tracing::error!(device, hour = at, error = %e, "a stored rollup is damaged; the rest counts");
                    damaged += 1;
                }
            }
        }
        self.0.stats.damaged(damaged);
        for (device, p) in unfolded.into_iter().filter(|(_, p)| device_of.contains_key(&p.series)) {
            found.entry(device).or_default().add(1, p.v);
        }
        Ok(Some(found))
    }
}

const fn whole_minutes(at: Timestamp) -> i64 {
    at.0 - at.0.rem_euclid(MINUTE_MS)
}

fn mean(sum: Sum) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "the number of samples of a device, far below 2⁵³")]
    (sum.samples > 0).then(|| sum.total / sum.samples as f64)
}

// Minutes do not reach over hours.
const _: () = assert!(HOUR_MS % MINUTE_MS == 0);

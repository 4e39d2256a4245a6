//! Folding: the log's rows become chunks and rollups, a slice of devices at a time, so that commits of new samples slip in between.
//!
//! A round marks the rows it takes, folds them device by device in number order, and deletes them when the last device is done. Every step is
//! one transaction that writes the slice and moves the cursor, claimed by compare-and-set on the generation: a crash between two steps loses
//! nothing and doubles nothing, and of two instances that fold at once one steps and the other looks again.

use super::{
    Core,
    block::{self, hour},
    rollup::{Hour, Rollup},
    store,
    tail::Segment,
};
use crate::{Result, db};
use std::{collections::BTreeMap, time::Duration};

/// A chunk with so many samples is left alone; what follows begins another part of its hour.
const FULL: i64 = 8192;
/// Samples of one step. Bounds how long a step holds SQLite's write lock.
const SLICE: usize = 20_000;
/// Between steps, for whoever waits for the write lock.
const BREATH: Duration = Duration::from_millis(2);

/// What is to be folded into one series' hour, and what is there already.
#[derive(Debug, Default)]
struct Work {
    part: Option<i64>,
    chunk: Option<Vec<u8>>,
    minutes: Option<Vec<u8>>,
    fresh: Vec<(i64, f64)>,
}

/// One series' hour as it will be stored.
#[derive(Debug)]
struct Done {
    series: i64,
    hour: i64,
    part: Option<i64>,
    samples: i64,
    chunk: Vec<u8>,
    whole: Rollup,
    minutes: Vec<u8>,
    newest: (i64, f64),
}

impl Core {
    /// Folds what the log holds now. How many steps it took; 0 when there was nothing to do.
    pub(super) async fn fold(&self) -> Result<u64> {
        let _alone = self.folding.lock().await;
        self.catch_up().await?;
        let (generation, open) = self.tail.round();
        if !open {
            if self.tail.samples() == 0 || !self.begin_round(generation).await? {
                return Ok(0);
            }
            self.catch_up().await?;
        }
        let mut steps = 0;
        loop {
            let (generation, cursor) = store::folding(&mut self.db.read().await?).await?;
            let Some(slice) = self.tail.in_round(generation, cursor, SLICE) else {
                self.catch_up().await?;
                continue;
            };
            let Some((last, _)) = slice.last() else {
                if self.end_round(generation).await? {
                    return Ok(steps);
                }
                continue;
            };
            let last = *last;
            let mut work = BTreeMap::new();
            for (device, segments) in &slice {
                self.gather(*device, segments, &mut work).await?;
            }
            let done = tokio::task::spawn_blocking(move || work.into_iter().map(|(at, w)| fold(at, w)).collect::<Result<Vec<_>, _>>())
                .await
                .map_err(|e| db::Error::corrupt(format!("folding ended early: {e}")))??;
            let mut tx = self.db.write().await?;
            if !store::folded_to(&mut tx, generation, last).await? {
                drop(tx);
                self.catch_up().await?;
                continue;
            }
            for d in &done {
                // A generation is used once, so it names a new part of an hour.
                store::put_chunk(&mut tx, d.series, d.hour, d.part.unwrap_or(generation + 1), d.samples, &d.chunk).await?;
                store::put_rollup(&mut tx, d.series, d.hour, &d.whole, &d.minutes).await?;
                store::newest(&mut tx, d.series, d.newest.0, d.newest.1).await?;
            }
            tx.commit().await?;
            self.tail.folded(last, generation + 1);
            steps += 1;
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Begins a round, unless another instance has begun one since no round was under way at `generation`: its devices would be folded twice.
    pub(super) async fn begin_round(&self, generation: i64) -> Result<bool> {
        let mut tx = self.db.write().await?;
        if !store::folded_to(&mut tx, generation, 0).await? {
            return Ok(false);
        }
        store::begin_round(&mut tx).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn end_round(&self, generation: i64) -> Result<bool> {
        let mut tx = self.db.write().await?;
        if !store::folded_to(&mut tx, generation, 0).await? {
            drop(tx);
            self.catch_up().await?;
            return Ok(false);
        }
        store::end_round(&mut tx).await?;
        tx.commit().await?;
        self.tail.round_ended(generation + 1);
        Ok(true)
    }

    /// Brings the tail up to the log. Rows that can't be read are set aside, so that they are neither folded nor deleted.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let damaged = self.tail.catch_up(&self.db).await?;
        if !damaged.is_empty() {
            self.stats.damaged(damaged.len());
            let mut tx = self.db.write().await?;
            for row in damaged {
                store::set_aside(&mut tx, row).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Collects a device's samples by series and hour, beside what is stored of those hours.
    async fn gather(&self, device: i64, segments: &[Segment], work: &mut BTreeMap<(i64, i64), Work>) -> Result<()> {
        let mut hours = std::collections::BTreeSet::new();
        for p in segments.iter().flat_map(|s| s.points.iter()) {
            let at = hour(p.t);
            hours.insert(at);
            work.entry((p.series, at)).or_default().fresh.push((p.t, p.v));
        }
        let mut on = self.db.read().await?;
        for at in hours {
            for (series, part, data) in store::open_chunks(&mut on, device, at, FULL).await? {
                if let Some(w) = work.get_mut(&(series, at)) {
                    (w.part, w.chunk) = (Some(part), Some(data));
                }
            }
            for (series, minutes) in store::rollups_at(&mut on, device, at).await? {
                if let Some(w) = work.get_mut(&(series, at)) {
                    w.minutes = Some(minutes);
                }
            }
        }
        Ok(())
    }
}

/// Folds one series' hour. What is stored and damaged is left where it is and not built upon.
fn fold((series, at): (i64, i64), work: Work) -> Result<Done, super::codec::Damaged> {
    let mut part = work.part;
    let old = match work.chunk.as_deref().map(block::read) {
        Some(Ok(points)) => points,
        Some(Err(e)) => {
            tracing::error!(series, hour = at, error = %e, "a chunk is damaged; the hour goes on in another part");
            part = None;
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut hour = match work.minutes.as_deref().map(|b| Hour::read(at, b)) {
        Some(Ok(hour)) => hour,
        stored => {
            if let Some(Err(e)) = stored {
                tracing::error!(series, hour = at, error = %e, "a rollup is damaged; it is made again from the chunk");
            }
            let mut hour = Hour::default();
            for (t, v) in &old {
                hour.add(*t, *v);
            }
            hour
        }
    };
    for (t, v) in &work.fresh {
        hour.add(*t, *v);
    }
    let newest = work.fresh.iter().copied().max_by_key(|p| p.0).unwrap_or_default();
    let points = block::merge(old, work.fresh);
    let whole = hour.whole().ok_or(super::codec::Damaged("an hour without samples"))?;
    let samples = i64::try_from(points.len()).unwrap_or(i64::MAX);
    Ok(Done { series, hour: at, part, samples, chunk: block::write(&points)?, whole, minutes: hour.write(), newest })
}

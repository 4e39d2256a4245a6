//! Reading back: chunks or rollups for what is folded, the tail for what is not, decimated to what a chart can show.
//!
//! The coarser sources are used only where an interval of the chart is at least as long as theirs, and they hold real samples, so a chart never
//! shows a point that wasn't measured.

use super::{
    Core, Error,
    block::{self, hour},
    decimate::decimate,
    rollup::Hour,
    store::{self, Piece, Range},
};
use crate::{
    Result,
    access::{Act, Actor, may},
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use wire::{
    Timestamp,
    telemetry::{History, HistoryQuery, LatestValue, Series},
};

/// Samples that are read one by one without a second thought.
const LIGHT: i64 = 200_000;
/// Samples that are read one by one where nothing coarser fits the interval.
const HEAVY: i64 = 5_000_000;
/// Longest range: a little more than rollups are kept.
const LONGEST_MS: i64 = 400 * 24 * 3_600_000;
/// How often a read looks again when folding moved under it.
const TRIES: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Samples,
    Minutes,
    Hours,
}

type Points = BTreeMap<String, Vec<(i64, f64)>>;

impl Core {
    pub(super) async fn history(&self, actor: &Actor, q: &HistoryQuery, device: i64) -> Result<History> {
        may(actor, Act::Read)?;
        if q.to <= q.from || q.to.since(q.from) > LONGEST_MS {
            return Err(Error::Query("The range must end after it begins and be at most 400 days long.").into());
        }
        if !(10..=2_000).contains(&q.points) {
            return Err(Error::Query("Ask for 10 to 2,000 points.").into());
        }
        let mut shared = super::tail::Tail::shared(&self.db);
        for _ in 0..TRIES {
            if shared {
                self.catch_up().await?;
            }
            if let Some((points, coarse)) = self.read(actor, q, device).await? {
                return Ok(present(points, q, coarse));
            }
            // Folding stepped between our reads. If it was another instance's, the tail must learn of it.
            shared = super::tail::Tail::shared(&self.db);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Err(Error::Moving.into())
    }

    /// All points of the range, and whether they came from rollups; none when the store and the tail were of different generations.
    async fn read(&self, actor: &Actor, q: &HistoryQuery, device: i64) -> Result<Option<(Points, bool)>> {
        let only = if let [one] = &q.metrics[..] { one.as_str() } else { "" };
        let range = Range { org: &actor.org, device, first: hour(q.from.0), last: hour(q.to.0 - 1), metric: only };
        let wanted = |metric: &str| q.metrics.is_empty() || q.metrics.iter().any(|m| m == metric);
        let mut on = self.db.read().await?;
        let weights = store::weigh(&mut on, range).await?;
        let mut generation = weights.first().map(|w| w.0);
        let weight = weights.iter().filter(|w| w.1.as_deref().is_some_and(wanted)).filter_map(|w| w.2).sum();
        let source = source(weight, q, self.clock.now());
        let pieces = match source {
            Source::Samples => store::chunks_of(&mut on, range).await?,
            Source::Minutes => store::minutes_of(&mut on, range).await?,
            Source::Hours => store::hours_of(&mut on, range).await?,
        };
        drop(on);
        if pieces.iter().any(|p| Some(p.generation) != generation) {
            generation = None;
        }
        let (in_memory, segments) = self.tail.of(device);
        if generation != Some(in_memory) {
            return Ok(None);
        }
        let wanted_pieces: Vec<_> = pieces.into_iter().filter(|p| p.metric.as_deref().is_some_and(wanted)).collect();
        let names: HashMap<i64, String> = wanted_pieces.iter().filter_map(|p| Some((p.id?, p.metric.clone()?))).collect();
        let (unpacked, damaged) = tokio::task::spawn_blocking(move || unpack(wanted_pieces))
            .await
            .map_err(|e| crate::db::Error::corrupt(format!("unpacking ended early: {e}")))?;
        self.stats.damaged(damaged);
        let mut points = unpacked;
        for p in segments.iter().flat_map(|s| s.points.iter()) {
            if let Some(name) = names.get(&p.series) {
                points.entry(name.clone()).or_default().push((p.t, p.v));
            }
        }
        Ok(Some((points, source != Source::Samples)))
    }

    pub(super) async fn latest(&self, org: &wire::ids::OrgId, device: i64) -> Result<Vec<LatestValue>> {
        let device = self.device(org, device).await?;
        let state = device.lock();
        let value =
            |m: &super::series::Metric| m.latest.map(|(t, v)| LatestValue { metric: m.name.to_string(), at: Timestamp(t), value: v });
        let mut out: Vec<_> = state.metrics().iter().filter_map(value).collect();
        out.sort_by(|a, b| a.metric.cmp(&b.metric));
        Ok(out)
    }
}

/// Which source shows the range well enough at the least cost. Of what is older than samples are kept only rollups are left.
fn source(samples: i64, q: &HistoryQuery, now: Timestamp) -> Source {
    let interval = q.to.since(q.from) / i64::from(q.points / 2).max(1);
    let kept = now.since(q.from) <= super::SAMPLES_MS;
    if samples <= LIGHT && kept {
        Source::Samples
    } else if interval >= block::HOUR_MS {
        Source::Hours
    } else if interval >= 60_000 || samples > HEAVY || !kept {
        Source::Minutes
    } else {
        Source::Samples
    }
}

/// The points of stored pieces, by metric, and how many pieces were damaged and left out.
fn unpack(pieces: Vec<Piece>) -> (Points, usize) {
    let mut out = Points::new();
    let mut damaged = 0;
    for p in pieces {
        let Some(metric) = p.metric else { continue };
        let points = if let Some(chunk) = p.data {
            block::read(&chunk)
        } else if let (Some(at), Some(minutes)) = (p.hour, p.minutes) {
            Hour::read(at, &minutes).map(|h| h.minutes().flat_map(super::rollup::Rollup::points).collect())
        } else if let (Some(low), Some(high), Some(last)) = (p.low_t.zip(p.low), p.high_t.zip(p.high), p.last_t.zip(p.last_v)) {
            Ok(super::rollup::Rollup { samples: 0, total: 0.0, least: low, greatest: high, last }.points())
        } else {
            continue;
        };
        match points {
            Ok(points) => out.entry(metric).or_default().extend(points),
            Err(e) => {
                tracing::error!(series = p.id, error = %e, "a stored piece of history is damaged; the rest is served");
                damaged += 1;
            }
        }
    }
    (out, damaged)
}

fn present(points: Points, q: &HistoryQuery, coarse: bool) -> History {
    let mut decimated = coarse;
    let mut series = Vec::with_capacity(points.len());
    for (metric, mut points) in points {
        points.retain(|p| (q.from.0..q.to.0).contains(&p.0));
        if points.is_empty() {
            continue;
        }
        if !points.is_sorted_by_key(|p| p.0) {
            points.sort_by_key(|p| p.0);
        }
        let (points, left_out) = decimate(points, q.from.0, q.to.0, q.points as usize);
        decimated |= left_out;
        let (t, v) = points.into_iter().unzip();
        series.push(Series { metric, t, v });
    }
    History { series, decimated }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_fits_the_chart() {
        let now = Timestamp(24 * 365 * 3_600_000);
        let q = |ago: i64, hours: i64, points: u32| {
            let (from, to) = (now.plus(-ago * 3_600_000), now.plus((hours - ago) * 3_600_000));
            HistoryQuery { device_id: "d".parse().unwrap(), metrics: vec![], from, to, points }
        };
        assert_eq!(source(100_000, &q(24, 24, 300), now), Source::Samples);
        assert_eq!(source(864_000, &q(24, 24, 300), now), Source::Minutes);
        assert_eq!(source(864_000, &q(1, 1, 300), now), Source::Samples);
        assert_eq!(source(86_400_000, &q(1, 1, 300), now), Source::Minutes);
        assert_eq!(source(10_000_000, &q(24 * 365, 24 * 365, 300), now), Source::Hours);
        assert_eq!(source(10, &q(24 * 31, 1, 300), now), Source::Minutes, "the samples are gone by then");
    }
}

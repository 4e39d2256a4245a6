//! Pure: what many samples come to — count, sum, least, greatest and last, each extreme with the time of the sample it was.
//!
//! Merging is associative and does not depend on order, but for the last bits of the sum.

use super::codec::{Damaged, Reader, put, seal, unseal, unsealed};
use std::collections::BTreeMap;

const VERSION: u8 = 1;
const MINUTE_MS: i64 = 60_000;

/// Many samples as one. Never empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rollup {
    /// How many.
    pub samples: u64,
    /// Their sum, kept within the finite numbers.
    pub total: f64,
    /// The least value and the earliest time it was measured.
    pub least: (i64, f64),
    /// The greatest value and the earliest time it was measured.
    pub greatest: (i64, f64),
    /// The newest; of several at one instant the greatest.
    pub last: (i64, f64),
}

impl Rollup {
    /// One sample.
    pub const fn of(t: i64, v: f64) -> Self {
        Self { samples: 1, total: v, least: (t, v), greatest: (t, v), last: (t, v) }
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let earliest = |a: (i64, f64), b: (i64, f64), less: bool| match a.1.total_cmp(&b.1) {
            std::cmp::Ordering::Equal => {
                if a.0 <= b.0 {
                    a
                } else {
                    b
                }
            }
            order => {
                if (order == std::cmp::Ordering::Less) == less {
                    a
                } else {
                    b
                }
            }
        };
        let newer = |a: (i64, f64), b: (i64, f64)| if (a.0, 0).cmp(&(b.0, 0)).then(a.1.total_cmp(&b.1)).is_ge() { a } else { b };
        Self {
            samples: self.samples.saturating_add(other.samples),
            total: (self.total + other.total).clamp(f64::MIN, f64::MAX),
            least: earliest(self.least, other.least, true),
            greatest: earliest(self.greatest, other.greatest, false),
            last: newer(self.last, other.last),
        }
    }

    /// The samples it remembers, in order of time, each once.
    pub fn points(&self) -> Vec<(i64, f64)> {
        let mut out = vec![self.least, self.greatest, self.last];
        out.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        out.dedup_by(|a, b| a.0 == b.0 && a.1.total_cmp(&b.1).is_eq());
        out
    }
}

/// One hour of a series by minutes 0–59; never empty once something was added.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Hour {
    minutes: BTreeMap<u8, Rollup>,
}

impl Hour {
    /// Adds a sample of this hour.
    pub fn add(&mut self, t: i64, v: f64) {
        let one = Rollup::of(t, v);
        self.minutes.entry(minute(t)).and_modify(|m| *m = m.with(one)).or_insert(one);
    }
    /// The whole hour as one; none while it is empty.
    pub fn whole(&self) -> Option<Rollup> {
        self.minutes.values().copied().reduce(Rollup::with)
    }
    /// Its minutes in order.
    pub fn minutes(&self) -> impl Iterator<Item = &Rollup> {
        self.minutes.values()
    }

    /// Its bytes: per minute `minute, count, time in the minute, value`; where there are several samples then the other extremes and the sum.
    pub fn write(&self) -> Vec<u8> {
        let mut out = unsealed(self.minutes.len() * 24);
        for (minute, m) in &self.minutes {
            out.push(*minute);
            put(&mut out, m.samples);
            let mut point = |p: (i64, f64)| {
                put(&mut out, p.0.rem_euclid(MINUTE_MS).unsigned_abs());
                out.extend_from_slice(&p.1.to_le_bytes());
            };
            point(m.last);
            if m.samples > 1 {
                point(m.least);
                point(m.greatest);
                out.extend_from_slice(&m.total.to_le_bytes());
            }
        }
        seal(VERSION, out)
    }

    /// Reads what [`Hour::write`] wrote for this Unix hour.
    pub fn read(hour: i64, blob: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader(unseal(VERSION, blob)?);
        let mut minutes = BTreeMap::new();
        while !r.done() {
            let [minute] = r.take()?;
            let samples = r.get()?;
            let start = hour * super::block::HOUR_MS + i64::from(minute) * MINUTE_MS;
            let mut point = || -> Result<(i64, f64), Damaged> {
                let t = i64::try_from(r.get()?).map_err(|_| Damaged("time out of its minute"))?;
                Ok((start.saturating_add(t), r.float()?))
            };
            let last = point()?;
            let rollup = if samples > 1 {
                let (least, greatest) = (point()?, point()?);
                Rollup { samples, total: r.float()?, least, greatest, last }
            } else {
                Rollup::of(last.0, last.1)
            };
            minutes.insert(minute, rollup);
        }
        Ok(Self { minutes })
    }
}

fn minute(t: i64) -> u8 {
    u8::try_from(t.rem_euclid(super::block::HOUR_MS) / MINUTE_MS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some() -> impl Strategy<Value = Rollup> {
        // Small whole numbers: their sums are exact, so equality is equality.
        prop::collection::vec((0_i64..3_600_000, -1000_i32..1000), 1..20)
            .prop_map(|v| v.into_iter().map(|(t, v)| Rollup::of(t, f64::from(v))).reduce(Rollup::with).unwrap())
    }

    proptest! {
        #[test]
        fn merging_is_associative_and_blind_to_order(a in some(), b in some(), c in some()) {
            prop_assert_eq!(a.with(b).with(c), a.with(b.with(c)));
            prop_assert_eq!(a.with(b), b.with(a));
        }

        #[test]
        fn an_hour_comes_back_and_says_what_its_samples_say(points in prop::collection::vec((0_i64..3_600_000, -1e6..1e6_f64), 1..200), hour in -10_i64..600_000) {
            let base = hour * 3_600_000;
            let mut h = Hour::default();
            for (t, v) in &points {
                h.add(base + t, *v);
            }
            prop_assert_eq!(&Hour::read(hour, &h.write()).unwrap(), &h);
            let whole = h.whole().unwrap();
            prop_assert_eq!(whole.samples, points.len() as u64);
            prop_assert_eq!(whole.least.1.to_bits(), points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min).to_bits());
            prop_assert_eq!(whole.greatest.1.to_bits(), points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max).to_bits());
            prop_assert_eq!(whole.last.0, base + points.iter().map(|p| p.0).max().unwrap());
            for m in h.minutes() {
                for p in m.points() {
                    prop_assert!(points.contains(&(p.0 - base, p.1)), "a rollup remembers only what was measured");
                }
            }
        }
    }

    #[test]
    fn the_greatest_numbers_do_not_overflow_the_sum() {
        let sum = Rollup::of(1, f64::MAX).with(Rollup::of(2, f64::MAX)).with(Rollup::of(3, f64::MIN));
        assert!(sum.total.is_finite());
    }
}

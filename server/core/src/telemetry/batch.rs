//! Pure: the bytes of one log row — what a group commit stores of many devices at once.
//!
//! Version 1, after the seal: per device `device, count, first time`, then per sample `series, time step` as varints and the value's 8 bytes.

use super::{
    Point,
    codec::{Damaged, Reader, put, put_signed, seal, unseal, unsealed},
};

const VERSION: u8 = 1;

/// Builds one row.
#[derive(Debug)]
pub(super) struct Batch {
    blob: Vec<u8>,
    samples: i64,
}

impl Batch {
    /// An empty row with room for about so many samples.
    pub fn sized(samples: usize) -> Self {
        Self { blob: unsealed(samples * 13 + 64), samples: 0 }
    }
    /// Adds samples of a device, in the order they were received.
    pub fn push(&mut self, device: i64, points: &[Point]) {
        let Some(first) = points.first() else { return };
        put_signed(&mut self.blob, device);
        put(&mut self.blob, points.len() as u64);
        put_signed(&mut self.blob, first.t);
        let mut before = first.t;
        for p in points {
            put_signed(&mut self.blob, p.series);
            put_signed(&mut self.blob, p.t.wrapping_sub(before));
            self.blob.extend_from_slice(&p.v.to_le_bytes());
            before = p.t;
        }
        self.samples += i64::try_from(points.len()).unwrap_or(i64::MAX);
    }
    /// How many samples it holds.
    pub const fn samples(&self) -> i64 {
        self.samples
    }
    /// The finished bytes.
    pub fn finish(self) -> Vec<u8> {
        seal(VERSION, self.blob)
    }
}

/// What a row holds, by device, in order.
pub(super) type Devices = Vec<(i64, Vec<Point>)>;

/// Reads a row.
pub(super) fn read(blob: &[u8]) -> Result<Devices, Damaged> {
    let mut r = Reader(unseal(VERSION, blob)?);
    let mut out = Vec::new();
    while !r.done() {
        let device = r.get_signed()?;
        let count = r.count()?;
        let mut t = r.get_signed()?;
        let mut points = Vec::with_capacity(count);
        for _ in 0..count {
            let series = r.get_signed()?;
            t = t.wrapping_add(r.get_signed()?);
            points.push(Point { series, t, v: r.float()? });
        }
        out.push((device, points));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points() -> impl Strategy<Value = Vec<Point>> {
        prop::collection::vec((any::<i64>(), any::<i64>(), -1e300..1e300_f64), 1..50)
            .prop_map(|v| v.into_iter().map(|(series, t, v)| Point { series, t, v }).collect())
    }

    proptest! {
        #[test]
        fn a_row_comes_back(devices in prop::collection::vec((any::<i64>(), points()), 0..20)) {
            let mut batch = Batch::sized(10);
            for (device, points) in &devices {
                batch.push(*device, points);
            }
            prop_assert_eq!(batch.samples(), i64::try_from(devices.iter().map(|d| d.1.len()).sum::<usize>()).unwrap());
            prop_assert_eq!(read(&batch.finish()).unwrap(), devices);
        }

        #[test]
        fn a_cut_row_is_noticed(points in points(), at: prop::sample::Index) {
            let mut batch = Batch::sized(10);
            batch.push(1, &points);
            let blob = batch.finish();
            prop_assert!(read(&blob[..at.index(blob.len())]).is_err());
        }
    }
}

//! Pure: the bytes of one chunk — samples of one series and hour, times and values each as a compressed column (pco).
//!
//! Samples are kept in order of time; samples of the same instant in the order they were received. Nothing is dropped: two samples of one
//! instant are two samples.

use super::codec::{Damaged, Reader, put, seal, unseal, unsealed};
use pco::{ChunkConfig, standalone};

const VERSION: u8 = 1;

/// Milliseconds of the hour that a chunk covers.
pub(super) const HOUR_MS: i64 = 3_600_000;

/// The Unix hour of an instant.
pub(super) const fn hour(t: i64) -> i64 {
    t.div_euclid(HOUR_MS)
}

/// Merges `new` behind `old`, both as (time, value), and puts them into order. Stable: of one instant, old before new.
pub(super) fn merge(mut old: Vec<(i64, f64)>, new: impl IntoIterator<Item = (i64, f64)>) -> Vec<(i64, f64)> {
    old.extend(new);
    if !old.is_sorted_by_key(|p| p.0) {
        old.sort_by_key(|p| p.0);
    }
    old
}

/// The bytes of a chunk.
pub(super) fn write(points: &[(i64, f64)]) -> Result<Vec<u8>, Damaged> {
    // Level 6 of 12 costs half of the default's time and next to nothing in size on an hour of samples.
    let config = ChunkConfig::default().with_compression_level(6);
    let (times, values): (Vec<i64>, Vec<f64>) = points.iter().copied().unzip();
    let times = standalone::simple_compress(&times, &config).map_err(|_| Damaged("times don't compress"))?;
    let values = standalone::simple_compress(&values, &config).map_err(|_| Damaged("values don't compress"))?;
    let mut out = unsealed(times.len() + values.len() + 10);
    put(&mut out, times.len() as u64);
    out.extend_from_slice(&times);
    out.extend_from_slice(&values);
    Ok(seal(VERSION, out))
}

/// The samples of a chunk.
pub(super) fn read(blob: &[u8]) -> Result<Vec<(i64, f64)>, Damaged> {
    let mut r = Reader(unseal(VERSION, blob)?);
    let length = r.count()?;
    let times = standalone::simple_decompress::<i64>(r.slice(length)?).map_err(|_| Damaged("times don't decompress"))?;
    let values = standalone::simple_decompress::<f64>(r.0).map_err(|_| Damaged("values don't decompress"))?;
    if times.len() != values.len() {
        return Err(Damaged("columns of different length"));
    }
    Ok(times.into_iter().zip(values).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_chunk_comes_back_bit_for_bit(points in prop::collection::vec((any::<i64>(), any::<f64>()), 0..300)) {
            let back = read(&write(&points).unwrap()).unwrap();
            let bits = |v: &[(i64, f64)]| v.iter().map(|p| (p.0, p.1.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&points));
        }

        #[test]
        fn merging_in_parts_is_merging_at_once(points in prop::collection::vec((0_i64..50, -10.0..10.0_f64), 0..60), cut: prop::sample::Index) {
            let at = cut.index(points.len() + 1);
            let parts = merge(merge(Vec::new(), points[..at].to_vec()), points[at..].to_vec());
            prop_assert_eq!(parts, merge(Vec::new(), points));
        }
    }

    #[test]
    fn an_hour_of_a_steady_gauge_takes_few_bytes() {
        let points: Vec<_> = (0..3600)
            .map(|i| (1_795_341_600_000 + i * 1000 + (i * 7919) % 5, f64::from(u32::try_from(i * 31 % 200).unwrap()) / 10.0))
            .collect();
        let bytes = write(&points).unwrap().len();
        assert!(bytes < 3 * points.len(), "{bytes} bytes for {} samples", points.len());
    }
}

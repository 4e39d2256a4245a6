//! Pure: fewer points that still show the same picture — of each interval the least and the greatest, never a point that wasn't measured.

/// At most `most` of these points (in order of time, all within `from..to`), and whether any were left out. Keeps the least and the greatest
/// of every interval, so no spike disappears; what fits is returned as it is.
pub(super) fn decimate(points: Vec<(i64, f64)>, from: i64, to: i64, most: usize) -> (Vec<(i64, f64)>, bool) {
    if points.len() <= most || most < 2 {
        return (points, false);
    }
    let intervals = i128::try_from(most / 2).unwrap_or(1);
    let span = i128::from(to.saturating_sub(from)).max(1);
    let interval = |t: i64| i128::from(t.saturating_sub(from)) * intervals / span;
    let mut out = Vec::with_capacity(most);
    let mut rest = points.as_slice();
    while let Some(first) = rest.first() {
        let here = interval(first.0);
        let end = rest.iter().position(|p| interval(p.0) != here).unwrap_or(rest.len());
        let (now, later) = rest.split_at(end);
        let (mut low, mut high) = (0, 0);
        for (i, p) in now.iter().enumerate() {
            if p.1.total_cmp(&now[low].1).is_lt() {
                low = i;
            }
            if p.1.total_cmp(&now[high].1).is_gt() {
                high = i;
            }
        }
        out.push(now[low.min(high)]);
        if low != high {
            out.push(now[low.max(high)]);
        }
        rest = later;
    }
    (out, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_invents_nothing_keeps_extremes_and_order(
            mut points in prop::collection::vec((0_i64..100_000, -1e9..1e9_f64), 0..2000), most in 10_usize..300,
        ) {
            points.sort_by_key(|p| p.0);
            let (kept, left_out) = decimate(points.clone(), 0, 100_000, most);
            prop_assert!(kept.len() <= most);
            prop_assert_eq!(left_out, points.len() > most);
            prop_assert!(kept.is_sorted_by_key(|p| p.0));
            // A subsequence: every kept point is found in the original, each one after the one before.
            let mut all = points.iter();
            prop_assert!(kept.iter().all(|k| all.any(|p| p == k)));
            if !points.is_empty() {
                let least = |v: &[(i64, f64)]| v.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
                let greatest = |v: &[(i64, f64)]| v.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
                prop_assert_eq!(least(&kept).to_bits(), least(&points).to_bits());
                prop_assert_eq!(greatest(&kept).to_bits(), greatest(&points).to_bits());
            }
        }
    }
}

//! Pure: two groups of numbers compared by their ranks.
//!
//! The test is Mann and Whitney's U, one-sided, with midranks for ties: up to 40 numbers in all by counting every way to divide them, beyond that by
//! the normal distribution with the correction for ties and for continuity. It asks nothing of how the numbers are distributed, and a monotone change of their scale
//! changes nothing. The effect is the probability that one of the first group is greater than one of the second (Vargha and Delaney's A), with Newcombe's
//! interval (Statistics in Medicine 25, 2006, method 5), which holds where all of a group are greater as well. The shift is Hodges and Lehmann's median of all
//! differences, with the interval that belongs to the test.

#![expect(clippy::float_cmp, reason = "numbers are tied only when they are the same")]

use std::cmp::Ordering;

/// Numbers of both groups together up to which every division is counted.
const COUNTED: usize = 40;

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// The first group's median.
    pub median: f64,
    /// The second group's.
    pub other_median: f64,
    /// How likely one of the first is greater than one of the second, 0 to 1; equal ones count half.
    pub greater: f64,
    /// The interval of that.
    pub greater_within: (f64, f64),
    /// How far the first group lies above the second.
    pub shift: f64,
    /// The interval of that.
    pub shift_within: (f64, f64),
    /// The probability of so great a difference or a greater one upwards when there is none.
    pub p: f64,
    /// Every division was counted.
    pub exact: bool,
}

/// Whether the first group lies above the second; the intervals are two-sided at `confidence` (0 to 1). None when a group is empty or has something that
/// is no number.
pub fn compare(first: &[f64], second: &[f64], confidence: f64) -> Option<Ranked> {
    let (first, second) = (sorted(first)?, sorted(second)?);
    let (n, m) = (real(first.len()), real(second.len()));
    let (wins, spread) = (wins(&first, &second), spread(&first, &second));
    let exact = first.len() + second.len() <= COUNTED;
    let p = if exact { counted(&first, &second) } else { approximated(wins, n * m, spread) };
    let far = quantile((1.0 - confidence) / 2.0);
    let greater = wins / (n * m);
    Some(Ranked {
        median: median(&first),
        other_median: median(&second),
        greater,
        greater_within: newcombe(greater, (n, m), far),
        shift: shift(&first, &second),
        shift_within: shift_within(&first, &second, far * spread),
        p,
        exact,
    })
}

/// The smallest probability that groups of these sizes can have: all of the first above all of the second.
pub fn least_p(first: u32, second: u32) -> f64 {
    let (n, m) = (f64::from(first.min(second)), f64::from(first.max(second)));
    let mut divisions = 1.0_f64;
    let mut k = 1.0;
    while k <= n && divisions < 1e18 {
        divisions *= (m + k) / k;
        k += 1.0;
    }
    1.0 / divisions
}

#[expect(clippy::cast_precision_loss, reason = "numbers of devices, far below 2⁵³")]
const fn real(n: usize) -> f64 {
    n as f64
}

/// In order, held so far from the ends of the numbers that a difference is one, too.
fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut out: Vec<f64> = values.iter().map(|v| v.clamp(f64::MIN / 4.0, f64::MAX / 4.0) + 0.0).collect();
    out.sort_unstable_by(f64::total_cmp);
    Some(out)
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
        (0, Some(low), Some(high)) => f64::midpoint(*low, *high),
        (_, _, Some(one)) => *one,
        _ => 0.0,
    }
}

/// U: pairs in which the first is greater, equal ones half.
fn wins(a: &[f64], b: &[f64]) -> f64 {
    let (mut below, mut up_to) = (0, 0);
    let mut u = 0.0;
    for x in a {
        while b.get(below).is_some_and(|y| y < x) {
            below += 1;
        }
        up_to = up_to.max(below);
        while b.get(up_to).is_some_and(|y| y <= x) {
            up_to += 1;
        }
        u += f64::midpoint(real(below), real(up_to));
    }
    u
}

/// Both groups in order, and for each number whether it is of the first.
fn pooled(a: &[f64], b: &[f64]) -> Vec<(f64, bool)> {
    let mut all: Vec<(f64, bool)> = a.iter().map(|v| (*v, true)).chain(b.iter().map(|v| (*v, false))).collect();
    all.sort_by(|x, y| x.0.partial_cmp(&y.0).unwrap_or(Ordering::Equal));
    all
}

/// The standard deviation of U when there is no difference, with the correction for ties.
fn spread(a: &[f64], b: &[f64]) -> f64 {
    let all = pooled(a, b);
    let size = real(all.len());
    if all.len() < 2 {
        return 0.0;
    }
    let ties: f64 = all.chunk_by(|x, y| x.0 == y.0).map(|tied| real(tied.len()).powi(3) - real(tied.len())).sum();
    (real(a.len()) * real(b.len()) / 12.0 * ((size + 1.0) - ties / (size * (size - 1.0)))).max(0.0).sqrt()
}

fn approximated(u: f64, pairs: f64, spread: f64) -> f64 {
    if spread <= 0.0 {
        return 1.0;
    }
    above((u - pairs / 2.0 - 0.5) / spread)
}

/// The share of all divisions whose first group has a sum of ranks as great or greater. Ranks are doubled, so that midranks are whole.
fn counted(a: &[f64], b: &[f64]) -> f64 {
    let all = pooled(a, b);
    let (mut ranks, mut before, mut held) = (Vec::with_capacity(all.len()), 0, 0);
    for tied in all.chunk_by(|x, y| x.0 == y.0) {
        let rank = 2 * before + tied.len() + 1;
        before += tied.len();
        held += rank * tied.iter().filter(|t| t.1).count();
        ranks.extend(std::iter::repeat_n(rank, tied.len()));
    }
    // ways[k][s]: how many choices of k ranks add up to s.
    let (size, greatest) = (a.len(), ranks.iter().sum::<usize>());
    let mut ways = vec![vec![0.0_f64; greatest + 1]; size + 1];
    ways[0][0] = 1.0;
    for (taken, rank) in ranks.iter().enumerate() {
        for k in (1..=size.min(taken + 1)).rev() {
            let (fewer, more) = ways.split_at_mut(k);
            let (Some(fewer), Some(more)) = (fewer.last(), more.first_mut()) else { continue };
            for (with, without) in more.iter_mut().skip(*rank).zip(fewer) {
                *with += without;
            }
        }
    }
    let row = &ways[size];
    row.iter().skip(held).sum::<f64>() / row.iter().sum::<f64>()
}

/// Newcombe's interval of a probability of being greater.
fn newcombe(greater: f64, (n, m): (f64, f64), z: f64) -> (f64, f64) {
    let more = f64::midpoint(n, m) - 1.0;
    let variance = |t: f64| t * (1.0 - t) * (1.0 + more * ((1.0 - t) / (2.0 - t) + t / (1.0 + t))) / (n * m);
    let within = |t: f64| (greater - t).abs() <= z * variance(t).sqrt();
    let (mut low, mut inside) = (0.0, greater);
    for _ in 0..60 {
        let middle = f64::midpoint(low, inside);
        if within(middle) { inside = middle } else { low = middle }
    }
    let (mut high, mut under) = (1.0, greater);
    for _ in 0..60 {
        let middle = f64::midpoint(high, under);
        if within(middle) { under = middle } else { high = middle }
    }
    (inside, under)
}

/// The median of all differences.
fn shift(a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.len() * b.len();
    f64::midpoint(difference(a, b, (pairs - 1) / 2), difference(a, b, pairs / 2))
}

/// The differences that are `far` pairs from the middle one.
fn shift_within(a: &[f64], b: &[f64], far: f64) -> (f64, f64) {
    let pairs = a.len() * b.len();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1, at most half of the pairs")]
    let first = (real(pairs) / 2.0 - far).floor().max(1.0) as usize;
    (difference(a, b, first - 1), difference(a, b, pairs - first))
}

/// The difference at this place of all, in their order, from 0. They are not written down: a place is found by halving between the smallest and the greatest,
/// in as many passes over the groups as a number has bits.
fn difference(a: &[f64], b: &[f64], place: usize) -> f64 {
    let (Some(least), Some(most)) = (a.first().zip(b.last()), a.last().zip(b.first())) else { return 0.0 };
    let (mut low, mut high) = (order(least.0 - least.1), order(most.0 - most.1));
    while low < high {
        let middle = low + (high - low) / 2;
        if up_to(a, b, number(middle)) > place { high = middle } else { low = middle + 1 }
    }
    number(low) + 0.0
}

/// How many differences are at most this.
fn up_to(a: &[f64], b: &[f64], most: f64) -> usize {
    let (mut from, mut found) = (0, 0);
    for x in a {
        while b.get(from).is_some_and(|y| x - y > most) {
            from += 1;
        }
        found += b.len() - from;
    }
    found
}

/// Numbers in the order of whole ones (IEEE 754, total order).
const fn order(x: f64) -> u64 {
    let bits = x.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

const fn number(order: u64) -> f64 {
    f64::from_bits(if order >> 63 == 1 { order & !(1 << 63) } else { !order })
}

/// The probability that a standard normal number is above `z`: near the middle by Marsaglia's series, far out by Laplace's continued fraction.
fn above(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - above(-z);
    }
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z < 3.0 {
        let (mut term, mut sum, mut k) = (z, z, 1.0);
        while term > sum * 1e-17 {
            k += 2.0;
            term *= z * z / k;
            sum += term;
        }
        return 0.5 - density * sum;
    }
    let fraction = (1..=80).rev().fold(z, |tail, k| z + f64::from(k) / tail);
    density / fraction
}

/// The number above which a standard normal one is with this probability, up to a half.
fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if above(middle) > p { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests;

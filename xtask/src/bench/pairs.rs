//! Paired measurement and its statistics.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::report::shown;
use super::workloads::VALUE;
use crate::process;

/// The figures of one measurement by name: the result, in the workload's unit, and what was seen beside it.
pub type Measured = BTreeMap<String, f64>;

/// Takes one measurement.
pub type Measure = Box<dyn FnMut() -> Result<Measured>>;

/// Measurements of two sides, taken in turn.
pub struct Pairs {
    pairs: Vec<(Measured, Measured)>,
}

impl Pairs {
    /// One warm-up of each side, then `count` pairs. Every second pair runs in the other order, so that what one side
    /// leaves behind (caches, heat) does not always meet the same one.
    pub fn measure(name: &str, count: usize, mut ours: Measure, mut other: Measure) -> Result<Self> {
        ensure!(count >= 3, "fewer than 3 pairs say nothing");
        println!("{name}: warming up");
        ours()?;
        other()?;
        let mut pairs = Vec::with_capacity(count);
        for round in 0..count {
            process::pause(std::time::Duration::ZERO)?;
            let (a, b) = if round % 2 == 0 {
                let a = ours()?;
                (a, other()?)
            } else {
                let b = other()?;
                (ours()?, b)
            };
            let (x, y) = (value(&a), value(&b));
            println!("{name}: pair {} of {count}: {} and {}, ratio {:.3}", round + 1, shown(x), shown(y), x / y);
            pairs.push((a, b));
        }
        Ok(Self { pairs })
    }

    /// The results of all pairs, ours first.
    pub fn all(&self) -> impl ExactSizeIterator<Item = (f64, f64)> {
        self.pairs.iter().map(|(ours, other)| (value(ours), value(other)))
    }

    /// The median of each figure on either side, by name; for orientation only, but what a goal is held against.
    pub fn medians(&self) -> BTreeMap<&str, (f64, f64)> {
        let names = self.pairs.iter().flat_map(|(ours, other)| ours.keys().chain(other.keys()));
        let of = |name: &str, side: fn(&(Measured, Measured)) -> &Measured| {
            median(self.pairs.iter().filter_map(|pair| side(pair).get(name).copied()))
        };
        names.map(|name| (name.as_str(), (of(name, |pair| &pair.0), of(name, |pair| &pair.1)))).collect()
    }

    /// The result: the median of ours ÷ other.
    pub fn ratio(&self) -> f64 {
        median(self.ratios())
    }

    /// The smallest and the largest ratio seen.
    pub fn spread(&self) -> (f64, f64) {
        self.ratios().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), ratio| (low.min(ratio), high.max(ratio)))
    }

    /// The same for another figure of the measurements: the median ratio, the smallest and the largest.
    pub fn ratio_of(&self, figure: &str) -> (f64, f64, f64) {
        let ratio = |(ours, other): &(Measured, Measured)| Some(ours.get(figure)? / other.get(figure)?);
        let ratios: Vec<f64> = self.pairs.iter().filter_map(ratio).collect();
        let (low, high) = (ratios.iter().copied().fold(f64::INFINITY, f64::min), ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        (median(ratios.into_iter()), low, high)
    }

    fn ratios(&self) -> impl Iterator<Item = f64> {
        self.all().map(|(ours, other)| ours / other)
    }
}

fn value(measured: &Measured) -> f64 {
    measured.get(VALUE).copied().unwrap_or(f64::NAN)
}

/// The middle value, or the mean of the two middle ones. `NaN` for nothing.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    fn figures(value: f64) -> Measured {
        Measured::from([(VALUE.to_owned(), value)])
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!(close(median([3.0, 1.0, 2.0].into_iter()), 2.0));
        assert!(close(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5));
        assert!(median(std::iter::empty()).is_nan());
    }

    #[test]
    fn one_bad_moment_does_not_move_the_ratio() {
        let taken = [(10.0, 5.0), (100.0, 5.0), (12.0, 6.0), (8.0, 4.0), (20.0, 10.0)];
        let pairs = Pairs { pairs: taken.map(|(a, b)| (figures(a), figures(b))).into() };
        assert!(close(pairs.ratio(), 2.0));
        assert!(close(pairs.spread().1, 20.0));
    }

    #[test]
    fn sides_take_turns_in_both_orders() {
        use std::{cell::RefCell, rc::Rc};
        let order = Rc::new(RefCell::new(String::new()));
        let side = |letter: char| -> Measure {
            let order = Rc::clone(&order);
            Box::new(move || {
                order.borrow_mut().push(letter);
                Ok(figures(1.0))
            })
        };
        Pairs::measure("t", 3, side('a'), side('b')).unwrap();
        assert_eq!(*order.borrow(), "ababbaab");
    }
}

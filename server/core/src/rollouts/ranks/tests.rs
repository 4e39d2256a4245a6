//! The comparison against published results, and how often it is wrong.

use super::*;
use proptest::prelude::*;

fn near(a: f64, b: f64, within: f64) {
    assert!((a - b).abs() <= within, "{a} is not {b}");
}

/// A small generator, so that a thousand groups cost nothing.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
    }
    /// Skewed, as what devices measure mostly is.
    fn group(&mut self, size: usize, shift: f64, steps: f64) -> Vec<f64> {
        (0..size).map(|_| ((-(1.0 - self.unit() * 0.999).ln() + shift) * steps).round() / steps).collect()
    }
}

#[test]
fn it_agrees_with_what_is_published() {
    // Hollander and Wolfe, Nonparametric Statistical Methods, permeability of membranes; as R 4's wilcox.test has it: W = 35, p = 0.1272.
    let term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    let early = [1.15, 0.88, 0.90, 0.74, 1.21];
    let found = compare(&term, &early, 0.95).unwrap();
    near(found.p, 0.127_206_127_206, 1e-9);
    near(found.greater, 35.0 / 50.0, 1e-12);
    near(found.shift, 0.305, 1e-9);
    near(found.shift_within.0, -0.17, 1e-9);
    near(found.shift_within.1, 0.76, 1e-9);
    near(found.greater_within.0, 0.389_277_783, 1e-6);
    near(found.greater_within.1, 0.888_964_548, 1e-6);
    assert!(found.exact);
    // R's example of wilcox.test: ozone in New York, May and August 1973, with ties: W = 127.5, p = 0.0001208 for both sides.
    let may =
        [41., 36., 12., 18., 28., 23., 19., 8., 7., 16., 11., 14., 18., 14., 34., 6., 30., 11., 1., 11., 4., 32., 23., 45., 115., 37.];
    let august = [
        39., 9., 16., 78., 35., 66., 122., 89., 110., 44., 28., 65., 22., 59., 23., 31., 44., 21., 9., 45., 168., 73., 76., 118., 84., 85.,
    ];
    let found = compare(&august, &may, 0.95).unwrap();
    near(found.p * 2.0, 0.000_120_8, 5e-8);
    near((1.0 - found.greater) * 676.0, 127.5, 1e-9);
    near(found.shift, 32.0, 1e-9);
    assert!(!found.exact);
    // Ties in a small group, by counting all 924 divisions elsewhere.
    let tied = compare(&[1., 2., 2., 3., 5., 5.], &[1., 1., 2., 2., 4., 0.], 0.95).unwrap();
    near(tied.p, 0.084_415_584_415, 1e-9);
    // All above all: one division in 252.
    near(compare(&[6., 7., 8., 9., 10.], &[1., 2., 3., 4., 5.], 0.95).unwrap().p, 1.0 / 252.0, 1e-12);
    near(least_p(5, 5), 1.0 / 252.0, 1e-12);
    near(least_p(2, 3), 0.1, 1e-12);
    assert!(least_p(2000, 2000) < 1e-15);
}

#[test]
fn the_normal_distribution_is_the_one_of_the_tables() {
    for (z, p) in [(0.0, 0.5), (1.0, 0.158_655_253_931), (1.96, 0.024_997_895_148), (3.0, 0.001_349_898_032), (6.0, 9.865_876_45e-10)] {
        near(above(z) / p, 1.0, 1e-9);
        near(above(-z), 1.0 - p, 1e-11);
    }
    near(quantile(0.025), 1.959_963_984_54, 1e-9);
    near(quantile(0.005), 2.575_829_303_55, 1e-9);
}

#[test]
fn where_nothing_differs_nothing_is_found() {
    let same = compare(&[3.0; 30], &[3.0; 30], 0.99).unwrap();
    assert_eq!((same.p.to_bits(), same.shift.to_bits(), same.median.to_bits()), (1f64.to_bits(), 0f64.to_bits(), 3f64.to_bits()));
    near(same.greater, 0.5, 1e-12);
    let few = compare(&[3.0; 3], &[3.0; 3], 0.99).unwrap();
    near(few.p, 1.0, 1e-12);
    assert_eq!((compare(&[], &[1.0], 0.9), compare(&[f64::NAN], &[1.0], 0.9)), (None, None));
    let far = compare(&[f64::MAX; 5], &[f64::MIN; 5], 0.9).unwrap();
    assert!(far.shift.is_finite() && far.shift_within.1.is_finite());
}

#[test]
fn false_alarms_are_as_rare_as_the_level_says_and_a_shift_is_found() {
    let mut dice = Dice(7);
    // Small groups are counted, large ones approximated; coarse values bring ties.
    for (n, m, steps) in [(8, 12, 1000.0), (8, 12, 2.0), (30, 90, 1000.0), (30, 90, 2.0)] {
        let (mut alarms, mut found, mut covered) = (0, 0, 0);
        for _ in 0..1500 {
            let (a, b) = (dice.group(n, 0.0, steps), dice.group(m, 0.0, steps));
            let nothing = compare(&a, &b, 0.9).unwrap();
            alarms += i32::from(nothing.p <= 0.05);
            covered += i32::from(nothing.greater_within.0 <= 0.5 && 0.5 <= nothing.greater_within.1);
            found += i32::from(compare(&dice.group(n, 1.2, steps), &b, 0.9).unwrap().p <= 0.05);
        }
        // 75 expected; four standard deviations above that is 109.
        assert!(alarms <= 109, "{n} and {m}: {alarms} false alarms of 1,500 at 5 %");
        assert!(covered >= 1300, "{n} and {m}: {covered} of 1,500 intervals hold no difference");
        assert!(found >= if n == 8 { 1000 } else { 1450 }, "{n} and {m}: {found} of 1,500 shifts were found");
    }
}

fn group() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-40..40i32).prop_map(f64::from), 1..30)
}

proptest! {
    #[test]
    fn groups_change_places(a in group(), b in group()) {
        let (there, back) = (compare(&a, &b, 0.95).unwrap(), compare(&b, &a, 0.95).unwrap());
        prop_assert!((there.greater + back.greater - 1.0).abs() < 1e-12);
        prop_assert!((there.shift + back.shift).abs() < 1e-9);
        prop_assert!((there.shift_within.0 + back.shift_within.1).abs() < 1e-9);
        prop_assert!((there.greater_within.0 + back.greater_within.1 - 1.0).abs() < 1e-6);
        // Both sides hold the case itself.
        prop_assert!(there.p + back.p >= 1.0 - 1e-9);
        prop_assert!((0.0..=1.0 + 1e-12).contains(&there.p));
        prop_assert!(there.greater_within.0 <= there.greater && there.greater <= there.greater_within.1);
        prop_assert!(there.shift_within.0 <= there.shift && there.shift <= there.shift_within.1);
    }

    #[test]
    fn another_scale_changes_nothing(a in group(), b in group()) {
        let scaled = |of: &[f64]| of.iter().map(|v| (v / 10.0).exp()).collect::<Vec<_>>();
        let (plain, other) = (compare(&a, &b, 0.95).unwrap(), compare(&scaled(&a), &scaled(&b), 0.95).unwrap());
        prop_assert!((plain.p - other.p).abs() < 1e-12 && (plain.greater - other.greater).abs() < 1e-12);
    }

    #[test]
    fn its_numbers_are_those_of_the_definition(a in group(), b in group()) {
        let mut all: Vec<f64> = a.iter().flat_map(|x| b.iter().map(move |y| x - y)).collect();
        all.sort_unstable_by(f64::total_cmp);
        let found = compare(&a, &b, 0.95).unwrap();
        let wins: f64 = all.iter().map(|d| if *d > 0.0 { 1.0 } else if *d < 0.0 { 0.0 } else { 0.5 }).sum();
        prop_assert!((found.greater - wins / real(all.len())).abs() < 1e-12);
        prop_assert!((found.shift - median(&all)).abs() < 1e-12);
        let (x, y) = (sorted(&a).unwrap(), sorted(&b).unwrap());
        for place in [0, all.len() / 3, all.len() - 1] {
            prop_assert!((difference(&x, &y, place) - all[place]).abs() < 1e-12);
        }
    }

    #[test]
    fn a_greater_first_group_is_never_less_likely(a in group(), b in group(), by in 0..20i32) {
        let raised: Vec<f64> = a.iter().map(|v| v + f64::from(by)).collect();
        prop_assert!(compare(&raised, &b, 0.95).unwrap().greater >= compare(&a, &b, 0.95).unwrap().greater);
    }
}

//! Pure: how much a share of few devices says, and how shares are written. Ten of ten are 100 %, and still no proof of more than 72 %.

/// The 97.5th percentile of the normal distribution: between it and its negative lie 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The lower end of Wilson's 95 % interval for a share, in percent: with so many devices, the share that holds at least. None of no devices.
pub fn wilson_lower(part: i64, whole: i64) -> Option<f64> {
    if whole <= 0 {
        return None;
    }
    // Exactly: the formula leaves what floating point could not hold.
    if part <= 0 {
        return Some(0.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵³")]
    let (share, size) = (part.clamp(0, whole) as f64 / whole as f64, whole as f64);
    let square = Z * Z / size;
    let spread = Z * (share * (1.0 - share) / size + square / (4.0 * size)).sqrt();
    Some(((share + square / 2.0 - spread) / (1.0 + square) * 100.0).clamp(0.0, 100.0))
}

/// `part` of `whole` in percent; 0 of nothing.
pub fn rate_of(part: i64, whole: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵³")]
    if whole > 0 { part as f64 * 100.0 / whole as f64 } else { 0.0 }
}

/// A rate as a gate's sentence and everybody beside it writes it: `75`, `33.3`. Never rounds a miss to the limit: 94.96 is 94.9, not 95.
pub fn rate_words(percent: f64) -> String {
    let cut = (percent * 10.0 + 1e-9).floor() / 10.0;
    if (cut - cut.round()).abs() < 1e-9 { format!("{}", cut.round()) } else { format!("{cut:.1}") }
}

/// A lower bound with one decimal, never more than it is: 88.97 is `88.9`.
pub fn lower_words(percent: f64) -> String {
    format!("{:.1}", (percent * 10.0).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_wilsons_bound() {
        for (part, whole, percent) in
            [(10, 10, 72.247), (9, 10, 59.585), (95, 100, 88.825), (950, 1000, 93.469), (1, 1, 20.655), (0, 10, 0.0)]
        {
            let bound = wilson_lower(part, whole).unwrap();
            assert!((bound - percent).abs() < 0.002, "{part} of {whole}: {bound}");
        }
        assert_eq!((wilson_lower(0, 0), wilson_lower(0, 3)), (None, Some(0.0)));
        assert_eq!([88.97, 100.0, 0.0].map(lower_words), ["88.9", "100.0", "0.0"]);
    }

    #[test]
    fn a_rate_is_cut_and_not_rounded() {
        let words = [(1, 18), (9496, 10_000), (3, 4), (1, 3), (0, 0)].map(|(part, whole)| rate_words(rate_of(part, whole)));
        assert_eq!(words, ["5.5", "94.9", "75", "33.3", "0"]);
    }
}

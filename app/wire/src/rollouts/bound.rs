//! Pure: how much a share of few devices says. Ten of ten are 100 %, and still no proof of more than 72 %.

/// The 97.5th percentile of the normal distribution: between it and its negative lie 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The lower end of Wilson's 95 % interval for a share, in percent: with so many devices, the share that holds at least. None of no devices.
pub fn wilson_lower(part: i64, whole: i64) -> Option<f64> {
    if whole <= 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2⁵³")]
    let (share, size) = (part.clamp(0, whole) as f64 / whole as f64, whole as f64);
    let square = Z * Z / size;
    let spread = Z * (share * (1.0 - share) / size + square / (4.0 * size)).sqrt();
    Some(((share + square / 2.0 - spread) / (1.0 + square) * 100.0).clamp(0.0, 100.0))
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
        assert_eq!(wilson_lower(0, 0), None);
        assert_eq!([88.97, 100.0, 0.0].map(lower_words), ["88.9", "100.0", "0.0"]);
    }
}

//! Pure: a curve as lines of text, which every reader of Markdown shows and every screen reader reads.

use std::fmt::Write;

/// Columns of the longest bar.
const WIDTH: f64 = 50.0;

/// One bar a size of the fleet, in proportion to the largest.
pub fn bars(title: &str, points: &[(usize, f64)]) -> String {
    let most = points.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let mut text = format!("{title}:\n\n```text\n");
    for (devices, value) in points {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the width")]
        let columns = (value / most * WIDTH).round().clamp(0.0, WIDTH) as usize;
        let _ = writeln!(text, "{devices:>6} {:<50} {}", "█".repeat(columns.max(1)), super::super::report::shown(*value));
    }
    text + "```\n\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_never_nothing() {
        let text = bars("Seconds", &[(100, 0.01), (1000, 2.0), (10_000, 4.0)]);
        let lengths: Vec<usize> = text.lines().filter(|line| line.contains('█')).map(|line| line.matches('█').count()).collect();
        assert_eq!(lengths, [1, 25, 50]);
        assert!(text.contains("  1000 ") && text.contains(" 2.000\n"), "{text}");
    }
}

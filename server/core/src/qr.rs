//! Pure: a text as a QR code (ISO/IEC 18004), for pages and for terminals. Refuses to know what the text is.

use qrcode::{EcLevel, QrCode, types::Color};
use std::fmt::Write as _;
use wire::enrolment::QrPicture;

/// White modules that have to stand around a code (§5.3.8): without them on a dark page no camera finds it.
const QUIET: usize = 4;

/// The dark modules, row by row with the quiet zone, and how many are in a row. None when no code holds the text: at most 2,953 bytes.
struct Modules {
    size: usize,
    dark: Vec<bool>,
}

impl Modules {
    fn of(text: &str) -> Option<Self> {
        // A screen has no stains: with the lowest correction the modules are largest.
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let (width, colours) = (code.width(), code.to_colors());
        let size = width + 2 * QUIET;
        let mut dark = vec![false; size * size];
        for (row, line) in colours.chunks(width).enumerate() {
            for (column, colour) in line.iter().enumerate() {
                if let (Color::Dark, Some(module)) = (colour, dark.get_mut((row + QUIET) * size + column + QUIET)) {
                    *module = true;
                }
            }
        }
        Some(Self { size, dark })
    }

    fn is_dark(&self, row: usize, column: usize) -> bool {
        self.dark.get(row * self.size + column).copied().unwrap_or(false)
    }
}

/// The text as a picture; none when it is longer than a code holds.
pub fn picture(text: &str) -> Option<QrPicture> {
    let modules = Modules::of(text)?;
    let mut path = String::new();
    for row in 0..modules.size {
        let mut column = 0;
        while column < modules.size {
            let run = (column..modules.size).take_while(|at| modules.is_dark(row, *at)).count();
            if run > 0 {
                // Writing into a string does not fail.
                let _ = write!(path, "M{column} {row}h{run}v1h-{run}z");
            }
            column += run.max(1);
        }
    }
    Some(QrPicture { size: u32::try_from(modules.size).ok()?, path })
}

/// The text as lines of half blocks, two modules a character; none when it is longer than a code holds. With `colours` each line says that it is black on
/// white, whatever the terminal's own colours are (ECMA-48 §8.3.117); without, it is meant for dark letters on light ground.
pub fn lines(text: &str, colours: bool) -> Option<String> {
    let modules = Modules::of(text)?;
    let mut out = String::new();
    for row in (0..modules.size).step_by(2) {
        let line: String = (0..modules.size)
            .map(|column| match (modules.is_dark(row, column), modules.is_dark(row + 1, column)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect();
        let line = if colours { format!("\u{1b}[30;107m{line}\u{1b}[0m\n") } else { format!("{line}\n") };
        out.push_str(&line);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pattern that a camera looks for (§5.3.2): seven modules, of which the second ring is light.
    fn has_finder(modules: &Modules, top: usize, left: usize) -> bool {
        (0..7).all(|row| {
            (0..7).all(|column| {
                let (edge, ring) = (row == 0 || row == 6 || column == 0 || column == 6, row == 1 || row == 5 || column == 1 || column == 5);
                modules.is_dark(top + row, left + column) == (edge || !ring)
            })
        })
    }

    #[test]
    fn a_code_has_its_finders_and_its_quiet_zone() {
        let modules = Modules::of("fleetward://enrol?url=https://h:8444").unwrap();
        let far = modules.size - QUIET - 7;
        for (top, left, is) in [(QUIET, QUIET, true), (QUIET, far, true), (far, QUIET, true), (far, far, false)] {
            assert_eq!(has_finder(&modules, top, left), is, "{top} {left}");
        }
        for row in 0..modules.size {
            for column in 0..modules.size {
                let quiet = [row, column].iter().any(|at| !(QUIET..modules.size - QUIET).contains(at));
                assert!(!(quiet && modules.is_dark(row, column)), "{row} {column}");
            }
        }
    }

    #[test]
    fn picture_and_lines_show_the_same_modules() {
        let text = "fleetward://enrol?url=https://fleet.example:8444&token=fet_x";
        let (modules, shown, lines) = (Modules::of(text).unwrap(), picture(text).unwrap(), lines(text, false).unwrap());
        let dark = modules.dark.iter().filter(|dark| **dark).count();
        let drawn: usize =
            shown.path.split('h').skip(1).step_by(2).map(|run| run.split('v').next().unwrap().parse::<usize>().unwrap()).sum();
        let printed: usize = lines.chars().map(|c| if c == '█' { 2 } else { usize::from(matches!(c, '▀' | '▄')) }).sum();
        assert_eq!((drawn, printed, shown.size as usize), (dark, dark, modules.size));
        assert!(lines.lines().all(|line| line.chars().count() == modules.size));
    }

    #[test]
    fn a_text_that_no_code_holds_is_none() {
        assert!(picture(&"a".repeat(2953)).is_some());
        assert!(picture(&"a".repeat(2954)).is_none() && lines(&"a".repeat(2954), true).is_none());
    }
}

//! Pure: a text as a QR code (ISO/IEC 18004): its modules, and the picture of them for pages. Refuses to know what the text is.

use qrcode::{EcLevel, QrCode, types::Color};
use std::fmt::Write as _;
use wire::enrolment::QrPicture;

/// White modules that have to stand around a code (§5.3.8): without them on a dark page no camera finds it.
const QUIET: usize = 4;

/// The modules of a code, row by row with the quiet zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modules {
    size: usize,
    dark: Vec<bool>,
}

impl Modules {
    /// Those of the code of this text; none when no code holds it: at most 2,953 bytes.
    pub fn of(text: &str) -> Option<Self> {
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

    /// How many are in a row, and in a column.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether this one is dark; whatever lies outside is not.
    pub fn is_dark(&self, row: usize, column: usize) -> bool {
        column < self.size && self.dark.get(row * self.size + column).copied().unwrap_or(false)
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
    fn a_picture_shows_the_modules() {
        let text = "fleetward://enrol?url=https://fleet.example:8444&token=fet_x";
        let (modules, shown) = (Modules::of(text).unwrap(), picture(text).unwrap());
        let dark = modules.dark.iter().filter(|dark| **dark).count();
        let drawn: usize =
            shown.path.split('h').skip(1).step_by(2).map(|run| run.split('v').next().unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!((drawn, shown.size as usize), (dark, modules.size()));
        assert!(!modules.is_dark(0, modules.size()), "outside is light");
    }

    #[test]
    fn a_text_that_no_code_holds_is_none() {
        assert!(picture(&"a".repeat(2953)).is_some());
        assert!(picture(&"a".repeat(2954)).is_none());
    }
}

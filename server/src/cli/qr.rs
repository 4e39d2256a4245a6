//! Pure: a QR code in a terminal. Refuses to know what it says.

use fleet::qr::Modules;

/// The text as lines of half blocks, two modules a character; none when it is longer than a code holds. With `colours` each line says that it is black on
/// white, whatever the terminal's own colours are (ECMA-48 §8.3.117); without, it is meant for dark letters on light ground.
pub(super) fn lines(text: &str, colours: bool) -> Option<String> {
    let modules = Modules::of(text)?;
    let mut out = String::new();
    for row in (0..modules.size()).step_by(2) {
        let line: String = (0..modules.size())
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

    #[test]
    fn lines_show_every_module_of_a_code() {
        let text = "fleetward://enrol?url=https://fleet.example:8444&token=fet_x";
        let (modules, lines) = (Modules::of(text).unwrap(), lines(text, false).unwrap());
        let size = modules.size();
        let dark =
            (0..size).flat_map(|row| (0..size).map(move |column| (row, column))).filter(|(row, column)| modules.is_dark(*row, *column));
        let printed: usize = lines.chars().map(|c| if c == '█' { 2 } else { usize::from(matches!(c, '▀' | '▄')) }).sum();
        assert_eq!(printed, dark.count());
        assert!(lines.lines().all(|line| line.chars().count() == size));
    }

    #[test]
    fn a_text_that_no_code_holds_is_none() {
        assert!(super::lines(&"a".repeat(2954), true).is_none());
    }
}

//! Pure: which characters of others' words are not shown as they are (attack list 24). Refuses to know what becomes of them: rooms refuse, drop or
//! escape them.

/// Whether a character controls a terminal, or hides or reorders the text around it.
pub fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether a text of several lines can be read as it is, also in a terminal.
pub(crate) fn readable_text(text: &str) -> bool {
    !text.chars().any(|c| unseen(c) && c != '\n' && c != '\r')
}

/// A text of so many characters at most, with spaces for what controls or reorders what is shown.
pub(crate) fn spaced(text: &str, most: usize) -> String {
    text.chars().map(|c| if unseen(c) { ' ' } else { c }).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::{readable_text, spaced, unseen};

    #[test]
    fn letters_of_every_script_are_seen_and_tricks_are_not() {
        assert!("gw-1 Größe 東京 אב 1.0.0+β".chars().all(|c| !unseen(c)));
        assert!("\u{0}\u{7}\u{1b}\u{202e}\u{200b}\u{2028}\u{2066}\u{feff}\n".chars().all(unseen));
    }

    #[test]
    fn only_the_ends_of_lines_are_readable_of_what_is_not_seen() {
        assert!(readable_text("stolen in Köln,\r\nsee ticket 7") && readable_text(""));
        assert!(!["\t", "\u{1b}[2J", "a\u{202e}b"].into_iter().any(readable_text));
    }

    #[test]
    fn what_is_not_shown_leaves_a_space_and_the_rest_is_cut() {
        assert_eq!(spaced("a\nb\u{202e}ü東京", 5), "a b ü");
    }
}

//! Pure: what a name may be. A name is shown and compared, it never becomes a path and never moves a cursor.

use super::acceptance::MANIFEST_ENDING;
use crate::text::unseen;

/// Most bytes of a file's name.
pub const MAX_FILE_NAME: usize = 200;
/// Most bytes of a device type, a version, a hardware revision.
pub const MAX_WORD: usize = 64;
/// Most bytes of a key's name.
pub const MAX_TITLE: usize = 100;
/// Most bytes of release notes.
pub const MAX_NOTES: usize = 16 * 1024;

/// Names that open a device on some systems, with any extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A file's label: 1 to [`MAX_FILE_NAME`] bytes, no path in any notation. The error is a clause that follows the field's name.
pub fn file_name(name: &str) -> Result<(), String> {
    title(name, MAX_FILE_NAME)?;
    if name == "." || name == ".." {
        return Err("is a folder, not a file's name".to_owned());
    }
    if let Some(c) = name.chars().find(|c| matches!(c, '/' | '\\' | ':' | '%')) {
        return Err(format!("has a '{c}'; send the file's name alone, without its folder"));
    }
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let port = |p: &str| stem.strip_prefix(p).is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()));
    if DEVICES.contains(&stem.as_str()) || port("com") || port("lpt") {
        return Err("is the name of a device on some systems".to_owned());
    }
    Ok(())
}

/// The name of a manifest's file for this type and version: no sign in it means anything to a shell, and it is not taken for an option.
pub fn manifest_name(device_type: &str, version: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-') { c } else { '_' };
    let name: String = format!("{device_type}-{version}").chars().map(plain).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("{}{MANIFEST_ENDING}", if name.is_empty() { "release" } else { name })
}

/// A type, version or revision: 1 to [`MAX_WORD`] bytes without white space.
pub fn word(text: &str) -> Result<(), String> {
    title(text, MAX_WORD)?;
    if text.contains(char::is_whitespace) { Err("has white space in it".to_owned()) } else { Ok(()) }
}

/// A type of devices: a [`word`] that is no path in any notation.
pub fn device_type(text: &str) -> Result<(), String> {
    word(text)?;
    match text.chars().find(|c| matches!(c, '/' | '\\')) {
        Some(c) => Err(format!("has a '{c}'; a type is a name, not a path")),
        None if text == "." || text == ".." => Err("is a folder, not a name".to_owned()),
        None => Ok(()),
    }
}

/// One line for people: 1 to `max` bytes, no white space at its ends.
pub fn title(text: &str, max: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > max {
        return Err(format!("has {} bytes, at most {max} are taken", text.len()));
    }
    if text.trim() != text {
        return Err("begins or ends with white space".to_owned());
    }
    visible(text, false)
}

/// Several lines for people: at most `max` bytes, may be empty.
pub fn prose(text: &str, max: usize) -> Result<(), String> {
    if text.len() > max {
        return Err(format!("has {} bytes, at most {max} are taken", text.len()));
    }
    visible(text, true)
}

/// No character that controls a terminal or hides or reorders the text around it.
fn visible(text: &str, lines: bool) -> Result<(), String> {
    let bad = |c: char| unseen(c) && !(lines && matches!(c, '\n' | '\r' | '\t'));
    match text.chars().find(|c| bad(*c)) {
        Some(c) => Err(format!("has the invisible character U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("gateway-1.1.0.bin")]
    #[case("Größe 2 (final).swu")]
    #[case("<script>alert(1)<script>")]
    #[case("..bin")]
    #[case("command.tar")]
    fn good_file_names(#[case] name: &str) {
        assert_eq!(file_name(name), Ok(()));
    }

    #[rstest]
    #[case("")]
    #[case("..")]
    #[case("../x")]
    #[case("a/b")]
    #[case("a\\b")]
    #[case("C:x")]
    #[case("%2e%2e")]
    #[case("nul")]
    #[case("COM1.bin")]
    #[case("a\0b")]
    #[case("a\x1b[2Jb")]
    #[case("a\u{202e}nib.exe")]
    #[case(" x")]
    fn a_29_names_that_lead_elsewhere_are_refused(#[case] name: &str) {
        assert!(file_name(name).is_err(), "{name:?}");
    }

    #[test]
    fn a_manifest_is_named_without_signs_that_mean_something() {
        assert_eq!(manifest_name("gateway", "1.0.0+3"), "gateway-1.0.0+3.manifest.json");
        assert_eq!(manifest_name("--out", "$(x)/é"), "out-__x___.manifest.json");
        assert_eq!(manifest_name("東", "é"), "release.manifest.json");
    }

    proptest! {
        #[test]
        fn a_taken_name_is_one_visible_component(name in any::<String>()) {
            if file_name(&name).is_ok() {
                prop_assert!(!name.contains(['/', '\\', '\0', '\n']) && name != ".." && !name.chars().any(char::is_control));
                prop_assert_eq!(std::path::Path::new(&name).components().count(), 1);
            }
        }
    }

    #[test]
    fn a_type_is_no_path() {
        for text in ["../x", "/", "a/b", "a\\b", "..", "", "a b", "a\u{1b}[2J"] {
            assert!(device_type(text).is_err(), "{text:?}");
        }
        assert_eq!((device_type("gateway-v2.1"), device_type("..x")), (Ok(()), Ok(())));
    }

    #[test]
    fn notes_keep_their_lines() {
        assert_eq!(prose("one\n\ttwo", 20), Ok(()));
        assert!(prose("one\u{7}", 20).is_err());
        assert!(prose("longer", 5).is_err());
        assert!(word("1.0 beta").is_err());
    }
}

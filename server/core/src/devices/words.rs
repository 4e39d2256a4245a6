//! Pure: the words by which people name and bound tokens, claims and batches, checked in one way. Refuses to know what they are for.

use super::Error;
use crate::text::unseen;

/// A word of a form: at most so many characters, nothing in it that is not seen.
pub(super) fn word(field: &'static str, value: &str, most: usize) -> Result<String, Error> {
    let value = value.trim();
    if value.chars().count() > most || value.chars().any(unseen) {
        return Err(Error::invalid(field, format!("Use at most {most} characters without line breaks.")));
    }
    Ok(value.to_owned())
}

/// What something is for. `what` names it: "token".
pub(super) fn label(value: &str, what: &str) -> Result<String, Error> {
    let label = word("label", value, 100)?;
    if label.is_empty() {
        return Err(Error::invalid("label", format!("Say what the {what} is for, so that others know whether it is still needed.")));
    }
    Ok(label)
}

/// A device's type.
pub(super) fn device_type(value: &str) -> Result<String, Error> {
    word("device_type", value, 64)
}

/// Most device ids and patterns that stand together.
const MOST_PATTERNS: usize = 100;

/// Device ids, or patterns of them, as they are kept: with one blank between two. Empty means any.
pub(super) fn pattern(value: &str) -> Result<String, Error> {
    let patterns = wire::devices::words(value);
    let word = |p: &String| p.len() <= 64 && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-*".contains(&b));
    if let Some(bad) = patterns.iter().find(|p| !word(p)) {
        let text =
            format!("{bad:?} can't be a device id: use at most 64 letters, digits, '.', '_', ':' and '-'; * stands for any of them.");
        return Err(Error::invalid("pattern", text));
    }
    if patterns.len() > MOST_PATTERNS {
        return Err(Error::invalid("pattern", format!("Give at most {MOST_PATTERNS} device ids or patterns.")));
    }
    Ok(patterns.join(" "))
}

/// The device ids and patterns of them in what [`pattern`] has made, at most [`MOST_PATTERNS`]; none means any device.
pub(super) fn patterns(stored: &str) -> Vec<String> {
    split_words(stored)
}

/// Words as they are stored, with blanks between them: tags, ids of groups.
pub(super) fn split_words(stored: &str) -> Vec<String> {
    stored.split(' ').filter(|t| !t.is_empty()).map(str::to_owned).collect()
}

/// Most tags of a device.
pub(super) const MOST_TAGS: usize = 20;

/// Tags are words: they are typed into selectors, so no spaces, commas, quotes or parentheses.
pub(super) fn check_tags(tags: &[String]) -> Result<(), Error> {
    let word = |t: &String| {
        !t.is_empty()
            && t.len() <= 50
            && !t.starts_with('-')
            && t.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
    };
    match tags.iter().find(|t| !word(t)) {
        Some(bad) => Err(Error::invalid("tags", format!("{bad:?} can't be a tag: use letters, digits, - _ . and /, at most 50."))),
        None if tags.len() > MOST_TAGS => Err(Error::invalid("tags", "A device has at most 20 tags.")),
        None => Ok(()),
    }
}

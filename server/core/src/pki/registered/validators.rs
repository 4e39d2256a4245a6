//! Pure: what a server says of the list it gives, so that it can be asked whether there is another one (RFC 9110 §8.8, §13.1). Owns what of that is kept.
//! Refuses to know how one asks.

/// Longest entity tag that is kept; a longer one is as good as none.
const LONGEST_ETAG: usize = 200;
/// The same of a time, which has 29 characters (RFC 9110 §5.6.7).
const LONGEST_TIME: usize = 40;

/// What a list came with. Both may be missing: then nothing can be asked but the list itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    etag: String,
    last_modified: String,
}

impl Validators {
    /// What of these can be sent back: a tag that is one, and a time of a length that times have.
    pub fn of(etag: Option<&str>, last_modified: Option<&str>) -> Self {
        let kept =
            |given: Option<&str>, fits: fn(&str) -> bool| given.map(str::trim).filter(|text| fits(text)).unwrap_or_default().to_owned();
        Self { etag: kept(etag, is_tag), last_modified: kept(last_modified, is_time) }
    }

    /// For `If-None-Match`.
    pub fn etag(&self) -> Option<&str> {
        Some(self.etag.as_str()).filter(|tag| !tag.is_empty())
    }

    /// For `If-Modified-Since`.
    pub fn last_modified(&self) -> Option<&str> {
        Some(self.last_modified.as_str()).filter(|time| !time.is_empty())
    }

    /// Whether there is nothing to ask by.
    pub const fn is_empty(&self) -> bool {
        self.etag.is_empty() && self.last_modified.is_empty()
    }
}

/// Whether it is one entity tag (RFC 9110 §8.8.3). A bare `*` would match whatever list there is.
fn is_tag(text: &str) -> bool {
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    text.len() <= LONGEST_ETAG && opaque.is_some_and(|opaque| opaque.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
}

/// What no time looks like says nothing to whoever gave it either (RFC 9110 §13.1.3).
fn is_time(text: &str) -> bool {
    text.len() <= LONGEST_TIME && text.bytes().all(|b| b.is_ascii_alphanumeric() || b" ,:-+".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("\"5f3a-1\"", true)]
    #[case(" W/\"5f3a-1\" ", true)]
    #[case("\"\"", true)]
    #[case("*", false)]
    #[case("5f3a-1", false)]
    #[case("\"a\", \"b\"", false)]
    #[case("\"", false)]
    #[case("w/\"a\"", false)]
    #[case("\"a\u{e4}\"", false)]
    #[case("\"a\r\nX-Evil: 1\"", false)]
    #[case("", false)]
    fn only_an_entity_tag_is_kept(#[case] given: &str, #[case] kept: bool) {
        let validators = Validators::of(Some(given), None);
        assert_eq!(validators.etag(), kept.then_some(given.trim()));
        assert_eq!((validators.is_empty(), validators.last_modified()), (!kept, None));
    }

    #[test]
    fn what_is_kept_has_bounds() {
        let tag = |octets: usize| format!("\"{}\"", "a".repeat(octets - 2));
        assert!(Validators::of(Some(&tag(LONGEST_ETAG)), None).etag().is_some());
        assert!(Validators::of(Some(&tag(LONGEST_ETAG + 1)), None).is_empty(), "not cut off: that would be another one");
        let time = "Sun, 22 Nov 2026 10:00:00 GMT";
        assert_eq!(Validators::of(None, Some(time)).last_modified(), Some(time));
        for none in ["", "a\r\nb", &"1".repeat(LONGEST_TIME + 1)] {
            assert!(Validators::of(None, Some(none)).is_empty(), "{none}");
        }
        assert!(Validators::of(None, None).is_empty());
    }
}

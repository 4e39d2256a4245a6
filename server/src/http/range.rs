//! Pure: which bytes of a file a request asks for (RFC 9110 §13.1.5 and §14). Owns `Range` and `If-Range`; refuses to know where bytes come from.

use std::ops::Range;

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// 200 with everything: nothing else was asked for, or in a way that is to be ignored.
    Whole,
    /// 206 with these bytes; never empty, always within the file.
    Part(Range<u64>),
    /// 416: there is no such part of the file.
    Unsatisfiable,
}

/// Selects from a file of `size` bytes whose strong entity tag is `etag` (with its quotes).
///
/// A unit that is not `bytes`, several ranges and malformed ones are ignored, as §14.2 allows. `If-Range` compares strongly; a date never
/// matches, because files here have none.
pub fn select(range: Option<&str>, if_range: Option<&str>, etag: &str, size: u64) -> Selected {
    let Some(range) = range else { return Selected::Whole };
    if if_range.is_some_and(|tag| tag.trim() != etag) {
        return Selected::Whole;
    }
    match parse(range) {
        None => Selected::Whole,
        Some(Spec::From(first, _)) if first >= size => Selected::Unsatisfiable,
        Some(Spec::From(first, last)) => Selected::Part(first..last.map_or(size, |l| l.saturating_add(1).min(size))),
        Some(Spec::Last(0)) => Selected::Unsatisfiable,
        Some(Spec::Last(_)) if size == 0 => Selected::Unsatisfiable,
        Some(Spec::Last(count)) => Selected::Part(size.saturating_sub(count)..size),
    }
}

/// The value of `Content-Range` for a part (§14.4).
pub fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1))
}

/// The value of `Content-Range` beside 416.
pub fn unsatisfied_range(size: u64) -> String {
    format!("bytes */{size}")
}

enum Spec {
    /// From here, up to and with there.
    From(u64, Option<u64>),
    /// So many at the end.
    Last(u64),
}

fn parse(header: &str) -> Option<Spec> {
    let (unit, set) = header.trim().split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    match (first, last) {
        ("", count) => Some(Spec::Last(number(count)?)),
        (first, "") => Some(Spec::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From(first, Some(last)))
        }
    }
}

/// Digits only; a number too large for 64 bits is behind the end of any file.
fn number(digits: &str) -> Option<u64> {
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const TAG: &str = "\"abc\"";

    fn ask(range: &str, size: u64) -> Selected {
        select(Some(range), None, TAG, size)
    }

    #[rstest]
    #[case("bytes=0-499", 10_000, Selected::Part(0..500))]
    #[case("bytes=500-999", 10_000, Selected::Part(500..1000))]
    #[case("bytes=-500", 10_000, Selected::Part(9500..10_000))]
    #[case("bytes=9500-", 10_000, Selected::Part(9500..10_000))]
    #[case("bytes=0-0", 1, Selected::Part(0..1))]
    #[case("Bytes= 1-2", 10, Selected::Part(1..3))]
    #[case("bytes=5-99999", 10, Selected::Part(5..10))]
    #[case("bytes=5-99999999999999999999999", 10, Selected::Part(5..10))]
    #[case("bytes=-20", 10, Selected::Part(0..10))]
    #[case("bytes=10-", 10, Selected::Unsatisfiable)]
    #[case("bytes=99999999999999999999999-", 10, Selected::Unsatisfiable)]
    #[case("bytes=-0", 10, Selected::Unsatisfiable)]
    #[case("bytes=0-", 0, Selected::Unsatisfiable)]
    #[case("bytes=-1", 0, Selected::Unsatisfiable)]
    #[case("bytes=3-2", 10, Selected::Whole)]
    #[case("bytes=0-1,3-4", 10, Selected::Whole)]
    #[case("lines=0-1", 10, Selected::Whole)]
    #[case("bytes=", 10, Selected::Whole)]
    #[case("bytes=-", 10, Selected::Whole)]
    #[case("bytes=+1-2", 10, Selected::Whole)]
    #[case("bytes=1 -2", 10, Selected::Whole)]
    #[case("bytes 0-1", 10, Selected::Whole)]
    fn the_cases_of_rfc_9110(#[case] range: &str, #[case] size: u64, #[case] expected: Selected) {
        assert_eq!(ask(range, size), expected);
    }

    #[test]
    fn if_range_compares_strongly() {
        let part = Selected::Part(0..1);
        assert_eq!(select(Some("bytes=0-0"), Some(TAG), TAG, 9), part);
        assert_eq!(select(Some("bytes=0-0"), Some("\"other\""), TAG, 9), Selected::Whole);
        assert_eq!(select(Some("bytes=0-0"), Some("W/\"abc\""), TAG, 9), Selected::Whole);
        assert_eq!(select(Some("bytes=0-0"), Some("Sat, 29 Oct 1994 19:43:31 GMT"), TAG, 9), Selected::Whole);
        assert_eq!(select(None, Some(TAG), TAG, 9), Selected::Whole);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_the_part_lies_within_the_file(header in ".{0,40}", size in 0_u64..100) {
            if let Selected::Part(part) = ask(&header, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn a_range_means_its_bytes(first in 0_u64..50, length in 1_u64..50, size in 1_u64..100) {
            let file: Vec<u64> = (0..size).collect();
            let expected: Vec<u64> = file.iter().copied().filter(|b| (first..first + length).contains(b)).collect();
            match ask(&format!("bytes={first}-{}", first + length - 1), size) {
                Selected::Part(p) => {
                    let found: Vec<u64> = (p.start..p.end).collect();
                    prop_assert_eq!(&found, &expected);
                    prop_assert_eq!(content_range(&p, size), format!("bytes {first}-{}/{size}", expected[expected.len() - 1]));
                }
                other => {
                    prop_assert!(expected.is_empty());
                    prop_assert_eq!(other, Selected::Unsatisfiable);
                }
            }
        }

        #[test]
        fn a_download_cut_anywhere_and_resumed_is_the_file(size in 1_u64..200, cut in 0_u64..200) {
            let cut = cut.min(size - 1);
            prop_assert_eq!(ask(&format!("bytes={cut}-"), size), Selected::Part(cut..size));
        }
    }
}

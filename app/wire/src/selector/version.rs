//! Pure: versions in the order of Semantic Versioning 2.0.0, section 11, and the text that sorts byte by byte as they do.

use std::fmt;

/// A version as people compare it. Build metadata is left out: it does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    core: [u64; 3],
    /// None stands behind every pre-release of the same numbers.
    pre: Pre,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Pre {
    Of(Vec<Id>),
    None,
}

/// Numbers stand before words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    Number(u64),
    Word(String),
}

impl Version {
    /// Reads `2.1.0`, `2.1.0-rc.1` or `v2.1`: what is missing is 0. None for a text that has no place in the order.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        if build.is_some_and(|build| !build.split('.').all(word)) {
            return None;
        }
        let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
        let mut core = [0; 3];
        let mut parts = numbers.split('.');
        for (i, slot) in core.iter_mut().enumerate() {
            match parts.next() {
                Some(part) => *slot = number(part)?,
                None if i > 0 => break,
                None => return None,
            }
        }
        if parts.next().is_some() {
            return None;
        }
        let pre = match pre {
            None => Pre::None,
            Some(ids) => Pre::Of(ids.split('.').map(id).collect::<Option<_>>()?),
        };
        Some(Self { core, pre })
    }

    /// A text that sorts byte by byte as versions do: each number behind a letter for its digits, and a release behind its pre-releases.
    pub fn order(&self) -> String {
        let mut out = String::new();
        self.core.iter().for_each(|n| ordered(&mut out, *n));
        let Pre::Of(ids) = &self.pre else {
            out.push('~');
            return out;
        };
        out.push('-');
        for id in ids {
            match id {
                Id::Number(n) => {
                    out.push('0');
                    ordered(&mut out, *n);
                }
                Id::Word(word) => {
                    out.push('1');
                    out.push_str(word);
                    // Before every letter of a word, so that the shorter of two comes first.
                    out.push('!');
                }
            }
        }
        out
    }
}

/// The order of a version as it is kept beside it; empty for one that has no place in the order.
pub fn order_of(version: &str) -> String {
    Version::parse(version).map(|v| v.order()).unwrap_or_default()
}

fn ordered(out: &mut String, n: u64) {
    let digits = n.to_string();
    // A number has at most 20 digits.
    out.push(char::from(b'a' + u8::try_from(digits.len()).unwrap_or(20)));
    out.push_str(&digits);
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn id(text: &str) -> Option<Id> {
    if !word(text) {
        return None;
    }
    if text.bytes().all(|b| b.is_ascii_digit()) { number(text).map(Id::Number) } else { Some(Id::Word(text.to_owned())) }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.core;
        write!(f, "{major}.{minor}.{patch}")?;
        let Pre::Of(ids) = &self.pre else { return Ok(()) };
        for (i, id) in ids.iter().enumerate() {
            f.write_str(if i == 0 { "-" } else { "." })?;
            match id {
                Id::Number(n) => write!(f, "{n}")?,
                Id::Word(word) => f.write_str(word)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_order_is_that_of_the_standard() {
        // Section 11.4, with numbers that a comparison of texts gets wrong.
        let rising = [
            "0.9.12",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0-rc.1-x",
            "1.0.0",
            "1.2.0",
            "1.10.0",
            "2.0.0",
            "10.0.0",
        ];
        for pair in rising.windows(2) {
            let [low, high] = [0, 1].map(|i| Version::parse(pair[i]).unwrap());
            assert!(low < high && low.order() < high.order(), "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn what_is_missing_is_zero_and_what_is_no_version_is_none() {
        assert_eq!(Version::parse("v2.1").unwrap().to_string(), "2.1.0");
        assert_eq!(Version::parse("2"), Version::parse("2.0.0+build.5"));
        for text in
            ["", "v", "1.2.3.4", "1..2", "a.b.c", "1.2.x", "1.0.0-", "1.0.0-a..b", "-1", "1.0.0+", "99999999999999999999999", "1.0-ü"]
        {
            assert_eq!(Version::parse(text), None, "{text}");
            assert_eq!(order_of(text), "");
        }
    }

    fn any_version() -> impl Strategy<Value = String> {
        let n = || prop_oneof![0..12u64, any::<u64>()];
        let pre = prop::collection::vec(prop_oneof!["[a-zA-Z-][0-9a-zA-Z-]{0,3}", n().prop_map(|n| n.to_string())], 0..4);
        (n(), n(), n(), pre).prop_map(|(a, b, c, pre)| {
            let pre = if pre.is_empty() { String::new() } else { format!("-{}", pre.join(".")) };
            format!("{a}.{b}.{c}{pre}")
        })
    }

    proptest! {
        #[test]
        fn texts_sort_as_versions_do(a in any_version(), b in any_version()) {
            let (a, b) = (Version::parse(&a).unwrap(), Version::parse(&b).unwrap());
            prop_assert_eq!(a.cmp(&b), a.order().cmp(&b.order()));
        }

        #[test]
        fn a_version_is_written_as_it_is_read(text in any_version()) {
            let read = Version::parse(&text).unwrap();
            prop_assert_eq!(Version::parse(&read.to_string()), Some(read));
        }
    }
}

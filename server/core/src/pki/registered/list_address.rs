//! Pure: from which addresses a registered authority's list of revoked certificates may be fetched, and when (E-10). Refuses to know how one asks.
//!
//! Every hour, as a new list may be there long before the one that is here ends; sooner where that one ends sooner, and after a failure: then each time
//! twice as long after the time before. Never twice within five minutes; when a person wants it, never twice within ten seconds.

use std::net::{Ipv4Addr, Ipv6Addr};
use wire::Timestamp;

/// Longest address.
const LONGEST: usize = 500;
const MINUTE: i64 = 60_000;
/// Milliseconds between two times at least; so long, too, nobody else asks for what one has begun to ask for.
pub(super) const LEAST: i64 = 5 * MINUTE;
/// Milliseconds between two times, without the spread.
const MOST: i64 = 60 * MINUTE;
/// Milliseconds between two times that a person wants at least.
pub(super) const BY_HAND: i64 = 10_000;
/// So long before its end the list that is here should have a successor.
const MARGIN: i64 = 15 * MINUTE;
/// What is to be asked later than this was planned by a clock that was wrong.
pub(super) const LATEST: i64 = 2 * MOST;

/// Refuses what is no address of a list; why, in words fit to be shown.
pub(super) fn check(url: &str) -> Result<(), &'static str> {
    if url.len() > LONGEST {
        return Err("An address has at most 500 characters.");
    }
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err("An address begins with http:// or https://. A list is signed, so http:// is as good.");
    }
    // Some read a backslash as a slash; then the host would be another one.
    if !rest.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&b)) {
        return Err("An address has no blanks, no # and none of \" < > \\ ^ ` { | }; write what else is needed as %XX (RFC 3986).");
    }
    let authority = authority(url);
    if authority.contains('@') {
        return Err("Leave user name and password out: everybody who may see the authority sees its address, and a list is no secret.");
    }
    if names_a_host(authority) { Ok(()) } else { Err("An address names a host, and maybe a port: http://HOST[:PORT]/PATH.") }
}

/// What stands in an address between its scheme and its path: the host, and maybe a port (RFC 3986 §3.2). Nothing where there is none.
pub(super) fn authority(url: &str) -> &str {
    url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next()).unwrap_or_default()
}

fn names_a_host(authority: &str) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let labels = host.strip_suffix('.').unwrap_or(host);
    let plain = labels.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    // One number, or hex: not everybody reads the same address in that.
    let number = labels.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    host.len() <= 253 && plain && (!number || host.parse::<Ipv4Addr>().is_ok()) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Milliseconds until it is asked again, after so many failures in a row; `ends` is the end of the list that is here.
pub(super) fn pause(now: Timestamp, failures: i64, ends: Option<Timestamp>) -> i64 {
    let before_end = ends.map_or(MOST, |end| end.since(now).saturating_sub(MARGIN));
    let pause = match failures {
        ..=0 => before_end,
        n => {
            let longer = LEAST << (n - 1).min(4);
            // Once more before the end; after that nothing is gained by hurry.
            if before_end > 0 { longer.min(before_end) } else { longer }
        }
    };
    pause.clamp(LEAST, MOST)
}

/// Seconds until it may be asked because a person wants it; none when that is now. A time ahead was written by a clock that was wrong.
pub(super) fn wait(now: Timestamp, asked_at: Option<Timestamp>) -> Option<u32> {
    let since = now.since(asked_at?);
    let left = (0..BY_HAND).contains(&since).then(|| BY_HAND - since)?;
    u32::try_from(left).ok().map(|left| left.div_ceil(1000))
}

/// So many milliseconds that pause may be longer, so that those who began together don't go on together.
pub(super) fn spread(pause: i64) -> u64 {
    u64::try_from(pause / 8).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("http://pki.example.com/plant.crl")]
    #[case("HTTPS://pki.example.com:8443/ejbca/publicweb/webdist/certdist?cmd=crl&issuer=CN=Plant%20CA,O=Example")]
    #[case("http://192.0.2.7/list")]
    #[case("http://[2001:db8::7]:8080/list")]
    #[case("http://pki")]
    #[case("http://pki.example.com.:80/")]
    #[case("http://169.254.1.1/list")]
    fn what_is_an_address(#[case] url: &str) {
        assert_eq!(check(url), Ok(()));
    }

    #[rstest]
    #[case("ldap://pki.example.com/cn=crl", "http://")]
    #[case("file:///etc/passwd", "http://")]
    #[case("pki.example.com/plant.crl", "http://")]
    #[case("", "http://")]
    #[case("http://me:secret@pki.example.com/", "password")]
    #[case("http://me@pki.example.com/", "password")]
    #[case("http://pki.example.com/a b", "RFC 3986")]
    #[case("http://pki.example.com/ä", "RFC 3986")]
    #[case("http://pki.example.com/#top", "RFC 3986")]
    #[case("http://pki.example.com\\@other.example/", "RFC 3986")]
    #[case("http://", "host")]
    #[case("http:///plant.crl", "host")]
    #[case("http://:80/", "host")]
    #[case("http://pki:+80/", "host")]
    #[case("http://pki:0/", "host")]
    #[case("http://pki:80:80/", "host")]
    #[case("http://2852039166/", "host")]
    #[case("http://0xa9.0xfe.0xa9.0xfe/", "host")]
    #[case("http://[::1/", "host")]
    #[case("http://[::1]80/", "host")]
    fn what_is_none(#[case] url: &str, #[case] says: &str) {
        let why = check(url).unwrap_err();
        assert!(why.contains(says), "{url}: {why}");
    }

    #[test]
    fn a_long_one_is_none() {
        assert_eq!(check(&format!("http://pki/{}", "a".repeat(LONGEST - 11))), Ok(()));
        assert!(check(&format!("http://pki/{}", "a".repeat(LONGEST - 10))).is_err());
    }

    #[rstest]
    // Without a list, or with one that holds for long: every hour.
    #[case(0, None, 60)]
    #[case(0, Some(30 * 24 * 60), 60)]
    // In time before its end, but not too often.
    #[case(0, Some(45), 30)]
    #[case(0, Some(17), 5)]
    #[case(0, Some(-600), 5)]
    // After failures.
    #[case(1, None, 5)]
    #[case(2, Some(24 * 60), 10)]
    #[case(3, None, 20)]
    #[case(4, None, 40)]
    #[case(5, None, 60)]
    #[case(i64::MAX, None, 60)]
    // Once more before the end; afterwards there is time.
    #[case(5, Some(45), 30)]
    #[case(5, Some(10), 60)]
    #[case(5, Some(-600), 60)]
    fn e_10_when_it_is_asked_again(#[case] failures: i64, #[case] ends_in_minutes: Option<i64>, #[case] minutes: i64) {
        let now = Timestamp(1_795_341_600_000);
        assert_eq!(pause(now, failures, ends_in_minutes.map(|m| now.plus(m * MINUTE))), minutes * MINUTE);
    }

    #[rstest]
    #[case(None, None)]
    #[case(Some(0), Some(10))]
    #[case(Some(1), Some(10))]
    #[case(Some(9_000), Some(1))]
    #[case(Some(9_999), Some(1))]
    #[case(Some(10_000), None)]
    #[case(Some(i64::MAX), None)]
    #[case(Some(-1), None)]
    fn e_10_when_a_person_may_have_it_asked_again(#[case] asked_before: Option<i64>, #[case] seconds: Option<u32>) {
        let now = Timestamp(1_795_341_600_000);
        assert_eq!(wait(now, asked_before.map(|ms| Timestamp(now.0.saturating_sub(ms)))), seconds);
    }

    proptest! {
        #[test]
        fn e_10_never_too_often_and_never_too_late(now in any::<i64>(), failures in any::<i64>(), ends in any::<Option<i64>>()) {
            let pause = pause(Timestamp(now), failures, ends.map(Timestamp));
            prop_assert!((LEAST..=MOST).contains(&pause));
            prop_assert!(pause + i64::try_from(spread(pause)).unwrap() < LATEST);
        }

        #[test]
        fn a_18_what_passes_names_a_host_and_nobody(words in ".{0,60}", rest in "\\PC{0,60}", nearly in "[a-z0-9@:./?\\[\\]%-]{1,20}") {
            for url in [words, format!("http://{rest}"), format!("https://{nearly}")] {
                if check(&url).is_ok() {
                    let (scheme, rest) = url.split_once("://").unwrap();
                    prop_assert!(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
                    let authority = rest.split(['/', '?']).next().unwrap();
                    prop_assert_eq!(authority, super::authority(&url));
                    prop_assert!(url.is_ascii() && !authority.is_empty() && !authority.starts_with(':') && !authority.contains('@'));
                }
            }
        }
    }
}

//! Pure: what a selector may ask of an instant: presence, how long a device is silent, and how its certificate stands.

use super::{Facts, Ordering};
use crate::{
    Timestamp,
    devices::{CertificateStanding, PRESENT_MS, Presence},
};

const SECOND: i64 = 1000;
const UNITS: [(&str, i64); 4] = [("d", 86_400 * SECOND), ("h", 3600 * SECOND), ("m", 60 * SECOND), ("s", SECOND)];
/// The longest span that can be asked for: ten years.
const LONGEST_MS: i64 = 3650 * 86_400 * SECOND;
/// A certificate that ends so soon is expiring, as in the console.
pub const EXPIRING_MS: i64 = 30 * 86_400 * SECOND;

impl Facts {
    /// Whether the device is there.
    pub fn presence(&self) -> Presence {
        if self.online {
            Presence::Online
        } else if self.last_seen_at > before(self.at, PRESENT_MS) {
            Presence::Stale
        } else {
            Presence::Offline
        }
    }

    /// How its certificate stands.
    pub fn certificate(&self) -> CertificateStanding {
        let cut = self.revoked_until > self.certificate_until.max(self.untrusted_until);
        match (self.certificate_until, self.untrusted_until) {
            (until, _) if until > self.at.plus(EXPIRING_MS).0 => CertificateStanding::Valid,
            (until, _) if until > self.at.0 => CertificateStanding::Expiring,
            _ if cut => CertificateStanding::Revoked,
            (_, untrusted) if untrusted > self.at.0 => CertificateStanding::Untrusted,
            (0, 0) => CertificateStanding::None,
            _ => CertificateStanding::Expired,
        }
    }

    /// Whether it was heard of so long ago; one that never was is silent for longer than anything.
    pub(super) fn silent(&self, how: Ordering, ms: i64) -> bool {
        let since = before(self.at, ms);
        match how {
            Ordering::Below => self.last_seen_at > since,
            Ordering::AtMost => self.last_seen_at >= since,
            Ordering::Above => self.last_seen_at < since,
            Ordering::AtLeast => self.last_seen_at <= since,
        }
    }
}

/// A span as it is written, `7d`; none when it is none.
pub(super) fn span(text: &str) -> Option<i64> {
    let (unit, ms) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let number = text.strip_suffix(unit)?;
    let number: i64 = number.parse().ok().filter(|_| number.bytes().all(|b| b.is_ascii_digit()))?;
    number.checked_mul(ms).filter(|ms| (1..=LONGEST_MS).contains(ms))
}

/// A span in its largest unit.
pub(super) fn written(ms: i64) -> String {
    let (unit, of) = UNITS.into_iter().find(|(_, of)| ms % of == 0).unwrap_or(("s", SECOND));
    format!("{}{unit}", ms / of)
}

/// The instant that a span before `now` leads to.
pub const fn before(now: Timestamp, ms: i64) -> i64 {
    now.0 - ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_presence_and_certificates() {
        use CertificateStanding as C;
        let at = Timestamp(1_795_341_600_000);
        let facts = |online, last_seen_at, certificate_until| Facts { online, last_seen_at, certificate_until, at, ..Facts::default() };
        let seen = |ago: i64| facts(false, at.0 - ago, 0).presence();
        assert_eq!(facts(true, 0, 0).presence(), Presence::Online);
        assert_eq!([0, PRESENT_MS - 1, PRESENT_MS].map(seen), [Presence::Stale, Presence::Stale, Presence::Offline]);
        assert_eq!(facts(false, 0, 0).presence(), Presence::Offline, "never heard of");
        let ends = |until: i64| facts(false, 0, until).certificate();
        let given_up = |until, untrusted_until| Facts { untrusted_until, ..facts(false, 0, until) }.certificate();
        assert_eq!(given_up(0, at.0 + 1), C::Untrusted);
        assert_eq!(given_up(at.0, at.0 + 1), C::Untrusted, "the one that was believed has ended");
        assert_eq!(given_up(at.0 + 1, at.0 + EXPIRING_MS * 2), C::Expiring, "what is believed counts");
        assert_eq!(given_up(0, at.0), C::Expired);
        let cut = |until, untrusted_until, revoked_until| Facts { untrusted_until, revoked_until, ..facts(false, 0, until) }.certificate();
        assert_eq!([at.0 - 1, at.0, at.0 + 1].map(|end| cut(0, 0, end)), [C::Revoked; 3], "whether it would have ended by now or not");
        assert_eq!(cut(at.0 + 1, 0, at.0 + EXPIRING_MS), C::Expiring, "another one still lets it in");
        assert_eq!(
            (cut(at.0, 0, at.0 - 1), cut(at.0, 0, at.0), cut(at.0, 0, at.0 + 1)),
            (C::Expired, C::Expired, C::Revoked),
            "the last one counts"
        );
        assert_eq!((cut(0, at.0 + 2, at.0 + 1), cut(0, at.0 + 1, at.0 + 2)), (C::Untrusted, C::Revoked), "also of an authority that fell");
        assert_eq!(
            [0, 1, at.0, at.0 + 1, at.0 + EXPIRING_MS, at.0 + EXPIRING_MS + 1].map(ends),
            [C::None, C::Expired, C::Expired, C::Expiring, C::Expiring, C::Valid]
        );
        assert!(facts(false, 0, 0).silent(Ordering::Above, LONGEST_MS) && !facts(false, 0, 0).silent(Ordering::Below, LONGEST_MS));
    }

    proptest! {
        #[test]
        fn a_span_is_written_as_it_is_read(seconds in 1..=LONGEST_MS / SECOND) {
            prop_assert_eq!(span(&written(seconds * SECOND)), Some(seconds * SECOND));
        }
    }

    #[test]
    fn what_is_no_span() {
        for text in ["", "7", "d", "-1d", "+1d", "0s", "1w", "3651d", "1.5h", "99999999999999999999d", "ü"] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}

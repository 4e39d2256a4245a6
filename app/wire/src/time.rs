//! Instants on the wire: Unix milliseconds UTC, and their printed form. Nothing here reads a clock.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// An instant in Unix milliseconds, UTC. Ordered, printable, never "now".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Timestamp(pub i64);

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Timestamp {
    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }
    /// This instant moved by so many milliseconds, kept within the range of `i64`.
    #[must_use]
    pub const fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
    /// Year, month 1–12, day, hour, minute, second, millisecond in UTC (proleptic Gregorian calendar).
    pub const fn civil(self) -> (i64, u8, u8, u8, u8, u8, u16) {
        let days = self.0.div_euclid(DAY_MS);
        let ms = self.0.rem_euclid(DAY_MS);
        // Days from civil, after Howard Hinnant's public-domain derivation: eras of 400 years that begin on 1 March.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + if month <= 2 { 1 } else { 0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each value is within its calendar range")]
        (year, month as u8, day as u8, (ms / 3_600_000) as u8, (ms / 60_000 % 60) as u8, (ms / 1000 % 60) as u8, (ms % 1000) as u16)
    }
    /// RFC 3339 with whole seconds: `2026-11-22T09:57:12Z`, the value of a `datetime` attribute.
    pub fn rfc3339(self) -> String {
        let (y, mo, d, h, mi, s, _) = self.civil();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
    }
    /// For people, before the browser knows their zone: `22 Nov 2026 09:57 UTC`.
    pub fn readable(self) -> String {
        let (_, _, _, h, mi, _, _) = self.civil();
        format!("{} {h:02}:{mi:02} UTC", self.date())
    }
    /// Its day in UTC, for people: `22 Nov 2026`.
    pub fn date(self) -> String {
        let (y, mo, d, ..) = self.civil();
        format!("{d} {} {y}", MONTHS[usize::from(mo) - 1])
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// A span for people: `42 s`, `12 min`, `6 h 02 min`, `3 d 4 h`, and from two years on `2.5 years`. Takes milliseconds; negative counts as zero.
pub fn duration(millis: i64) -> String {
    let s = millis.max(0) / 1000;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s / 60 % 60),
        86_400..YEARS_FROM_S => format!("{} d {} h", s / 86_400, s / 3600 % 24),
        // To the nearest tenth of a year of 365.2425 days.
        _ => {
            let tenths = (s * 10 + YEAR_S / 2) / YEAR_S;
            if tenths % 10 == 0 { format!("{} years", tenths / 10) } else { format!("{}.{} years", tenths / 10, tenths % 10) }
        }
    }
}

/// A year, in seconds, and from when on spans are told in years.
const YEAR_S: i64 = 31_556_952;
const YEARS_FROM_S: i64 = 2 * YEAR_S;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_print_as_they_should() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_341_432_000, "2026-11-22T09:57:12Z"),
            (253_402_300_799_000, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp(ms).rfc3339(), text);
        }
        assert_eq!(Timestamp(1_795_341_432_000).readable(), "22 Nov 2026 09:57 UTC");
        assert_eq!(Timestamp(1_795_341_432_000).date(), "22 Nov 2026");
    }

    #[test]
    fn spans_read_like_speech() {
        assert_eq!(duration(-5), "0 s");
        assert_eq!(duration(42_900), "42 s");
        assert_eq!(duration(21_720_000), "6 h 02 min");
        assert_eq!(duration(273_600_000), "3 d 4 h");
        assert_eq!(duration(730 * 86_400_000), "730 d 0 h");
        assert_eq!(duration(1825 * 86_400_000), "5 years");
        assert_eq!(duration(7304 * 86_400_000), "20 years");
    }
}

//! When devices may install: the maintenance window of a plan, and how urgent its updates are.

use crate::{Timestamp, states::words};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

words! {
    /// A day of the week.
    Weekday {
        /// Monday.
        Mon = "mon",
        /// Tuesday.
        Tue = "tue",
        /// Wednesday.
        Wed = "wed",
        /// Thursday.
        Thu = "thu",
        /// Friday.
        Fri = "fri",
        /// Saturday.
        Sat = "sat",
        /// Sunday.
        Sun = "sun",
    }
}

/// When devices may install, week by week, in each device's own local time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it opens, at least one.
    pub days: Vec<Weekday>,
    /// When it opens, local time; before `24:00`.
    pub from: TimeOfDay,
    /// When it closes, local time. Not after `from` means on the next day.
    pub until: TimeOfDay,
    /// The IANA zone of devices that report none in their attribute `timezone`, or none that is known; for example `Europe/Berlin`.
    pub zone: String,
}

/// A time of day in whole minutes, written `HH:MM`. `24:00` is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// The minutes since midnight, 0 to 1,440, of a clock that is never put forward or back.
    pub const fn minutes(self) -> u16 {
        self.0
    }

    /// The time so many minutes after midnight; none beyond `24:00`.
    pub const fn of_minutes(minutes: u16) -> Option<Self> {
        if minutes <= 24 * 60 { Some(Self(minutes)) } else { None }
    }
}

/// A text that is no time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time of day: write HH:MM, from 00:00 to 24:00")]
pub struct BadTime(String);

impl FromStr for TimeOfDay {
    type Err = BadTime;
    fn from_str(text: &str) -> Result<Self, BadTime> {
        let two = |part: &str| part.parse::<u16>().ok().filter(|_| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()));
        let minutes = text.split_once(':').and_then(|(hours, minutes)| Some((two(hours)?, two(minutes).filter(|m| *m < 60)?)));
        minutes.and_then(|(hours, minutes)| Self::of_minutes(hours * 60 + minutes)).ok_or_else(|| BadTime(text.to_owned()))
    }
}
impl TryFrom<String> for TimeOfDay {
    type Error = BadTime;
    fn try_from(text: String) -> Result<Self, BadTime> {
        text.parse()
    }
}
impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}
impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for TimeOfDay {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let text = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
        text.pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")).build().into()
    }
}
#[cfg(feature = "openapi")]
impl utoipa::ToSchema for TimeOfDay {}

/// Whether a device may put an update off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// It may, for example until its user agrees.
    Soft,
    /// It may not.
    #[default]
    Forced,
    /// It may until then, and may not from then on.
    ForcedAfter(Timestamp),
}

impl Urgency {
    /// Whether it is what a plan that says nothing has.
    pub fn is_usual(&self) -> bool {
        *self == Self::Forced
    }

    /// Whether a device may put it off at this instant.
    pub fn soft(self, now: Timestamp) -> bool {
        match self {
            Self::Soft => true,
            Self::Forced => false,
            Self::ForcedAfter(at) => now < at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_written_one_way_only() {
        for (text, minutes) in [("00:00", 0), ("02:30", 150), ("23:59", 1439), ("24:00", 1440)] {
            let time: TimeOfDay = text.parse().unwrap();
            assert_eq!((time.minutes(), time.to_string()), (minutes, text.to_owned()));
        }
        for wrong in ["", "2:30", "02:3", "24:01", "12:60", "+2:00", "02-30", "99:00", "65535:00"] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
        let (window, json) = (
            Window { days: vec![Weekday::Mon], from: TimeOfDay(1320), until: TimeOfDay(120), zone: "UTC".into() },
            r#"{"days":["mon"],"from":"22:00","until":"02:00","zone":"UTC"}"#,
        );
        assert_eq!(serde_json::to_string(&window).unwrap(), json);
        assert_eq!(serde_json::from_str::<Window>(json).unwrap(), window);
    }

    #[test]
    fn an_update_becomes_urgent_when_its_time_has_come() {
        let after = Urgency::ForcedAfter(Timestamp(5));
        assert_eq!([Timestamp(4), Timestamp(5)].map(|now| after.soft(now)), [true, false]);
        assert!(Urgency::Soft.soft(Timestamp(i64::MAX)) && !Urgency::default().soft(Timestamp(0)));
        assert_eq!(serde_json::to_string(&after).unwrap(), r#"{"forced_after":5}"#);
        assert_eq!(serde_json::to_string(&Urgency::Soft).unwrap(), r#""soft""#);
    }
}

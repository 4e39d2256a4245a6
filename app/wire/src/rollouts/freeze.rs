//! The calendar of freezes, in which no rollout offers anything new.

use crate::{Timestamp, ids::FreezeId};
use serde::{Deserialize, Serialize};

/// A freeze as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewFreeze {
    /// What people call it, 1 to 100 characters.
    pub name: String,
    /// Why, at most 500 characters.
    #[serde(default)]
    pub reason: String,
    /// Its first instant; in the past means from now on.
    pub from: Timestamp,
    /// The first instant after it; at most a year after `from`.
    pub until: Timestamp,
}

/// A freeze of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FreezeRow {
    /// Its id.
    pub id: FreezeId,
    /// What people call it.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it, as it was asked for.
    pub until: Timestamp,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// When somebody ended it early; before its first instant it never held.
    pub ended_at: Option<Timestamp>,
    /// Who did; empty when nobody.
    pub ended_by: String,
}

impl FreezeRow {
    /// Whether it holds at this instant.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.ended_at.is_none() && self.from <= at && at < self.until
    }

    /// When somebody ended it early although it held; one that had not begun was taken back.
    pub fn lifted(&self) -> Option<Timestamp> {
        self.ended_at.filter(|ended| self.from <= *ended)
    }

    /// Whether it neither holds nor will.
    pub fn over(&self, at: Timestamp) -> bool {
        self.ended_at.is_some() || self.until <= at
    }
}

/// What follows when a freeze was lifted and so many others hold, as a sentence without its full stop.
pub fn after_lifting(others: usize) -> String {
    match others {
        0 => "Rollouts offer again".to_owned(),
        1 => "1 other freeze still holds".to_owned(),
        n => format!("{n} other freezes still hold"),
    }
}

/// The calendar, and what the caller may do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FreezesPage {
    /// The latest first; at most 200.
    pub freezes: Vec<FreezeRow>,
    /// Whether the caller may make and end freezes.
    pub may_freeze: bool,
    /// When this was read.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_held_is_lifted_and_what_had_not_begun_is_taken_back() {
        let freeze = |ended_at| FreezeRow {
            id: "frz_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(),
            name: "Year's end".into(),
            reason: String::new(),
            from: Timestamp(1000),
            until: Timestamp(2000),
            made_by: "ada".into(),
            made_at: Timestamp(0),
            ended_at,
            ended_by: String::new(),
        };
        assert_eq!(freeze(None).lifted(), None);
        assert_eq!(freeze(Some(Timestamp(999))).lifted(), None);
        assert_eq!(freeze(Some(Timestamp(1000))).lifted(), Some(Timestamp(1000)));
    }

    #[test]
    fn nothing_is_offered_again_while_another_holds() {
        assert_eq!([0, 1, 2].map(after_lifting), ["Rollouts offer again", "1 other freeze still holds", "2 other freezes still hold"]);
    }
}

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

    /// Whether it neither holds nor will.
    pub fn over(&self, at: Timestamp) -> bool {
        self.ended_at.is_some() || self.until <= at
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

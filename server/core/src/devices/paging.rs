//! Pure: pages of lists that are in the order of their ids, which is the order in which things were made, or of numbers. A cursor is the id or the number
//! that the page before ends with, so it stays good when that thing is gone.

use super::Error;
use std::str::FromStr;
use wire::page::{DEFAULT_ROWS, MAX_ROWS};

/// Where a page begins, and of how many rows it is.
pub(super) struct Place {
    /// Only what comes after this id, in the order of the list.
    pub id: String,
    /// Rows of the page.
    pub rows: u32,
}

impl Place {
    /// In a list that is newest first.
    pub(super) fn newest_first<Id: FromStr + Into<String>>(cursor: Option<&str>, rows: Option<u32>) -> Result<Self, Error> {
        // A tilde sorts behind every id.
        Self::of::<Id>(cursor, rows, "~")
    }

    /// In a list that is oldest first.
    pub(super) fn oldest_first<Id: FromStr + Into<String>>(cursor: Option<&str>, rows: Option<u32>) -> Result<Self, Error> {
        Self::of::<Id>(cursor, rows, "")
    }

    fn of<Id: FromStr + Into<String>>(cursor: Option<&str>, rows: Option<u32>, edge: &str) -> Result<Self, Error> {
        let id = match cursor {
            None => edge.to_owned(),
            Some(c) => read::<Id>(c)?.into(),
        };
        Ok(Self { id, rows: size(rows) })
    }

    /// How many rows to read: one more, which tells whether there is a next page.
    pub(super) fn limit(&self) -> i64 {
        i64::from(self.rows) + 1
    }
}

/// After which number a page begins, in a list in the order of numbers.
pub(super) fn after(cursor: Option<&str>) -> Result<i64, Error> {
    cursor.map_or(Ok(0), read)
}

fn read<T: FromStr>(cursor: &str) -> Result<T, Error> {
    cursor.parse().map_err(|_| Error::invalid("cursor", "Take the cursor of the page before."))
}

/// Rows of a page, within what a page may have.
pub(super) fn size(rows: Option<u32>) -> u32 {
    rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS)
}

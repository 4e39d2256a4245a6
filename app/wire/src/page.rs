//! Keyset pages: a slice of a list and the cursor to the next one.

use serde::{Deserialize, Serialize};

/// One page of a list. A cursor is opaque; it stays valid while rows come and go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The rows, in the order asked for.
    pub items: Vec<T>,
    /// The cursor of the page after this one; none at the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
    /// How many rows match in all.
    pub total: i64,
}

impl<T> Page<T> {
    /// A list that is given whole: nothing is behind it, because something else bounds it, which whoever calls this says.
    pub fn whole(items: Vec<T>) -> Self {
        let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
        Self { items, next: None, total }
    }

    /// A page of so many rows. `items` has one more when there is a next page, which begins behind what `cursor` says of the last row.
    pub fn cut(mut items: Vec<T>, rows: u32, total: i64, cursor: impl FnOnce(&T) -> String) -> Self {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let more = items.len() > rows;
        items.truncate(rows);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next, total }
    }
}

/// How many rows a page has unless asked otherwise.
pub const DEFAULT_ROWS: u32 = 50;
/// What is said of a cursor that is none of a list's.
pub const NOT_A_CURSOR: &str = "This is not a cursor that this list gave.";
/// The most rows a page may have.
pub const MAX_ROWS: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_where_it_ends_and_says_where_the_next_one_begins() {
        let cut = |rows| Page::cut(vec![1, 2, 3], rows, 9, i32::to_string);
        assert_eq!(cut(2), Page { items: vec![1, 2], next: Some("2".to_owned()), total: 9 });
        assert_eq!(cut(3), Page { items: vec![1, 2, 3], next: None, total: 9 });
        assert_eq!(Page::whole(vec!['a', 'b']), Page { items: vec!['a', 'b'], next: None, total: 2 });
    }
}

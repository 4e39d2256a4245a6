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

/// How many rows a page has unless asked otherwise.
pub const DEFAULT_ROWS: u32 = 50;
/// The most rows a page may have.
pub const MAX_ROWS: u32 = 200;

//! When a device was connected: the connections that are kept, a page at a time, and how much of each day that was.

use crate::{Timestamp, devices::ConnectionSpan, page::Page};
use serde::{Deserialize, Serialize};

/// Days that are told of, the last one being today in UTC.
pub const DAYS: u32 = 30;

/// Which connections to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectionsQuery {
    /// Cursor of the page before; empty for the newest ones.
    // Always written: an address without any pair would be no query at all.
    #[serde(default)]
    pub cursor: String,
    /// Rows, at most [`crate::page::MAX_ROWS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
}

/// A device's connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionsPage {
    /// Those that are kept, the newest in front.
    pub connections: Page<ConnectionSpan>,
    /// For how many milliseconds of each of the last [`DAYS`] days in UTC it was connected, the oldest first, today last.
    pub days: Vec<i64>,
    /// When the first of these days began.
    pub first_day: Timestamp,
    /// Nothing is known of what was before.
    pub since: Timestamp,
    /// When this was read.
    pub at: Timestamp,
}

//! Which releases a list has: the same words in a page's address, in REST and on the command line.

use crate::states::ReleaseState;
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// How a release's signatures and stored files stand; lists are narrowed by it.
    ReleaseCheck {
        /// The keys that have to sign it have done so.
        Signed = "signed",
        /// No signature of it counts, or it is in quarantine for another reason.
        Unsigned = "unsigned",
        /// A stored file of it is damaged: it is not given out until it was uploaded again.
        Damaged = "damaged",
    }
}

/// Which releases to list, newest first. The same shape is a page's URL and a REST query.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReleaseQuery {
    /// A part of the version, of the device type, or of the notes; empty means all.
    // Always written: an address without any pair would be no query at all.
    #[serde(default)]
    pub q: String,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ReleaseState>,
    /// Only those for exactly this device type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// Only those that stand like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<ReleaseCheck>,
    /// Cursor of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Rows, at most [`crate::page::MAX_ROWS`]; [`crate::page::DEFAULT_ROWS`] unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
}

impl ReleaseQuery {
    /// Whether it leaves any release out, wherever its page begins.
    pub fn narrows(&self) -> bool {
        !self.q.trim().is_empty() || self.state.is_some() || self.device_type.is_some() || self.check.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_narrows_a_list_and_its_place_does_not() {
        let place = ReleaseQuery { q: " ".into(), cursor: Some("rel_1".into()), rows: Some(2), ..ReleaseQuery::default() };
        assert!(!place.narrows());
        assert!(ReleaseQuery { q: "1.2".into(), ..place.clone() }.narrows());
        assert!(ReleaseQuery { state: Some(ReleaseState::Recalled), ..place.clone() }.narrows());
        assert!(ReleaseQuery { device_type: Some("gateway".into()), ..place.clone() }.narrows());
        assert!(ReleaseQuery { check: Some(ReleaseCheck::Damaged), ..place }.narrows());
    }
}

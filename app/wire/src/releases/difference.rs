//! Two releases beside each other: what differs, and which ones can be chosen.

use super::{ArtifactRow, ReleaseRow};
use crate::{change::FieldChange, ids::ReleaseId, states::ReleaseState};
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// What became of a file from one release to another.
    FileChange {
        /// It has the same name and the same bytes.
        Same = "same",
        /// It has the same bytes under another name.
        Renamed = "renamed",
        /// It has other bytes.
        Changed = "changed",
        /// Only the later one has it.
        Added = "added",
        /// Only the earlier one has it.
        Removed = "removed",
    }
}

/// What differs between a release and another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseDifference {
    /// The one that it is held against.
    pub before: ReleaseRow,
    /// The one that is looked at.
    pub after: ReleaseRow,
    /// Field by field, in the order of the manifest; empty when none differs.
    pub lines: Vec<FieldChange>,
    /// Every file of both: as `after` has them, then those that only `before` has.
    pub files: Vec<FileDifference>,
}

impl ReleaseDifference {
    /// Whether nothing differs but the two themselves.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.files.iter().all(|file| file.change == FileChange::Same)
    }
}

/// A file of two releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileDifference {
    /// What became of it.
    pub change: FileChange,
    /// As `before` has it; none when it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ArtifactRow>,
    /// As `after` has it; none when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ArtifactRow>,
    /// What differs in what they say of it, beside size and digest: how devices treat it, and what the container in it says of itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<FieldChange>,
}

impl FileDifference {
    /// By how many bytes it grew; negative when it shrank. A file that is in one of them only grew from nothing or shrank to it.
    pub fn growth(&self) -> i64 {
        let size = |file: Option<&ArtifactRow>| file.map_or(0, |file| file.size);
        size(self.after.as_ref()) - size(self.before.as_ref())
    }
}

/// A release that can be chosen for a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseChoice {
    /// Its id.
    pub id: ReleaseId,
    /// The device type it is for.
    pub device_type: String,
    /// Its version; empty where it came without a manifest.
    pub version: String,
    /// Where it is in its life.
    pub state: ReleaseState,
}

/// All the page of a comparison shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparisonPage {
    /// The releases that can be chosen, newest first; at most 200, and those that are compared among them.
    pub choices: Vec<ReleaseChoice>,
    /// The comparison; none while two are not chosen.
    pub difference: Option<ReleaseDifference>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Digest;

    fn file(name: &str, size: i64) -> ArtifactRow {
        let sha256 = Digest::from_bytes(&[7; 32]);
        ArtifactRow { name: name.into(), size, sha256, checked_at: None, damage: None, container: None, signature: None }
    }

    #[test]
    fn a_file_that_is_in_one_only_grew_from_nothing_or_shrank_to_it() {
        let of = |before: Option<i64>, after: Option<i64>| {
            let (before, after) = (before.map(|n| file("a", n)), after.map(|n| file("a", n)));
            FileDifference { change: FileChange::Changed, before, after, lines: Vec::new() }.growth()
        };
        assert_eq!((of(Some(10), Some(15)), of(Some(10), Some(4)), of(None, Some(7)), of(Some(7), None)), (5, -6, 7, -7));
    }
}

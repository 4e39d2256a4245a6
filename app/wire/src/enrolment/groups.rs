//! Groups that devices are put into as they come in (E-1): given by tokens, claims, batches, and for devices of own authorities.

use crate::ids::GroupId;
use serde::{Deserialize, Serialize};

/// Most groups that one token, claim, batch or authority gives.
pub const MOST_GIVEN_GROUPS: usize = 20;

/// A group that devices are put into as they come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GivenGroup {
    /// Its id, which stays when it is renamed.
    pub id: GroupId,
    /// What it is called now; of a deleted one, what it was called last.
    pub name: String,
    /// Whether it was deleted since. Devices come in all the same, and into none in its place.
    pub deleted: bool,
}

impl GivenGroup {
    /// In words, beside tags and types: `group north`.
    pub fn words(&self) -> String {
        format!("group {}{}", self.name, if self.deleted { " (deleted)" } else { "" })
    }
}

/// Groups by their names or ids as one text, with commas between them; one whose name has a comma goes by its id.
pub fn group_names(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_blanks_in_them_and_a_deleted_group_is_said_to_be_one() {
        assert_eq!(group_names(" Hall 3, north ,,"), ["Hall 3", "north"]);
        assert!(group_names(" ").is_empty());
        let id = "grp_00000000000000000000000000000001".parse().unwrap();
        let mut group = GivenGroup { id, name: "Hall 3".into(), deleted: false };
        assert_eq!(group.words(), "group Hall 3");
        group.deleted = true;
        assert_eq!(group.words(), "group Hall 3 (deleted)");
    }
}

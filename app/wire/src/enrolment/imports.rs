//! Imports of devices from another system or a spreadsheet.

use crate::{Timestamp, ids::DeviceImportId};
use serde::{Deserialize, Serialize};

/// A line of an import that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportProblem {
    /// Of CSV the line of the file, the names of the columns being line 1; of hawkBit's list which target, the first being 1.
    pub line: i64,
    /// The device id that stands there, as far as it can be shown.
    pub device_id: String,
    /// The column it is about; empty where it is the whole line.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// A device that is there, and what an import says of it that is otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportChange {
    /// Which line says so, counted as in problems.
    pub line: i64,
    /// The device.
    pub device_id: String,
    /// Its type by the file; empty where that is no other.
    pub device_type: String,
    /// Its hardware revision by the file; empty where that is no other.
    pub hardware: String,
    /// Tags that it does not have.
    pub tags: Vec<String>,
    /// The names of groups that it is not in.
    pub groups: Vec<String>,
    /// The names of attributes that it does not have.
    pub attributes: Vec<String>,
    /// Whether the file has another secret for it, or it has none.
    pub secret: bool,
}

impl ImportChange {
    /// What is otherwise, in words: `type sensor; tags uk, lab; its secret`.
    #[must_use]
    pub fn words(&self) -> String {
        let some = |what: &str, words: &[String]| if words.is_empty() { String::new() } else { format!("{what} {}", words.join(", ")) };
        let one = |what: &str, word: &str| if word.is_empty() { String::new() } else { format!("{what} {word}") };
        let all = [
            one("type", &self.device_type),
            one("hardware", &self.hardware),
            some("tags", &self.tags),
            some("groups", &self.groups),
            some("attributes", &self.attributes),
            if self.secret { "its secret".to_owned() } else { String::new() },
        ];
        all.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// What an import came to, or what it would come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportOutcome {
    /// Whether it was only looked at: nothing is changed.
    pub preview: bool,
    /// Whether devices that are there are changed where the file says otherwise; without it they are left as they are.
    pub update: bool,
    /// Devices that were not there.
    pub new: i64,
    /// Devices that are there and of which the file says nothing else.
    pub unchanged: i64,
    /// Devices that are there and of which the file says something else.
    pub differing: i64,
    /// Lines that are not taken.
    pub errors: i64,
    /// Lines whose `security_token` is, or would be, that of their device.
    pub secrets: i64,
    /// Whether the organization takes no such token at the moment, so that these devices are turned away.
    pub secrets_off: bool,
    /// The first thousand of the lines that are not taken, in their order.
    pub problems: Vec<ImportProblem>,
    /// The first two hundred of the devices that are there and differ, in the order of their lines: what is changed, or left without `update`.
    #[serde(default)]
    pub changes: Vec<ImportChange>,
    /// The first thousand of the lines that are taken and of which something is to be known, such as a secret that another one has, too.
    #[serde(default)]
    pub notes: Vec<ImportProblem>,
}

impl ImportOutcome {
    /// Devices that come in or are changed.
    #[must_use]
    pub const fn touched(&self) -> i64 {
        self.new + if self.update { self.differing } else { 0 }
    }

    /// The counts as a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let (made, changed) = match (self.preview, self.update) {
            (true, true) => ("would come in", "would be changed"),
            (true, false) => ("would come in", "differ and would be left as they are"),
            (false, true) => ("came in", "were changed"),
            (false, false) => ("came in", "differ and were left as they are"),
        };
        let Self { new, unchanged, differing, errors, .. } = self;
        format!("{new} {made}, {unchanged} are there as the file says, {differing} {changed}, {errors} lines are not taken.")
    }
}

/// A file that the console keeps between its preview and its import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaidImport {
    /// Its id.
    pub id: DeviceImportId,
    /// The file's name.
    pub name: String,
    /// When it was sent.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was imported; none while it is only looked at.
    pub done_at: Option<Timestamp>,
    /// What it came to, or what it would come to now.
    pub outcome: ImportOutcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_what_is_and_what_would_be() {
        let outcome = ImportOutcome { preview: true, new: 2, unchanged: 1, differing: 3, errors: 4, ..ImportOutcome::default() };
        let before = outcome.words();
        assert_eq!(outcome.touched(), 2);
        assert!(before.starts_with("2 would come in") && before.contains("3 differ and would be left"), "{before}");
        let after = ImportOutcome { preview: false, update: true, ..outcome };
        assert_eq!(after.touched(), 5);
        let after = after.words();
        assert!(after.starts_with("2 came in") && after.contains("3 were changed, 4 lines"), "{after}");
    }

    #[test]
    fn what_is_otherwise_is_said_in_words() {
        let tags = vec!["uk".into(), "lab".into()];
        let change = ImportChange { device_type: "sensor".into(), tags, secret: true, ..ImportChange::default() };
        assert_eq!(change.words(), "type sensor; tags uk, lab; its secret");
    }
}

//! Pure: which uploads were begun in this browser, as it keeps them, so that a file that is chosen again goes on where it was cut: also after the page was
//! loaded anew. Refuses to know where that is kept.

use crate::api::decode::try_decode;
use serde::{Deserialize, Serialize};

/// Most that are kept; the oldest goes first.
const MOST: usize = 32;
/// As long as the server keeps an upload that is not finished: a day, in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

/// A file, as far as a browser tells one from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileKey {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: i64,
    /// When it was changed last, in milliseconds since 1970.
    pub modified: i64,
}

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Of which file.
    pub file: FileKey,
    /// What the server calls it.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// The upload of this file that the server may still have.
pub fn find(kept: &str, file: &FileKey, now: i64) -> Option<String> {
    all(kept, now).into_iter().rev().find(|begun| begun.file == *file).map(|begun| begun.id)
}

/// The same with one more, in the place of those of the same file.
pub fn with(kept: &str, new: Begun) -> String {
    let mut all = all(kept, new.at);
    all.retain(|begun| begun.file != new.file);
    all.push(new);
    let from = all.len().saturating_sub(MOST);
    written(&all[from..])
}

/// The same without these: they were used up, or are not there any more.
pub fn without(kept: &str, ids: &[String], now: i64) -> String {
    let mut all = all(kept, now);
    all.retain(|begun| !ids.contains(&begun.id));
    written(&all)
}

/// What another release of the console has written and cannot be read is forgotten.
fn all(kept: &str, now: i64) -> Vec<Begun> {
    let all: Vec<Begun> = try_decode(kept).unwrap_or_default();
    all.into_iter().filter(|begun| (0..DAY_MS).contains(&(now - begun.at))).collect()
}

fn written(all: &[Begun]) -> String {
    serde_json::to_string(all).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, size: i64) -> FileKey {
        FileKey { name: name.into(), size, modified: 7 }
    }

    fn begun(name: &str, id: &str, at: i64) -> Begun {
        Begun { file: file(name, 10), id: id.into(), at }
    }

    #[test]
    fn a_file_that_is_chosen_again_finds_its_upload_for_a_day() {
        let kept = with(&with("", begun("a", "upl_1", 1000)), begun("b", "upl_2", 2000));
        assert_eq!(find(&kept, &file("a", 10), 3000).as_deref(), Some("upl_1"));
        for other in [file("a", 11), file("c", 10), FileKey { modified: 8, ..file("a", 10) }] {
            assert_eq!(find(&kept, &other, 3000), None, "{other:?} is another file");
        }
        assert_eq!(find(&kept, &file("a", 10), 1000 + DAY_MS), None, "the server has it no more");
        assert_eq!(find(&kept, &file("a", 10), 0), None, "by a clock that was set back nothing is believed");
        let anew = with(&kept, begun("a", "upl_3", 3000));
        assert_eq!(find(&anew, &file("a", 10), 3000).as_deref(), Some("upl_3"), "the newest of a file");
        let used = without(&anew, &["upl_3".to_owned()], 3000);
        assert_eq!((find(&used, &file("a", 10), 3000), find(&used, &file("b", 10), 3000).as_deref()), (None, Some("upl_2")));
    }

    #[test]
    fn what_is_kept_is_bounded_and_junk_is_forgotten() {
        assert_eq!(find("{\"not\": \"a list\"}", &file("a", 10), 0), None);
        let many = (0..100).fold("junk".to_owned(), |kept, n| with(&kept, begun(&n.to_string(), &format!("upl_{n}"), n)));
        assert_eq!(all(&many, 100).len(), MOST);
        assert_eq!(find(&many, &file("99", 10), 100).as_deref(), Some("upl_99"));
    }
}

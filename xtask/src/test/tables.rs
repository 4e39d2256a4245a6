//! Which room keeps which table, read from the SQL of the sources: one room puts rows into a table and takes them out; what any other reads or changes of it is
//! listed here with its reason, and nowhere else. Tests may do as they like. Refuses to know what a statement means; engines check that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};

use super::rooms::{is_test, room_of};
use crate::paths;

/// Where the list is, for whoever breaks it.
const LIST: &str = "xtask/src/test/tables.rs";
/// The domain's sources, from the workspace's folder.
const SOURCES: &str = "server/core/src";

/// What a room does to a table of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    /// It reads rows.
    Reads,
    /// It changes columns that are its own.
    Changes,
}

/// A room, a table that another one keeps, what the room does to it, and why it does not ask the other one.
type Beside = (&'static str, &'static str, Does, &'static str);

/// All there is of that.
const BESIDE: &[Beside] = &[
    ("devices", "authorities", Does::Reads, "who enrols gets an authority that is in force, in one statement"),
    ("devices", "certificates", Does::Reads, "lists and selectors show and ask for the state of a device's certificate"),
    ("devices", "organizations", Does::Changes, "an organization's rules of enrolment are its columns"),
    ("devices", "registered_authorities", Does::Reads, "who enrols by a foreign authority is let in in one statement"),
    ("in_force", "certificates", Does::Reads, "one walk over all that is in force, for every room"),
    // The next four look upwards, from a certificate to what it is for: the statements stay one, and `pki` names nothing of `devices` in its code.
    (
        "pki",
        "claims",
        Does::Reads,
        "a claim's certificate is told to every instance with the others, and a profile is not removed under one",
    ),
    ("pki", "devices", Does::Changes, "which trust bundle a device holds is a column of it; trust and lists join its name and state"),
    ("pki", "enrolment_batches", Does::Reads, "a profile is not removed under a batch that is to use it"),
    ("pki", "enrolment_tokens", Does::Reads, "a profile is not removed under a token that is to use it"),
    ("pki", "organizations", Does::Changes, "an organization's rules of keys and approvals are its columns"),
    ("releases", "devices", Does::Reads, "how many devices run a release is a column of its list, sorted and paged with it"),
    ("rollouts", "connections", Does::Reads, "which devices went dark is counted in one statement"),
    ("rollouts", "deltas", Does::Reads, "which delta starts from what a device runs is found in one statement, with every offer"),
    ("rollouts", "device_attributes", Does::Reads, "budgets, spreads and windows ask for the values of the whole fleet"),
    ("rollouts", "devices", Does::Changes, "that a device confirms by itself is a column of it; lists join names and presence"),
    ("rollouts", "organizations", Does::Reads, "its row is the lock of a budget that all its rollouts share"),
    ("rollouts", "release_files", Does::Reads, "what a device fetched is told with the file's name"),
    ("rollouts", "releases", Does::Reads, "a rollout's row is read with its release's state: a recall is never seen late"),
    ("transfers", "device_attributes", Does::Reads, "a download's site is found in one statement"),
    ("transfers", "devices", Does::Reads, "a download's device and organization are found in the same one"),
    ("transfers", "organizations", Does::Changes, "an organization's limits of bandwidth and data are its columns"),
    // These two look upwards.
    ("transfers", "rollouts", Does::Reads, "a download's own limit is its rollout's"),
    ("transfers", "updates", Does::Reads, "by which rollout a device downloads is found in the same statement"),
];

/// A place in the sources that names a table.
#[derive(Debug)]
struct Use {
    room: String,
    table: String,
    verb: Verb,
    at: String,
}

/// What a statement does to a table that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Reads,
    Updates,
    /// Puts rows in, or takes them out.
    Keeps,
}

/// Every table that a room uses and is not listed for.
pub fn broken_rules() -> Result<Vec<String>> {
    let root = paths::root();
    let mut tables = BTreeSet::new();
    for folder in ["migrations/sqlite", "migrations/sqlite_telemetry"] {
        for file in paths::files_below(&root.join(folder)).with_context(|| format!("reading {folder}"))? {
            tables.extend(made_in(&fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?));
        }
    }
    let folder = root.join(SOURCES);
    let mut uses = Vec::new();
    for file in paths::files_below(&folder).with_context(|| format!("reading {SOURCES}"))? {
        let path = file.strip_prefix(&folder)?.to_string_lossy().into_owned();
        if file.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            uses.extend(uses_in(&path, &text, &tables));
        }
    }
    Ok(broken_in(BESIDE, &uses))
}

fn broken_in(beside: &[Beside], uses: &[Use]) -> Vec<String> {
    let mut keepers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for kept in uses.iter().filter(|one| one.verb == Verb::Keeps) {
        keepers.entry(&kept.table).or_default().insert(&kept.room);
    }
    let (mut broken, mut used) = (Vec::new(), BTreeSet::new());
    for (table, rooms) in keepers.iter().filter(|(_, rooms)| rooms.len() > 1) {
        let rooms: Vec<_> = rooms.iter().copied().collect();
        broken.push(format!("{table} is kept by {}: one room puts rows into a table and takes them out", rooms.join(" and by ")));
    }
    for one in uses {
        let own = keepers.get(one.table.as_str()).is_none_or(|rooms| rooms.contains(one.room.as_str()));
        if own {
            continue;
        }
        let listed = beside.iter().find(|(room, table, ..)| (*room, *table) == (one.room.as_str(), one.table.as_str()));
        let may = listed.is_some_and(|(_, _, does, _)| one.verb == Verb::Reads || one.verb == Verb::Updates && *does == Does::Changes);
        if let Some((room, table, does, _)) = listed {
            let fully = *does == Does::Reads || one.verb == Verb::Updates;
            if fully {
                used.insert((*room, *table));
            }
        }
        if !may {
            let what = if one.verb == Verb::Updates { "changes" } else { "reads" };
            broken.push(format!(
                "{}: {} {what} {}, another room's table. Ask that room, or give the line its reason in {LIST}",
                one.at, one.room, one.table
            ));
        }
    }
    for (room, table, ..) in beside.iter().filter(|(room, table, ..)| !used.contains(&(*room, *table))) {
        broken.push(format!("{SOURCES}: {room} does not use {table} like this any more: change its line in {LIST}"));
    }
    broken
}

/// The tables that a migration makes.
fn made_in(sql: &str) -> Vec<String> {
    let words: Vec<&str> = words(sql).collect();
    let made = |at: usize| match words.get(at..)? {
        ["CREATE", "TABLE", "IF", "NOT", "EXISTS", name, ..] | ["CREATE", "TABLE", name, ..] => Some((*name).to_owned()),
        _ => None,
    };
    (0..words.len()).filter_map(made).collect()
}

/// The tables that the texts of a source name where SQL names tables.
fn uses_in(path: &str, source: &str, tables: &BTreeSet<String>) -> Vec<Use> {
    let shipped = source.find("#[cfg(test)]\nmod tests {").map_or(source, |end| &source[..end]);
    let mut found = Vec::new();
    for (line, text) in texts(shipped) {
        let words: Vec<&str> = words(&text).collect();
        for (at, word) in words.iter().enumerate().filter(|(_, word)| tables.contains(**word)) {
            let before = |back: usize| at.checked_sub(back).and_then(|i| words.get(i)).copied();
            let verb = match (before(2), before(1)) {
                (Some("DELETE"), Some("FROM")) | (_, Some("INTO")) => Verb::Keeps,
                (_, Some("UPDATE")) => Verb::Updates,
                (_, Some("FROM" | "JOIN")) => Verb::Reads,
                // A part of a statement that another one puts together.
                (None, None) if words.iter().any(|word| matches!(*word, "JOIN" | "WHERE")) => Verb::Reads,
                _ => continue,
            };
            found.push(Use { room: room_of(path).to_owned(), table: (*word).to_owned(), verb, at: format!("{SOURCES}/{path}:{line}") });
        }
    }
    found
}

/// The words of a text, without what stands between them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// The string literals of a source, each with its line; comments are passed over.
fn texts(source: &str) -> Vec<(usize, String)> {
    let (mut found, mut line) = (Vec::new(), 1);
    let mut rest = source.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        match c {
            '\n' => line += 1,
            '/' if before == '/' => {
                // Up to the end of the line, which is counted above.
                while rest.peek().is_some_and(|next| *next != '\n') {
                    rest.next();
                }
            }
            // A quote as a character.
            '"' if before == '\'' => {}
            '"' => {
                let (mut text, from) = (String::new(), line);
                while let Some(c) = rest.next() {
                    match c {
                        '"' => break,
                        '\\' => {
                            line += usize::from(rest.next() == Some('\n'));
                        }
                        c => {
                            line += usize::from(c == '\n');
                            text.push(c);
                        }
                    }
                }
                found.push((from, text));
            }
            _ => {}
        }
        before = c;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = r#"
        // "DELETE FROM b" in a comment
        const A: Sql = Sql::same("INSERT INTO a (x) VALUES ($1)");
        const B: Sql = Sql::same("SELECT a.x FROM a
            JOIN b ON b.x = a.x");
        const C: Sql = concat!("a x JOIN b y ON TRUE", '"');
        const D: Sql = Sql::same("UPDATE b SET x = 1");
        #[cfg(test)]
mod tests { const E: Sql = Sql::same("DELETE FROM b"); }"#;

    fn tables() -> BTreeSet<String> {
        made_in("CREATE TABLE a (x TEXT) STRICT; CREATE TABLE IF NOT EXISTS b (x TEXT); CREATE INDEX c ON a (x)").into_iter().collect()
    }

    #[test]
    fn the_tables_of_a_statement_are_found_with_what_it_does_to_them() {
        assert_eq!(tables().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        let found: Vec<_> = uses_in("one/store.rs", SQL.trim_start(), &tables())
            .into_iter()
            .map(|one| (one.room, one.table, one.verb, one.at.rsplit(':').next().unwrap().to_owned()))
            .collect();
        let one = |table: &str, verb, line: &str| ("one".to_owned(), table.to_owned(), verb, line.to_owned());
        let expected = [
            one("a", Verb::Keeps, "2"),
            one("a", Verb::Reads, "3"),
            one("b", Verb::Reads, "3"),
            one("a", Verb::Reads, "5"),
            one("b", Verb::Reads, "5"),
            one("b", Verb::Updates, "6"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn another_rooms_table_is_used_only_as_it_is_listed() {
        let of = |source: &str| {
            let uses = [uses_in("one.rs", "\"INSERT INTO a\"", &tables()), uses_in("two.rs", source, &tables())];
            uses.into_iter().flatten().collect::<Vec<_>>()
        };
        let reads: &[Beside] = &[("two", "a", Does::Reads, "it must")];
        let changes: &[Beside] = &[("two", "a", Does::Changes, "it must")];
        assert!(broken_in(&[], &of("\"SELECT x FROM a\""))[0].contains("two reads a, another room's table"));
        assert!(broken_in(reads, &of("\"SELECT x FROM a\"")).is_empty());
        assert!(broken_in(reads, &of("\"UPDATE a SET x\""))[0].contains("two changes a"));
        assert!(broken_in(changes, &of("\"UPDATE a SET x\" \"SELECT x FROM a\"")).is_empty());
        assert!(broken_in(changes, &of("\"SELECT x FROM a\""))[0].contains("does not use a like this any more"));
        assert!(broken_in(&[], &of("\"DELETE FROM a\""))[0].contains("a is kept by one and by two"));
    }
}

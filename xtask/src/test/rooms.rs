//! Who may name whom inside a package: the rooms of README.md, read from the `crate::…` and `super::…` paths of the sources. Tests may name
//! anything, they build whole worlds. Refuses to know packages and libraries; those are `imports`' business.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;

use anyhow::{Context, Result};

use super::sources::{code, names};
use crate::paths;

/// A package whose rooms are kept apart.
struct House {
    /// Where its sources are, from the workspace's folder.
    sources: &'static str,
    /// What everybody may name, and what names nothing else.
    ground: &'static [&'static str],
    /// Each room and the rooms that it may name beside itself and the ground.
    rooms: &'static [(&'static str, &'static [&'static str])],
    /// What puts the rooms together: it may name all of them.
    top: &'static [&'static str],
}

/// The domain, from its lowest room up: a room names only those on lines above its own.
const FLEET: House = House {
    sources: "server/core/src",
    ground: &[
        // The one error of the core, with a place for each room's own.
        "Error", "Result", "asked", "bearer", "bus", "clock", "csv", "db", "entropy", "hash", "kept", "lines", "network", "pem", "qr",
        "refused", "source", "text",
    ],
    rooms: &[
        ("access", &[]),
        ("repeats", &["access"]),
        ("pki", &["access"]),
        ("telemetry", &["access"]),
        ("devices", &["access", "pki", "telemetry"]),
        ("transfers", &["access", "devices"]),
        ("releases", &["access", "pki"]),
        ("rollouts", &["access", "devices", "releases", "telemetry", "transfers"]),
    ],
    top: &["Fleet", "activity", "error", "forgetting", "founding", "grouping", "in_force", "live", "overview", "rooms"],
};

/// The console. Its lower rooms know each other; none of them knows a page.
const APP: House = House {
    sources: "app/src",
    ground: &[],
    rooms: &[
        ("plan", &["ui"]),
        ("api", &["plan", "ui"]),
        ("session", &["api", "live", "ui"]),
        ("live", &["api", "session", "ui"]),
        ("ui", &["api", "live", "plan", "session"]),
        ("pages", &["api", "live", "plan", "session", "shell", "ui"]),
    ],
    top: &["parts", "routes", "shell"],
};

/// Where the tables are, for whoever breaks one.
const TABLES: &str = "xtask/src/test/rooms.rs";

impl House {
    fn row(&self, room: &str) -> Option<&'static [&'static str]> {
        self.rooms.iter().find(|row| row.0 == room).map(|row| row.1)
    }

    fn knows(&self, name: &str) -> bool {
        self.row(name).is_some() || self.ground.contains(&name) || self.top.contains(&name)
    }

    fn may(&self, room: &str, name: &str) -> bool {
        room == name || self.top.contains(&room) || self.ground.contains(&name) || self.row(room).is_some_and(|named| named.contains(&name))
    }

    /// The rooms as README.md shows them.
    fn picture(&self) -> String {
        let line = |(room, named): &(&str, &[&str])| {
            let named = if named.is_empty() { "—".to_owned() } else { named.join(" ") };
            format!("{room:10} {named}\n")
        };
        self.rooms.iter().map(line).collect()
    }
}

/// Every broken rule of every house, with file and line.
pub fn broken_rules() -> Result<Vec<String>> {
    let root = paths::root();
    let mut broken = Vec::new();
    for house in [&FLEET, &APP] {
        let folder = root.join(house.sources);
        let mut sources = Vec::new();
        for file in paths::files_below(&folder).with_context(|| format!("reading {}", house.sources))? {
            if file.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
                let path = file.strip_prefix(&folder)?.iter().map(OsStr::to_string_lossy).collect::<Vec<_>>().join("/");
                sources.push((path, text));
            }
        }
        broken.extend(broken_in(house, &sources));
    }
    let readme = fs::read_to_string(root.join("README.md")).context("reading README.md")?;
    if !readme.contains(&FLEET.picture()) {
        broken.push(format!("README.md shows other rooms of the domain than {TABLES}: write there\n{}", FLEET.picture()));
    }
    Ok(broken)
}

/// The broken rules of one house. Sources are named by their paths below its folder.
fn broken_in(house: &House, sources: &[(String, String)]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in sources.iter().filter(|(path, _)| path != "lib.rs" && !is_test(path)) {
        let (room, at) = (room_of(path), format!("{}/{path}", house.sources));
        if !house.knows(room) {
            broken.push(format!("{at}: {room} is no room yet: give it a line in {TABLES}"));
            continue;
        }
        let code = code(text);
        let mut named = names(&code, "crate::");
        // Names of a module inside the file come this way as well.
        named.extend(names(&code, &"super::".repeat(depth(path))).into_iter().filter(|(_, name)| house.knows(name)));
        for (line, name) in named {
            if !house.knows(&name) {
                broken.push(format!("{at}:{line}: {name} is no room yet: give it a line in {TABLES}"));
            } else if !house.may(room, &name) {
                broken.push(format!(
                    "{at}:{line}: {room} may not name {name}. Move what is named to the room that owns it, or let the upper room call the lower one \
                     with plain values; who may name whom is in {TABLES}"
                ));
            }
            used.insert((room, name));
        }
    }
    for (room, named) in house.rooms {
        for name in named.iter().filter(|name| !used.iter().any(|(by, of)| by == room && of == *name)) {
            broken.push(format!("{}: {room} does not name {name} any more: take it out of its line in {TABLES}", house.sources));
        }
    }
    broken
}

/// Files of tests, and the worlds they are made in.
pub(super) fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "testing" | "testing.rs") || part.ends_with("_tests.rs"))
}

/// The room that a file belongs to: its folder, or its own name at the top.
pub(super) fn room_of(path: &str) -> &str {
    let first = path.split_once('/').map_or(path, |(folder, _)| folder);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// How many `super` lead from a file to the top of its package.
fn depth(path: &str) -> usize {
    path.split('/').count() - usize::from(path.ends_with("/mod.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: House =
        House { sources: "src", ground: &["db", "Result"], rooms: &[("access", &[]), ("pki", &["access"])], top: &["Fleet", "rooms"] };

    fn broken(sources: &[(&str, &str)]) -> String {
        // Its one edge is used, so that nothing is said of it.
        let used = [("pki/used.rs", "use crate::access::Actor;")];
        let sources: Vec<_> = sources.iter().chain(&used).map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        broken_in(&SMALL, &sources).join("\n")
    }

    #[test]
    fn the_domain_stands_on_itself_without_a_circle() {
        for (at, (room, named)) in FLEET.rooms.iter().enumerate() {
            let below: Vec<&str> = FLEET.rooms[..at].iter().map(|row| row.0).collect();
            assert!(named.iter().all(|name| below.contains(name)), "{room} names a room that is not above its line");
        }
    }

    #[test]
    fn nobody_below_the_pages_of_the_console_names_one() {
        assert!(APP.rooms.iter().all(|(_, named)| !named.contains(&"pages")));
    }

    #[test]
    fn what_is_allowed_is_not_mentioned() {
        let sources = [
            ("lib.rs", "mod pki; pub use rooms::Fleet;"),
            ("db/mod.rs", "pub(in crate::db) use crate::db::Conn;"),
            ("access/mod.rs", "use crate::{Result, db::{self, pki}, access::store};\nuse super::db::Db;\nuse super::store;"),
            ("access/store.rs", "use super::{pki_like, users};"),
            ("rooms.rs", "use crate::{access::Access, pki::Pki};"),
        ];
        assert_eq!(broken(&sources), "");
    }

    #[test]
    fn each_forbidden_way_is_named_with_its_line() {
        for (path, text, at) in [
            ("access/mod.rs", "\nuse crate::pki::Kek;", "src/access/mod.rs:2: access may not name pki"),
            (
                "access/mod.rs",
                "use crate::{\n    Result,\n    db::{Db, row},\n    pki::{self, Kek},\n};",
                "src/access/mod.rs:4: access may not name pki",
            ),
            ("access/keys.rs", "fn f() -> crate::pki::Kek {}", "src/access/keys.rs:1: access may not name pki"),
            ("access/keys.rs", "// one\n\nuse super::super::pki;", "src/access/keys.rs:3: access may not name pki"),
            ("access/keys/mod.rs", "use super::super::{db, pki};", "src/access/keys/mod.rs:1: access may not name pki"),
            ("access.rs", "use super::pki;", "src/access.rs:1: access may not name pki"),
            ("db/mod.rs", "use crate::access::Actor;", "src/db/mod.rs:1: db may not name access"),
            ("pki/mod.rs", "use crate::Fleet;", "src/pki/mod.rs:1: pki may not name Fleet"),
            ("pki/mod.rs", "use crate::cellar::Wine;", "src/pki/mod.rs:1: cellar is no room yet"),
            ("cellar/mod.rs", "", "src/cellar/mod.rs: cellar is no room yet"),
        ] {
            let said = broken(&[(path, text)]);
            assert!(said.starts_with(at) && said.lines().count() == 1, "{path} with {text:?} is answered by:\n{said}");
        }
    }

    #[test]
    fn an_edge_that_nothing_uses_is_named() {
        let said = broken_in(&SMALL, &[("access/mod.rs".to_owned(), String::new())]).join("\n");
        assert!(said.contains("pki does not name access any more"), "{said}");
    }

    #[test]
    fn tests_may_name_anything() {
        let uses = "use crate::pki::Kek;";
        let inside = format!("#[cfg(test)]\nmod tests {{ {uses} }}");
        let sources =
            [("access/mod.rs", inside.as_str()), ("access/tests.rs", uses), ("access/tests/keys.rs", uses), ("access/key_tests.rs", uses)];
        assert_eq!(broken(&sources), "");
    }
}

//! Pure: devices as CSV (RFC 4180), one a line, behind a line that names the columns in any order.

use super::lines::{Parsed, Reading, Refusal, Said, Unreadable, shown};
use crate::csv;
use std::io;
use wire::selector::near;

/// Most bytes of a line.
const MOST_OF_LINE: usize = 32 << 10;

/// The columns there are, as they are named to people.
const COLUMNS: [&str; 9] = ["device_id", "type", "hardware", "name", "description", "tags", "groups", "attributes", "security_token"];

/// Which of [`COLUMNS`] stands where.
struct Columns {
    names: Vec<&'static str>,
    separator: u8,
}

fn malformed(text: impl Into<String>) -> Unreadable {
    Unreadable::Malformed(text.into())
}

/// Reading what lies in memory fails at nothing but what it says.
fn unread(e: &io::Error) -> Unreadable {
    malformed(format!("The file can't be read: {e}."))
}

/// The column that somebody's word means.
fn column(said: &str) -> Result<&'static str, Unreadable> {
    let word = said.trim_start_matches('\u{feff}').trim().to_ascii_lowercase().replace([' ', '-'], "_");
    let meant = match word.as_str() {
        "device_type" => "type",
        "group" => "groups",
        "securitytoken" => "security_token",
        other => other,
    };
    COLUMNS.iter().copied().find(|name| *name == meant).ok_or_else(|| {
        let near = near(&word, &COLUMNS).map_or_else(String::new, |near| format!(" Did you mean {near}?"));
        let all = COLUMNS.join(", ");
        malformed(format!(
            "There is no column {:?}.{near} The first line names the columns; there are {all}. Take others out.",
            shown(said)
        ))
    })
}

impl Columns {
    fn of(first: &str) -> Result<Self, Unreadable> {
        let separator = csv::separator(first);
        let cells = csv::cells(first, separator).ok_or_else(|| malformed("The quotes of the first line do not fit."))?;
        let mut names = Vec::with_capacity(cells.len());
        for cell in &cells {
            let name = column(cell)?;
            if names.contains(&name) {
                return Err(malformed(format!("The column {name} stands twice. Take one of them out.")));
            }
            names.push(name);
        }
        if !names.contains(&"device_id") {
            return Err(malformed("The first line names the columns, and device_id is not among them. Add it."));
        }
        Ok(Self { names, separator })
    }

    fn said(&self, record: &str) -> Result<Said, Refusal> {
        let cells = csv::cells(record, self.separator).ok_or_else(|| {
            let text = "The quotes of this line do not fit. A cell with a quote in it stands in quotes, with each quote within doubled.";
            Refusal::new("", text)
        })?;
        if cells.len() != self.names.len() {
            let text = format!(
                "This line has {} columns, and the first line names {}. A cell with the separator in it stands in quotes.",
                cells.len(),
                self.names.len()
            );
            return Err(Refusal::new("", text));
        }
        let cell = |name: &str| self.names.iter().zip(&cells).find(|(of, _)| **of == name).map_or("", |(_, cell)| cell.trim());
        let (attributes, unread) = match attributes(cell("attributes")) {
            Ok(attributes) => (attributes, None),
            Err(refusal) => (Vec::new(), Some(refusal)),
        };
        let mut said = Said {
            device_id: cell("device_id").to_owned(),
            device_type: cell("type").to_owned(),
            hardware: cell("hardware").to_owned(),
            tags: wire::devices::words(cell("tags")),
            groups: wire::enrolment::group_names(cell("groups")),
            attributes,
            security_token: cell("security_token").to_owned(),
            unread,
        };
        said.known_as("name", cell("name"));
        said.known_as("description", cell("description"));
        Ok(said)
    }
}

/// `name=value` with semicolons or line ends between two.
fn attributes(cell: &str) -> Result<Vec<(String, String)>, Refusal> {
    let parts = cell.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| match part.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Refusal::new("attributes", format!("{:?} is no attribute: write name=value, with ; between two.", shown(part)))),
    };
    parts.map(pair).collect()
}

/// All lines of a file.
pub(super) fn parse(mut from: &[u8]) -> Result<Parsed, Unreadable> {
    let empty = || {
        malformed(
            "The file is empty, or its first line is no text in UTF-8 or has a quote that is not closed. The first line names the columns.",
        )
    };
    let first = csv::record(&mut from, MOST_OF_LINE).map_err(|e| unread(&e))?.ok_or_else(empty)?;
    let columns = Columns::of(&first.text.ok_or_else(empty)?)?;
    let (mut reading, mut at) = (Reading::default(), 1 + first.lines);
    while let Some(record) = csv::record(&mut from, MOST_OF_LINE).map_err(|e| unread(&e))? {
        at += 1;
        let number = i64::try_from(at).unwrap_or(i64::MAX);
        at += record.lines;
        let said = match record.text {
            Some(text) if text.trim().is_empty() => continue,
            Some(text) => columns.said(&text),
            None => Err(Refusal::new(
                "",
                "This line is longer than 32 KiB, is no text in UTF-8, or has a quote that is not closed. Look at its quotes.",
            )),
        };
        reading.take(number, said)?;
    }
    reading.done()
}

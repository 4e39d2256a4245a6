//! Pure: a device as an import says it, checked in one way whatever form it came in, and the bounds of what is read. Refuses to know what is in the fleet.

use super::super::{
    Error,
    presence::{FIRMWARE_SEQUENCE, FIRMWARE_VERSION, HARDWARE},
    words,
};
use crate::{hash::sha256, text::unseen};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, btree_map, hash_map::Entry};
use wire::{
    device::{MAX_ATTRIBUTE, MAX_ATTRIBUTES},
    enrolment::{ImportProblem, MOST_GIVEN_GROUPS},
    ids::DeviceId,
};

/// Most bytes of a file.
pub const MOST_BYTES: usize = 32 << 20;
/// Most devices of a file.
pub(super) const MOST_LINES: usize = 10_000;
/// Characters of a device id ([`DeviceId`]).
const MOST_OF_ID: usize = 64;
/// Characters of a secret: fewer can be guessed, and hawkBit keeps no more.
const SECRET: std::ops::RangeInclusive<usize> = 16..=128;

/// Why a file is not read at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// More than [`MOST_BYTES`].
    #[error("The file is larger than 32 MiB. Split it; of hawkBit's list send a few pages at a time.")]
    TooLarge,
    /// More than ten thousand devices.
    #[error("The file has more than 10,000 devices. Split it.")]
    TooMany,
    /// Neither of the forms, or damaged.
    #[error("{0}")]
    Malformed(String),
}

/// Why a line is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The column; empty where it is the whole line.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }

    fn of(field: &'static str, e: &Error) -> Self {
        match e {
            Error::Invalid { message, .. } => Self::new(field, message.clone()),
            other => Self::new(field, other.to_string()),
        }
    }
}

/// A line's words as they stand there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub device_id: String,
    pub device_type: String,
    pub hardware: String,
    pub tags: Vec<String>,
    pub groups: Vec<String>,
    pub attributes: Vec<(String, String)>,
    pub security_token: String,
    /// What of it can't be read, where the rest can: the line is not taken, and says which device it is about.
    pub unread: Option<Refusal>,
}

impl Said {
    /// Keeps what only people read as an attribute; nothing where it says no more than the device id.
    pub(super) fn known_as(&mut self, attribute: &str, words: &str) {
        let words = words.trim();
        if !words.is_empty() && words != self.device_id.trim() {
            self.attributes.push((attribute.to_owned(), words.to_owned()));
        }
    }
}

/// A line that can be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Where it stands.
    pub at: i64,
    pub device_id: DeviceId,
    /// Empty where it says none, as are all the others.
    pub device_type: String,
    pub hardware: String,
    pub tags: Vec<String>,
    /// By name or id.
    pub groups: Vec<String>,
    pub attributes: BTreeMap<String, String>,
    /// SHA-256 of its secret, which itself is kept nowhere.
    pub secret: Option<[u8; 32]>,
}

impl Line {
    /// The line, if it can be taken.
    fn of(at: i64, said: Said) -> Result<Self, Refusal> {
        let Said { device_id, device_type, hardware, tags, groups, attributes, security_token, unread } = said;
        let named = device_id.trim();
        if named.is_empty() {
            return Err(Refusal::new("device_id", "There is no device id. Give one, or take the line out."));
        }
        let device_id = named.parse::<DeviceId>().map_err(|e| {
            let length = named.chars().count();
            let wrong = if length > MOST_OF_ID {
                format!("has {length} characters, and a device id has at most {MOST_OF_ID}")
            } else {
                format!("is {e}")
            };
            let text = format!("{:?} {wrong}. Give the device another id here and on the device itself.", shown(named));
            Refusal::new("device_id", text)
        })?;
        if let Some(refusal) = unread {
            return Err(refusal);
        }
        words::check_tags(&tags).map_err(|e| Refusal::of("tags", &e))?;
        Ok(Self {
            at,
            device_id,
            device_type: words::device_type(&device_type).map_err(|e| Refusal::of("type", &e))?,
            hardware: words::word("hardware", &hardware, 64).map_err(|e| Refusal::of("hardware", &e))?,
            tags,
            groups: checked_groups(groups)?,
            attributes: checked_attributes(attributes)?,
            secret: secret(&security_token)?,
        })
    }
}

fn checked_groups(groups: Vec<String>) -> Result<Vec<String>, Refusal> {
    if groups.len() > MOST_GIVEN_GROUPS {
        return Err(Refusal::new("groups", format!("A device is put into at most {MOST_GIVEN_GROUPS} groups here.")));
    }
    for group in &groups {
        words::word("groups", group, 100).map_err(|e| Refusal::of("groups", &e))?;
    }
    Ok(groups)
}

fn checked_attributes(said: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Refusal> {
    if said.len() > MAX_ATTRIBUTES {
        return Err(Refusal::new("attributes", format!("A device has at most {MAX_ATTRIBUTES} attributes.")));
    }
    let mut kept = BTreeMap::new();
    for (name, value) in said {
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        let text = if name.is_empty() {
            "An attribute has no name: write name=value.".to_owned()
        } else if [&name, &value].iter().any(|word| word.len() > MAX_ATTRIBUTE || word.chars().any(unseen)) {
            format!("{:?} and its value are each at most {MAX_ATTRIBUTE} bytes without line breaks. Shorten it.", shown(&name))
        } else if [FIRMWARE_VERSION, FIRMWARE_SEQUENCE].contains(&name.as_str()) {
            format!("{name} is what the device itself says that it runs. Leave it out.")
        } else if name == HARDWARE {
            "The hardware revision has a column of its own: hardware.".to_owned()
        } else {
            match kept.entry(name) {
                btree_map::Entry::Vacant(place) => {
                    place.insert(value);
                    continue;
                }
                btree_map::Entry::Occupied(taken) => format!("{:?} stands twice. Leave one of them out.", shown(taken.key())),
            }
        };
        return Err(Refusal::new("attributes", text));
    }
    Ok(kept)
}

/// What is kept of a secret; none where there is none. It goes into a header as it is.
fn secret(token: &str) -> Result<Option<[u8; 32]>, Refusal> {
    let token = token.trim();
    if token.is_empty() {
        return Ok(None);
    }
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        let text = "The secret has characters other than visible ASCII, or blanks, so no client can send it. Leave it out and make a target token here.";
        return Err(Refusal::new("security_token", text));
    }
    if !SECRET.contains(&token.len()) {
        let text =
            "The secret has fewer than 16 characters, which can be guessed, or more than 128. Leave it out and make a target token here.";
        return Err(Refusal::new("security_token", text));
    }
    Ok(Some(sha256(token.as_bytes())))
}

/// Characters of somebody's word that are shown.
const SHOWN: usize = 64;

/// Somebody's word, fit to be shown.
pub(super) fn shown(word: &str) -> String {
    let mut seen = word.chars().filter(|c| !unseen(*c));
    let mut out: String = seen.by_ref().take(SHOWN).collect();
    if seen.next().is_some() {
        out.push('…');
    }
    out
}

/// All that a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parsed {
    pub lines: Vec<Line>,
    pub problems: Vec<ImportProblem>,
}

/// A file that is being read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    parsed: Parsed,
    /// Ids in lower case, and where each stands.
    seen: HashMap<String, i64>,
}

impl Reading {
    /// Takes the next line, or why it can't be read.
    pub(super) fn take(&mut self, at: i64, said: Result<Said, Refusal>) -> Result<(), Unreadable> {
        if self.parsed.lines.len() + self.parsed.problems.len() == MOST_LINES {
            return Err(Unreadable::TooMany);
        }
        let named = said.as_ref().map_or_else(|_| String::new(), |said| shown(said.device_id.trim()));
        match said.and_then(|said| Line::of(at, said)).and_then(|line| self.once(line)) {
            Ok(line) => self.parsed.lines.push(line),
            Err(Refusal { field, message }) => {
                self.parsed.problems.push(ImportProblem { line: at, device_id: named, field: field.to_owned(), message });
            }
        }
        Ok(())
    }

    /// Ids are unique whatever their letters' case.
    fn once(&mut self, line: Line) -> Result<Line, Refusal> {
        match self.seen.entry(line.device_id.as_str().to_lowercase()) {
            Entry::Vacant(free) => {
                free.insert(line.at);
                Ok(line)
            }
            Entry::Occupied(first) => {
                let text = format!("{} stands on line {} already. Leave one of them out.", line.device_id, first.get());
                Err(Refusal::new("device_id", text))
            }
        }
    }

    /// What was read, if there is anything.
    pub(super) fn done(self) -> Result<Parsed, Unreadable> {
        if self.parsed.lines.is_empty() && self.parsed.problems.is_empty() {
            return Err(Unreadable::Malformed("There is no device in the file.".to_owned()));
        }
        Ok(self.parsed)
    }
}

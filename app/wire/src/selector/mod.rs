//! Pure: the selector language. One text says which devices: in lists, counts, exports and rollouts alike.
//!
//! ```text
//! selector = any { "or" any }             any = term { term }            (words side by side: all of them)
//! term     = [ "-" ] ( "(" selector ")" | field ":" value { "," value } | field ("<" | "<=" | ">" | ">=") number | word )
//! field    = id type hw version tag group state online presence certificate update sequence last_seen attr.NAME metric.NAME
//! value    = bare word, or "quoted", where * stands for any characters
//! ```
//!
//! What can only be a slip is refused with its place and a hint rather than read as something that no device has: a sign that compares or a mark of another
//! language's quotation in front of a bare value (`version:<1.2.0`, `type:'gw`), a `=` or a `!` that stands for nothing here, a `"` in the middle of a
//! value, a `&` or a `|` in a word, a `not` in front of a condition, an `and` with nothing beside it, and a state that there is none of. Between quotation marks every text is a value.
//!
//! A word without a field is looked for in the device id; with a * in it, it has to fit the whole id. `online:yes` and `online:no` ask for presence, as `presence:online`, `presence:stale` and `presence:offline` do more closely;
//! `last_seen<7d` is heard of within seven days (`s`, `m`, `h`, `d`). `version<2.1.0` is older than that, in the order of Semantic Versioning; a version
//! that has no place in that order is neither older nor newer than any. `metric.temperature>80` is about the last value that was kept of a metric,
//! `metric.temperature>80@15m` only where that is at most 15 minutes old. What depends on the time is of the instant at which it is asked. Device ids
//! compare without case, everything else exactly. Refuses to know the database: the core makes SQL of the same tree, and a test holds the two together.
//! The browser parses with the same code.

mod complete;
mod conditions;
mod nearest;
mod parse;
mod print;
mod refuse;
mod standing;
#[cfg(test)]
mod tests;
mod version;

pub use complete::{Choice, Completion, Known, complete};
pub use nearest::near;
pub use standing::{EXPIRING_MS, before};
pub use version::{Version, order_of};

use crate::{
    Timestamp,
    devices::{CertificateStanding, Presence},
    states::{DeviceState, UpdateState},
    updates::Pin,
};
use std::collections::{BTreeMap, BTreeSet};

/// A parsed selector. Its [`Display`](std::fmt::Display) form parses to the same tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Selector {
    /// All of these; none of them is everything.
    All(Vec<Selector>),
    /// At least one of these.
    Any(Vec<Selector>),
    /// Not this.
    Not(Box<Selector>),
    /// A field has one of these values.
    Is(Field, Vec<String>),
    /// The sequence compares so.
    Sequence(Ordering, i64),
    /// It was heard of so many milliseconds ago; whole seconds.
    Silent(Ordering, i64),
    /// The version that it runs compares so.
    Version(Ordering, Version),
    /// The last value of a metric compares so.
    Metric(Metric),
    /// The device id contains this, or fits it when there is a `*` in it.
    Word(String),
}

/// What is asked of the last value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// How it compares …
    pub how: Ordering,
    /// … with this; a number, neither infinite nor NaN.
    pub value: f64,
    /// How old it may be, milliseconds, whole seconds; none for any age.
    pub within: Option<i64>,
}

/// What can be asked of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Its name.
    Id,
    /// Its type.
    Type,
    /// Its hardware revision.
    Hardware,
    /// The version it runs.
    Version,
    /// One of its tags.
    Tag,
    /// Its standing.
    State,
    /// One of the groups it is in.
    Group,
    /// Presence, `yes` or `no`.
    Online,
    /// Presence, as a [`Presence`](wire::devices::Presence).
    Presence,
    /// How its certificate stands, as a [`CertificateStanding`](wire::devices::CertificateStanding).
    Certificate,
    /// The state of its newest update.
    Update,
    /// One of its own facts.
    Attribute(String),
}

/// How numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Ordering {
    /// Whether two that stand so to each other compare so.
    pub const fn holds(self, found: std::cmp::Ordering) -> bool {
        match self {
            Self::Below => found.is_lt(),
            Self::AtMost => found.is_le(),
            Self::Above => found.is_gt(),
            Self::AtLeast => found.is_ge(),
        }
    }

    /// The sign.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// What a selector looks at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// Its name.
    pub device_id: String,
    /// Its type.
    pub device_type: String,
    /// Its hardware revision.
    pub hardware: String,
    /// Its standing, as its word.
    pub state: String,
    /// The version it runs.
    pub version: String,
    /// The sequence it runs.
    pub sequence: i64,
    /// Whether it is connected.
    pub online: bool,
    /// The state of its newest update, as its word; empty when it never had one.
    pub update: String,
    /// Operator's tags.
    pub tags: Vec<String>,
    /// Groups it is in.
    pub groups: Vec<String>,
    /// Its own facts.
    pub attributes: BTreeMap<String, String>,
    /// The last values of metrics, each with its instant: of those that a selector asks for.
    pub metrics: BTreeMap<String, (Timestamp, f64)>,
    /// When it was heard of last, Unix milliseconds; 0 for never.
    pub last_seen_at: i64,
    /// When the last certificate ends or ended that was not revoked and whose authority is believed, Unix milliseconds; 0 for none.
    pub certificate_until: i64,
    /// The same of those whose authority is not believed any more.
    pub untrusted_until: i64,
    /// When the last of its revoked certificates ends or would have ended, whatever is believed of its authority, Unix milliseconds; 0 for none.
    pub revoked_until: i64,
    /// That it stays on what it runs. No selector asks for it: rollouts do.
    pub pin: Option<Pin>,
    /// When all this was read.
    pub at: Timestamp,
}

impl Selector {
    /// The selector that matches everything.
    pub const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Whether it matches these facts.
    pub fn matches(&self, facts: &Facts) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|p| p.matches(facts)),
            Self::Any(parts) => parts.iter().any(|p| p.matches(facts)),
            Self::Not(part) => !part.matches(facts),
            Self::Word(word) if word.contains('*') => Field::Id.is(word, facts),
            Self::Word(word) => facts.device_id.to_lowercase().contains(&word.to_lowercase()),
            Self::Sequence(how, n) => how.holds(facts.sequence.cmp(n)),
            Self::Version(how, version) => Version::parse(&facts.version).is_some_and(|runs| how.holds(runs.cmp(version))),
            Self::Metric(asked) => facts.metrics.get(&asked.name).is_some_and(|(t, v)| asked.holds(*t, *v, facts.at)),
            Self::Silent(how, ms) => facts.silent(*how, *ms),
            Self::Is(field, values) => values.iter().any(|v| field.is(v, facts)),
        }
    }

    /// The metrics that it asks for.
    pub fn metrics(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        self.visit(&mut |part| {
            if let Self::Metric(asked) = part {
                found.insert(asked.name.as_str());
            }
        });
        found
    }

    /// Shows it every part, the whole first.
    pub fn visit<'a>(&'a self, see: &mut impl FnMut(&'a Self)) {
        see(self);
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Not(part) => part.visit(see),
            _ => {}
        }
    }
}

impl Selector {
    /// Whether what it means depends on who is in this group.
    pub fn asks_for_group(&self, name: &str) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.asks_for_group(name)),
            Self::Not(part) => part.asks_for_group(name),
            Self::Is(Field::Group, values) => values.iter().any(|value| like(value, name)),
            _ => false,
        }
    }
}

impl Metric {
    /// Whether a value of then is what is asked for now.
    pub fn holds(&self, then: Timestamp, value: f64, now: Timestamp) -> bool {
        let fresh = self.within.is_none_or(|ms| then.0 >= before(now, ms));
        fresh && value.partial_cmp(&self.value).is_some_and(|found| self.how.holds(found))
    }
}

impl Field {
    fn is(&self, value: &str, facts: &Facts) -> bool {
        match self {
            Self::Id => like(&value.to_lowercase(), &facts.device_id.to_lowercase()),
            Self::Type => like(value, &facts.device_type),
            Self::Hardware => like(value, &facts.hardware),
            Self::Version => like(value, &facts.version),
            Self::State => like(value, &facts.state),
            Self::Update => like(value, &facts.update),
            Self::Tag => facts.tags.iter().any(|t| like(value, t)),
            Self::Group => facts.groups.iter().any(|g| like(value, g)),
            Self::Online => (value == "yes") == facts.online,
            Self::Presence => value == facts.presence().as_str(),
            Self::Certificate => value == facts.certificate().as_str(),
            Self::Attribute(name) => facts.attributes.get(name).is_some_and(|v| like(value, v)),
        }
    }

    /// The states that it can have, where a value is one of those or a pattern that fits one.
    fn states(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::State => Some(DeviceState::ALL.iter().map(|word| word.as_str()).collect()),
            Self::Update => Some(UpdateState::ALL.iter().map(|word| word.as_str()).collect()),
            _ => None,
        }
    }

    /// The words that it can have, where not any text will do.
    fn words(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::Online => Some(vec!["yes", "no"]),
            Self::Presence => Some(Presence::ALL.iter().map(|word| word.as_str()).collect()),
            Self::Certificate => Some(CertificateStanding::ALL.iter().map(|word| word.as_str()).collect()),
            _ => None,
        }
    }

    /// How it is written.
    pub fn name(&self) -> String {
        match self {
            Self::Id => "id".into(),
            Self::Type => "type".into(),
            Self::Hardware => "hw".into(),
            Self::Version => "version".into(),
            Self::Tag => "tag".into(),
            Self::State => "state".into(),
            Self::Group => "group".into(),
            Self::Online => "online".into(),
            Self::Presence => "presence".into(),
            Self::Certificate => "certificate".into(),
            Self::Update => "update".into(),
            Self::Attribute(name) => format!("attr.{name}"),
        }
    }
}

/// Whether the text fits the pattern, where `*` stands for any characters.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

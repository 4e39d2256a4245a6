//! Pure: the selector language. One text says which devices: in lists, counts, exports and rollouts alike.
//!
//! ```text
//! selector = any { "or" any }             any = term { term }            (words side by side: all of them)
//! term     = [ "-" ] ( "(" selector ")" | field ":" value { "," value } | field ("<" | "<=" | ">" | ">=") number | word )
//! field    = id type hw version tag state online update sequence attr.NAME
//! value    = bare word, or "quoted", where * stands for any characters
//! ```
//!
//! A word without a field is looked for in the device id. `online:yes` and `online:no` ask for presence. Device ids compare without case,
//! everything else exactly. Refuses to know the database: `filter.rs` makes SQL of the same tree, and a test holds the two together.

use std::{collections::BTreeMap, fmt};
use wire::devices::SelectorError;

/// The longest selector, in bytes.
const LONGEST: usize = 2000;
/// The deepest nesting of parentheses.
const DEEPEST: usize = 16;

/// A parsed selector. Its [`Display`](fmt::Display) form parses to the same tree.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The device id contains this.
    Word(String),
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
    /// Presence, `yes` or `no`.
    Online,
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
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// What a selector looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// Its own facts.
    pub attributes: BTreeMap<String, String>,
}

const FIELDS: &str = "Fields are id, type, hw, version, tag, state, online, update, sequence and attr.NAME.";

impl Selector {
    /// The selector that matches everything.
    pub const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Parses a text. The error says where it is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > LONGEST {
            return Err(wrong(LONGEST, "the selector is too long", "Use at most 2,000 characters; a tag can stand for a long list."));
        }
        let mut parser = Parser { text, at: 0 };
        let found = parser.any(0)?;
        parser.space();
        if parser.at < text.len() {
            return Err(wrong(parser.at, "a ) without its (", "Remove it, or open a parenthesis before it."));
        }
        Ok(found)
    }

    /// Whether it matches these facts.
    pub fn matches(&self, facts: &Facts) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|p| p.matches(facts)),
            Self::Any(parts) => parts.iter().any(|p| p.matches(facts)),
            Self::Not(part) => !part.matches(facts),
            Self::Word(word) => facts.device_id.to_lowercase().contains(&word.to_lowercase()),
            Self::Sequence(how, n) => match how {
                Ordering::Below => facts.sequence < *n,
                Ordering::AtMost => facts.sequence <= *n,
                Ordering::Above => facts.sequence > *n,
                Ordering::AtLeast => facts.sequence >= *n,
            },
            Self::Is(field, values) => values.iter().any(|v| field.is(v, facts)),
        }
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
            Self::Online => (value == "yes") == facts.online,
            Self::Attribute(name) => facts.attributes.get(name).is_some_and(|v| like(value, v)),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Id => "id".into(),
            Self::Type => "type".into(),
            Self::Hardware => "hw".into(),
            Self::Version => "version".into(),
            Self::Tag => "tag".into(),
            Self::State => "state".into(),
            Self::Online => "online".into(),
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

fn wrong(position: usize, message: impl Into<String>, hint: impl Into<String>) -> SelectorError {
    SelectorError { position: u32::try_from(position).unwrap_or(u32::MAX), message: message.into(), hint: hint.into() }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes the keyword if it stands here as a word of its own.
    fn keyword(&mut self, word: &str) -> bool {
        let here = self.rest().get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word));
        let ends = self.rest().get(word.len()..).is_some_and(|r| r.is_empty() || r.starts_with([' ', '\t', '\n', '(', ')']));
        if here && ends {
            self.at += word.len();
        }
        here && ends
    }

    fn any(&mut self, depth: usize) -> Result<Selector, SelectorError> {
        if depth > DEEPEST {
            return Err(wrong(self.at, "too many nested parentheses", "Use at most 16 levels."));
        }
        let start = self.at;
        let mut parts = vec![self.all(depth)?];
        while self.keyword("or") {
            parts.push(self.all(depth)?);
        }
        if parts.len() > 1 && parts.iter().any(|p| matches!(p, Selector::All(v) if v.is_empty())) {
            return Err(wrong(start, "an or with nothing beside it", "Write a condition on both sides of or."));
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Selector::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Selector, SelectorError> {
        let mut parts = Vec::new();
        loop {
            self.space();
            let before = self.at;
            if self.rest().is_empty() || self.rest().starts_with(')') {
                break;
            }
            if self.keyword("or") {
                self.at = before;
                break;
            }
            if self.keyword("and") {
                continue;
            }
            parts.push(self.term(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Selector::All(parts) })
    }

    fn term(&mut self, depth: usize) -> Result<Selector, SelectorError> {
        if let Some(rest) = self.rest().strip_prefix('-') {
            if rest.is_empty() || rest.starts_with([' ', ')', '-']) {
                return Err(wrong(self.at, "a - with nothing after it", "Write -tag:lab to leave out devices tagged lab."));
            }
            self.at += 1;
            return Ok(Selector::Not(Box::new(self.term(depth)?)));
        }
        if self.rest().starts_with('(') {
            let open = self.at;
            self.at += 1;
            let inner = self.any(depth + 1)?;
            if !self.rest().starts_with(')') {
                return Err(wrong(open, "a ( without its )", "Close the parenthesis."));
            }
            self.at += 1;
            return Ok(inner);
        }
        let start = self.at;
        if self.rest().starts_with('"') {
            return Ok(Selector::Word(self.value()?));
        }
        let stop = self.rest().find([':', '<', '>', ' ', '\t', '\n', '(', ')', '"', ',']).unwrap_or(self.rest().len());
        let name = self.rest()[..stop].to_owned();
        self.at += stop;
        match self.rest().chars().next() {
            Some(':') => {
                self.at += 1;
                let field = field(&name, start)?;
                self.values(field)
            }
            Some('<' | '>') => self.comparison(&name, start),
            Some(',') => Err(wrong(self.at, "a , outside a list of values", "Write tag:eu,us for devices with either tag.")),
            _ if name.is_empty() => Err(wrong(start, "a condition is missing", FIELDS)),
            _ => Ok(Selector::Word(name)),
        }
    }

    fn values(&mut self, field: Field) -> Result<Selector, SelectorError> {
        let mut values = Vec::new();
        loop {
            let at = self.at;
            let value = self.value()?;
            if value.is_empty() {
                return Err(wrong(
                    at,
                    format!("{}: has no value", field.name()),
                    format!("Write a value right after it, as in {}:abc.", field.name()),
                ));
            }
            let value = if field == Field::Online { value.to_lowercase() } else { value };
            if field == Field::Online && value != "yes" && value != "no" {
                return Err(wrong(at, format!("online can't be {value:?}"), "Write online:yes or online:no."));
            }
            values.push(value);
            if !self.rest().starts_with(',') {
                return Ok(Selector::Is(field, values));
            }
            self.at += 1;
        }
    }

    fn comparison(&mut self, name: &str, start: usize) -> Result<Selector, SelectorError> {
        if name != "sequence" {
            return Err(wrong(start, format!("{name:?} can't be compared"), "Only sequence compares with <, <=, > and >=."));
        }
        let (how, width) = match self.rest() {
            r if r.starts_with("<=") => (Ordering::AtMost, 2),
            r if r.starts_with(">=") => (Ordering::AtLeast, 2),
            r if r.starts_with('<') => (Ordering::Below, 1),
            _ => (Ordering::Above, 1),
        };
        self.at += width;
        let at = self.at;
        let value = self.value()?;
        let number =
            value.parse().map_err(|_| wrong(at, format!("{value:?} is not a number"), "Write a whole number, as in sequence>=12."))?;
        Ok(Selector::Sequence(how, number))
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        let Some(quoted) = self.rest().strip_prefix('"') else {
            let stop = self.rest().find([' ', '\t', '\n', '(', ')', ',', '"']).unwrap_or(self.rest().len());
            let value = self.rest()[..stop].to_owned();
            self.at += stop;
            return Ok(value);
        };
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        while let Some((i, c)) = letters.next() {
            match c {
                '"' => {
                    self.at += 1 + i + 1;
                    return Ok(value);
                }
                '\\' => value.extend(letters.next().map(|(_, c)| c)),
                c => value.push(c),
            }
        }
        Err(wrong(self.at, "a \" without its end", "Close the quotation mark."))
    }
}

fn field(name: &str, at: usize) -> Result<Field, SelectorError> {
    Ok(match name.to_lowercase().as_str() {
        "id" => Field::Id,
        "type" => Field::Type,
        "hw" => Field::Hardware,
        "version" => Field::Version,
        "tag" => Field::Tag,
        "state" => Field::State,
        "online" => Field::Online,
        "update" => Field::Update,
        "sequence" => return Err(wrong(at, "sequence is compared, not matched", "Write sequence>=12 or sequence<12.")),
        _ => match name.split_once('.') {
            Some((attr, rest)) if attr.eq_ignore_ascii_case("attr") && !rest.is_empty() => Field::Attribute(rest.to_owned()),
            _ => return Err(wrong(at, format!("there is no field {name:?}"), FIELDS)),
        },
    })
}

fn quoted(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let bare = !value.is_empty() && !value.contains([' ', '\t', '\n', '(', ')', ',', '"', '\\', ':', '<', '>']) && !value.starts_with('-');
    if bare && !value.eq_ignore_ascii_case("or") && !value.eq_ignore_ascii_case("and") && value.trim() == value {
        return f.write_str(value);
    }
    write!(f, "\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], between: &str| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_str(between)?;
                }
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => list(f, parts, " "),
            Self::Any(parts) => list(f, parts, " or "),
            Self::Not(part) => match **part {
                Self::All(_) | Self::Any(_) => write!(f, "-({part})"),
                _ => write!(f, "-{part}"),
            },
            Self::Word(word) => quoted(f, word),
            Self::Sequence(how, n) => write!(f, "sequence{}{n}", how.as_str()),
            Self::Is(field, values) => {
                write!(f, "{}:", field.name())?;
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    quoted(f, value)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf() -> impl Strategy<Value = Selector> {
        let value = "[a-z*]{1,6}|[ -~]{1,8}".prop_filter("a value is not empty", |v: &String| !v.is_empty());
        prop_oneof![
            (
                prop_oneof![Just(Field::Id), Just(Field::Tag), Just(Field::Version), "[a-z]{1,5}".prop_map(Field::Attribute)],
                prop::collection::vec(value.clone(), 1..3)
            )
                .prop_map(|(f, v)| Selector::Is(f, v)),
            any::<i64>().prop_map(|n| Selector::Sequence(Ordering::AtLeast, n)),
            value.prop_map(Selector::Word),
        ]
    }

    fn tree() -> impl Strategy<Value = Selector> {
        leaf().prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::All),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Selector::Any),
                inner.prop_map(|s| Selector::Not(Box::new(s))),
            ]
        })
    }

    proptest! {
        #[test]
        fn printing_and_parsing_give_the_same_tree(selector in tree()) {
            // A leading - belongs to the term, so a double negation needs no parentheses but must survive.
            let printed = selector.to_string();
            if !printed.contains("--") {
                prop_assert_eq!(Selector::parse(&printed), Ok(selector), "{}", printed);
            }
        }

        #[test]
        fn no_text_makes_the_parser_fall_over(text in "\\PC{0,60}") {
            if let Err(e) = Selector::parse(&text) {
                prop_assert!(e.position as usize <= text.len() && !e.hint.is_empty());
            }
        }
    }

    #[test]
    fn the_language_says_what_it_means() {
        let facts = Facts {
            device_id: "gw-0412".into(),
            device_type: "gateway".into(),
            version: "1.2.0".into(),
            sequence: 12,
            online: true,
            tags: vec!["eu".into(), "beta".into()],
            attributes: BTreeMap::from([("site".into(), "Rotterdam 2".into())]),
            state: "active".into(),
            ..Facts::default()
        };
        for (text, yes) in [
            ("", true),
            ("GW-04", true),
            ("gw-05", false),
            ("type:gateway tag:eu", true),
            ("type:gateway tag:us", false),
            ("tag:us,eu -tag:lab", true),
            ("tag:us or tag:eu", true),
            ("(tag:us or tag:eu) online:no", false),
            ("version:1.*", true),
            ("id:*12 sequence>=12", true),
            ("sequence<12", false),
            ("attr.site:\"Rotterdam 2\"", true),
            ("-(tag:eu)", false),
        ] {
            assert_eq!(Selector::parse(text).unwrap().matches(&facts), yes, "{text}");
        }
    }

    #[test]
    fn mistakes_are_shown_with_their_place() {
        for (text, position) in [
            ("colour:red", 0),
            ("tag:", 4),
            ("(tag:a", 0),
            ("tag:a)", 5),
            ("online:maybe", 7),
            ("a or", 0),
            ("sequence>x", 9),
            ("tag:\"x", 4),
        ] {
            assert_eq!(Selector::parse(text).unwrap_err().position, position, "{text}");
        }
    }
}

//! Pure: text to tree, by recursive descent. Every refusal names its place and what would be right.

use super::{Field, Metric, Ordering, Selector, Version, like, nearest, refuse, standing};
use crate::devices::SelectorError;

/// The longest selector, in bytes.
const LONGEST: usize = 2000;
/// The deepest nesting of parentheses.
const DEEPEST: usize = 16;
pub(super) const FIELDS: &str = "Fields are id, type, hw, version, tag, group, state, online, presence, certificate, update, sequence, last_seen, attr.NAME and metric.NAME.";
const SPANS: &str = "Write seconds, minutes, hours or days up to ten years";

impl Selector {
    /// Parses a text. The error says where it is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        Self::read(text, true)
    }

    /// Parses what is kept, also from before slips were refused, and means by it what it meant then: nobody, unless it is asked for with a `-`. Whoever is
    /// shown such a plan sees the devices that it reaches.
    pub fn parse_kept(text: &str) -> Result<Self, SelectorError> {
        Self::read(text, false)
    }

    fn read(text: &str, strict: bool) -> Result<Self, SelectorError> {
        if text.len() > LONGEST {
            return Err(wrong(LONGEST, "the selector is too long", "Use at most 2,000 characters; a tag can stand for a long list."));
        }
        let mut parser = Parser { text, at: 0, strict };
        let found = parser.any(0)?;
        parser.space();
        if parser.at < text.len() {
            return Err(wrong(parser.at, "a ) without its (", "Remove it, or open a parenthesis before it."));
        }
        Ok(found)
    }
}

impl SelectorError {
    /// All of it in a line: where, what, and what to write instead.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("At character {}: {}", self.position + 1, self.advice())
    }

    /// The same where it is said already at which character.
    #[must_use]
    pub fn advice(&self) -> String {
        format!("{}. {}", self.message.trim_end_matches('.'), self.hint)
    }
}

pub(super) fn wrong(position: usize, message: impl Into<String>, hint: impl Into<String>) -> SelectorError {
    SelectorError { position: u32::try_from(position).unwrap_or(u32::MAX), message: message.into(), hint: hint.into() }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Whether slips are refused that can be read, as something that nobody means.
    strict: bool,
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
        let stands = self.stands(word);
        if stands {
            self.at += word.len();
        }
        stands
    }

    /// Whether the keyword stands here as a word of its own.
    fn stands(&self, word: &str) -> bool {
        let here = self.rest().get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word));
        let ends = self.rest().get(word.len()..).is_some_and(|r| r.is_empty() || r.starts_with([' ', '\t', '\n', '(', ')']));
        here && ends
    }

    /// Whether no condition begins here.
    fn nothing(&self) -> bool {
        self.rest().is_empty() || self.rest().starts_with(')') || self.stands("or") || self.stands("and")
    }

    fn any(&mut self, depth: usize) -> Result<Selector, SelectorError> {
        if depth > DEEPEST {
            return Err(wrong(self.at, "too many nested parentheses", "Use at most 16 levels."));
        }
        let mut parts = vec![self.all(depth)?];
        loop {
            let or = self.at;
            if !self.keyword("or") {
                break;
            }
            parts.push(self.all(depth)?);
            if parts.iter().any(|p| matches!(p, Selector::All(v) if v.is_empty())) {
                return Err(wrong(or, "an or with nothing beside it", "Write a condition on both sides of or."));
            }
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
                self.space();
                if self.strict && (parts.is_empty() || self.nothing()) {
                    return Err(wrong(before, "an and with nothing beside it", "Write a condition on both sides of and."));
                }
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
            let word = self.value()?;
            self.ended(start)?;
            return Ok(Selector::Word(word));
        }
        if self.strict {
            refuse::word(self.rest(), start)?;
        }
        let stop = self.rest().find([':', '<', '>', ' ', '\t', '\n', '(', ')', '"', ',']).unwrap_or(self.rest().len());
        let name = self.rest()[..stop].to_owned();
        self.at += stop;
        match self.rest().chars().next() {
            Some(':') => {
                self.at += 1;
                let field = field(&name, self.rest(), start)?;
                self.values(field)
            }
            Some('<' | '>') => self.comparison(&name, start),
            Some(',') => Err(wrong(self.at, "a , outside a list of values", "Write tag:eu,us for devices with either tag.")),
            _ if name.is_empty() => Err(wrong(start, "a condition is missing", FIELDS)),
            _ => {
                self.ended(start)?;
                if self.strict && name.eq_ignore_ascii_case("not") {
                    self.space();
                    if !self.nothing() {
                        return Err(refuse::not(self.rest(), start));
                    }
                }
                Ok(Selector::Word(name))
            }
        }
    }

    /// That nothing sticks to a value or a word that begins at `start`.
    fn ended(&self, start: usize) -> Result<(), SelectorError> {
        let bare = self.rest().starts_with('"');
        let quoted = self.text[start..self.at].ends_with('"')
            && !self.rest().is_empty()
            && !self.rest().starts_with([' ', '\t', '\n', '(', ')', ',']);
        if self.strict && (bare || quoted) && !self.rest().starts_with(char::is_whitespace) {
            return Err(wrong(
                self.at,
                "a \" in the middle of a value",
                "Put all of the value between quotation marks, as in type:\"gw box\".",
            ));
        }
        Ok(())
    }

    fn values(&mut self, field: Field) -> Result<Selector, SelectorError> {
        let mut values = Vec::new();
        loop {
            let at = self.at;
            if self.strict {
                refuse::value(&field, self.rest(), at)?;
            }
            let value = self.value()?;
            self.ended(at)?;
            if value.is_empty() {
                return Err(wrong(
                    at,
                    format!("{}: has no value", field.name()),
                    format!("Write a value right after it, as in {}:abc.", field.name()),
                ));
            }
            let Some(words) = field.words() else {
                values.push(if self.strict { state(&field, value, at)? } else { value });
                if !self.rest().starts_with(',') {
                    return Ok(Selector::Is(field, values));
                }
                self.at += 1;
                continue;
            };
            let value = value.to_lowercase();
            if !words.contains(&value.as_str()) {
                return Err(none_of(&field, &value, &words, at));
            }
            values.push(value);
            if !self.rest().starts_with(',') {
                return Ok(Selector::Is(field, values));
            }
            self.at += 1;
        }
    }

    fn comparison(&mut self, name: &str, start: usize) -> Result<Selector, SelectorError> {
        let metric = metric_name(name);
        if name.is_empty() {
            return Err(wrong(
                start,
                "a comparison without a field",
                "Write the field, the sign and the value without blanks, as in version<1.2.0.",
            ));
        }
        if metric.is_none() && !["sequence", "last_seen", "version"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            let hint = format!(
                "{}Only version, sequence, last_seen and metric.NAME compare with <, <=, > and >=; the sequence is the order of releases.",
                nearest::compared(name, self.rest())
            );
            return Err(wrong(start, format!("{name:?} can't be compared"), hint));
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
        self.ended(at)?;
        if let Some(metric) = metric {
            return read_metric(metric, how, &value, at);
        }
        match name.to_lowercase().as_str() {
            "last_seen" => {
                let hint = format!("{SPANS}, as in last_seen<90m or last_seen>7d.");
                let ms = standing::span(&value).ok_or_else(|| wrong(at, format!("{value:?} is not a span of time"), hint))?;
                Ok(Selector::Silent(how, ms))
            }
            "version" => {
                let hint = "Write numbers with dots between them, as in version<2.1.0 or version>=2.1.0-rc.1; version:2.* compares texts.";
                let version =
                    Version::parse(&value).ok_or_else(|| wrong(at, format!("{value:?} has no place in the order of versions"), hint))?;
                Ok(Selector::Version(how, version))
            }
            _ => {
                let hint = "Write a whole number, as in sequence>=12.";
                let number = value.parse().map_err(|_| wrong(at, format!("{value:?} is not a number"), hint))?;
                Ok(Selector::Sequence(how, number))
            }
        }
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
        Err(wrong(self.at, "a \" without its end", "Close the quotation mark, as in \"gw box\"."))
    }
}

/// A value of a field that has states: one of them, in whatever case it is written, or a pattern that fits one. Any value of another field.
fn state(field: &Field, value: String, at: usize) -> Result<String, SelectorError> {
    let Some(states) = field.states() else { return Ok(value) };
    let lower = value.to_lowercase();
    if states.iter().any(|state| like(&lower, state)) { Ok(lower) } else { Err(none_of(field, &value, &states, at)) }
}

fn none_of(field: &Field, value: &str, words: &[&str], at: usize) -> SelectorError {
    let name = field.name();
    let words: Vec<String> = words.iter().map(|word| format!("{name}:{word}")).collect();
    wrong(at, format!("{name} can't be {value:?}"), format!("Write {}.", words.join(" or ")))
}

/// The field of a name, which `rest` stands behind: a refusal says what was meant with it.
pub(super) fn field(name: &str, rest: &str, at: usize) -> Result<Field, SelectorError> {
    Ok(match name.to_lowercase().as_str() {
        "id" => Field::Id,
        "type" => Field::Type,
        "hw" => Field::Hardware,
        "version" => Field::Version,
        "tag" => Field::Tag,
        "state" => Field::State,
        "group" => Field::Group,
        "online" => Field::Online,
        "presence" => Field::Presence,
        "certificate" => Field::Certificate,
        "update" => Field::Update,
        "last_seen" => return Err(wrong(at, "last_seen is compared, not matched", "Write last_seen<7d or last_seen>1h.")),
        "sequence" => return Err(wrong(at, "sequence is compared, not matched", "Write sequence>=12 or sequence<12.")),
        _ => match name.split_once('.') {
            Some((attr, rest)) if attr.eq_ignore_ascii_case("attr") && !rest.is_empty() => Field::Attribute(rest.to_owned()),
            _ if metric_name(name).is_some() => {
                return Err(wrong(at, "a metric is compared, not matched", format!("Write {name}>80 or {name}<=0.5@15m.")));
            }
            _ => return Err(wrong(at, format!("there is no field {name:?}"), format!("{}{FIELDS}", nearest::matched(name, rest)))),
        },
    })
}

/// The metric of `metric.temperature`; none for another field.
fn metric_name(name: &str) -> Option<&str> {
    name.split_once('.').filter(|(field, rest)| field.eq_ignore_ascii_case("metric") && !rest.is_empty()).map(|(_, rest)| rest)
}

fn read_metric(name: &str, how: Ordering, value: &str, at: usize) -> Result<Selector, SelectorError> {
    let (number, within) = value.split_once('@').map_or((value, None), |(number, span)| (number, Some(span)));
    let hint = format!("Write a number, as in metric.{name}{}80.", how.as_str());
    // Rust also reads inf and nan.
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let read: Option<f64> = number.parse().ok().filter(|n: &f64| plain && n.is_finite());
    let value = read.ok_or_else(|| wrong(at, format!("{number:?} is not a number"), hint))?;
    let within = match within {
        None => None,
        Some(span) => {
            let hint = format!("{SPANS} behind the @: how old the value may be, as in metric.{name}{}{number}@15m.", how.as_str());
            Some(standing::span(span).ok_or_else(|| wrong(at + number.len() + 1, format!("{span:?} is not a span of time"), hint))?)
        }
    };
    // Both zeros are one.
    Ok(Selector::Metric(Metric { name: name.to_owned(), how, value: if value == 0.0 { 0.0 } else { value }, within }))
}

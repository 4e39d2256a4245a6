//! Pure: how a selector that is being typed could go on: names of fields with their sign, then the values that a field can have. Refuses to know
//! keys and lists: it is told the text and where the caret is, and says what could stand there.

use super::print::Value;
use crate::{
    devices::{CertificateStanding, Presence},
    states::{DeviceState, UpdateState},
};
use serde::{Deserialize, Serialize};

/// Most ways that are offered at once.
const MOST: usize = 20;

/// Fields with the sign that follows, and what they ask for.
const FIELDS: [(&str, &str); 18] = [
    ("id:", "its name, * for any characters"),
    ("type:", "its type"),
    ("hw:", "its hardware revision"),
    ("version:", "the firmware it runs"),
    ("version<", "older firmware than"),
    ("version>=", "this firmware or newer"),
    ("tag:", "one of its tags"),
    ("group:", "a group it is in"),
    ("state:", "its standing"),
    ("online:", "connected now or not"),
    ("presence:", "connected, heard of, or neither"),
    ("certificate:", "how its certificate stands"),
    ("update:", "the state of its newest update"),
    ("sequence>=", "from this release on"),
    ("last_seen<", "heard of within"),
    ("last_seen>", "silent for longer than"),
    ("attr.", "one of its own facts"),
    ("metric.", "the last value of a metric"),
];

/// What a metric's last value may be compared by.
const COMPARED: [(&str, &str); 4] = [(">", "above"), ("<", "below"), (">=", "at least"), ("<=", "at most")];

/// What a fleet has of the values that fields can have.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Known {
    /// Types.
    pub types: Vec<String>,
    /// Versions.
    pub versions: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Metrics.
    pub metrics: Vec<String>,
}

/// A way to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is written in place of what stands there.
    pub insert: String,
    /// What it means; empty where it says so itself.
    pub hint: &'static str,
}

/// The ways to go on, and what each takes the place of: bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// Begin of it.
    pub from: usize,
    /// End of it: the caret.
    pub to: usize,
    /// The likeliest first; none when nothing is known, or when what stands there is complete.
    pub choices: Vec<Choice>,
}

/// How a text could go on at the caret (bytes). Only at the end of a word: within one, nobody asks.
pub fn complete(text: &str, caret: usize, known: &Known) -> Completion {
    let none = Completion { from: caret, to: caret, choices: Vec::new() };
    let (Some(before), Some(after)) = (text.get(..caret), text.get(caret..)) else { return Completion::default() };
    if !(after.is_empty() || after.starts_with([' ', '\t', '\n', ')', ','])) {
        return none;
    }
    let (start, quoted) = last(before, |c| " \t\n()".contains(c));
    let dashes = before[start..].bytes().take_while(|b| *b == b'-').count();
    let start = start + dashes;
    let term = &before[start..];
    let Some(sign) = term.find([':', '<', '>']).filter(|_| !term.starts_with('"')) else {
        if quoted || term.contains(['"', ',']) {
            return none;
        }
        return Completion { from: start, to: caret, choices: names(&before[..start], dashes > 0, term, known) };
    };
    let (name, rest) = term.split_at(sign);
    let compared = !rest.starts_with(':');
    // A sign behind a colon is a mistake that nothing goes on from.
    let signs = if compared { rest.bytes().take_while(|b| b"<>=".contains(b)).count() } else { 1 };
    // After a comma another value of the same list begins.
    let piece = if compared { sign + signs } else { sign + signs + last(&rest[signs..], |c| c == ',').0 };
    let typed = &term[piece..];
    Completion { from: start + piece, to: caret, choices: values(name, compared, typed.trim_start_matches('"'), known) }
}

/// Where the last piece of a text begins that such signs separate outside of quotation marks, and whether one of those is open at the end.
fn last(text: &str, separates: impl Fn(char) -> bool) -> (usize, bool) {
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && separates(c) => start = i + c.len_utf8(),
            _ => {}
        }
    }
    (start, quoted)
}

fn names(before: &str, negated: bool, typed: &str, known: &Known) -> Vec<Choice> {
    let lower = typed.to_lowercase();
    if lower.starts_with("metric.") {
        return metric(typed.get("metric.".len()..).unwrap_or_default(), known);
    }
    if lower.strip_prefix("attr.").is_some_and(|rest| !rest.is_empty()) {
        return vec![Choice { insert: format!("{typed}:"), hint: "is" }];
    }
    let fields = FIELDS.iter().filter(|(field, _)| field.starts_with(&lower) && *field != lower);
    let mut found: Vec<Choice> = fields.map(|&(field, hint)| Choice { insert: field.to_owned(), hint }).collect();
    let word = before.split_whitespace().next_back().unwrap_or_default();
    let between = !negated && !word.is_empty() && !word.ends_with('(') && !["or", "and"].iter().any(|or| word.eq_ignore_ascii_case(or));
    if between && "or".starts_with(&lower) {
        found.push(Choice { insert: "or ".to_owned(), hint: "one or the other" });
    }
    found.truncate(MOST);
    found
}

/// Metrics by a part of their name, and behind a whole name how its value compares.
fn metric(typed: &str, known: &Known) -> Vec<Choice> {
    let mut found: Vec<Choice> = matching(known.metrics.iter().map(String::as_str), typed)
        .into_iter()
        .map(|name| Choice { insert: format!("metric.{name}"), hint: "" })
        .collect();
    if !typed.is_empty() && (found.is_empty() || known.metrics.iter().any(|name| name == typed)) {
        let mut signs: Vec<Choice> =
            COMPARED.iter().map(|&(sign, hint)| Choice { insert: format!("metric.{typed}{sign}"), hint }).collect();
        signs.append(&mut found);
        found = signs;
    }
    found.truncate(MOST);
    found
}

fn values(name: &str, compared: bool, typed: &str, known: &Known) -> Vec<Choice> {
    let texts = |all: &[String]| matching(all.iter().map(String::as_str), typed).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let words = |all: &[&'static str]| matching(all.iter().copied(), typed).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let found = match (name.to_lowercase().as_str(), compared) {
        ("type", false) => texts(&known.types),
        ("version", _) => texts(&known.versions),
        ("tag", false) => texts(&known.tags),
        ("group", false) => texts(&known.groups),
        ("online", false) => words(&["yes", "no"]),
        ("state", false) => words(&DeviceState::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),
        ("presence", false) => words(&Presence::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),
        ("certificate", false) => words(&CertificateStanding::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),
        ("update", false) => words(&UpdateState::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>()),
        ("last_seen", true) => words(&["1h", "1d", "7d", "30d"]),
        _ => Vec::new(),
    };
    found.into_iter().take(MOST).map(|value| Choice { insert: Value(&value).to_string(), hint: "" }).collect()
}

/// Those that begin with what was typed, then those that have it somewhere; not the one that is it.
fn matching<'a>(all: impl Iterator<Item = &'a str>, typed: &str) -> Vec<&'a str> {
    let typed_lower = typed.to_lowercase();
    let (mut first, mut then) = (Vec::new(), Vec::new());
    for one in all.filter(|one| *one != typed) {
        let lower = one.to_lowercase();
        if lower.starts_with(&typed_lower) {
            first.push(one);
        } else if lower.contains(&typed_lower) {
            then.push(one);
        }
    }
    first.append(&mut then);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::{Field, Selector, parse};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn known() -> Known {
        let all = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Known {
            types: all(&["gateway", "sensor"]),
            versions: all(&["1.2.0", "1.10.0"]),
            tags: all(&["eu", "lab", "north sea"]),
            groups: all(&["hall 3"]),
            metrics: all(&["battery", "battery.percent", "cpu.load"]),
        }
    }

    /// What is offered at the end of a text.
    fn at_the_end(text: &str) -> Vec<String> {
        complete(text, text.len(), &known()).choices.into_iter().map(|choice| choice.insert).collect()
    }

    /// The text after the first way was taken.
    fn taken(text: &str, caret: usize) -> String {
        let Completion { from, to, choices } = complete(text, caret, &known());
        format!("{}{}{}", &text[..from], choices[0].insert, &text[to..])
    }

    #[test]
    fn every_field_is_offered_with_a_sign_that_the_parser_takes() {
        let told: BTreeSet<&str> = parse::FIELDS
            .trim_start_matches("Fields are ")
            .trim_end_matches('.')
            .split([',', ' '])
            .map(|word| word.trim_end_matches("NAME"))
            .filter(|word| !word.is_empty() && *word != "and")
            .collect();
        let offered: BTreeSet<&str> = FIELDS.iter().map(|(field, _)| field.trim_end_matches([':', '<', '>', '='])).collect();
        assert_eq!(told, offered);
        for (field, _) in FIELDS {
            let value = match field {
                "online:" => "yes",
                "presence:" => "online",
                "certificate:" => "valid",
                "state:" => "active",
                "update:" => "failed",
                "last_seen<" | "last_seen>" => "1h",
                "attr." => "site:x",
                "metric." => "cpu>1",
                _ => "1",
            };
            assert!(Selector::parse(&format!("{field}{value}")).is_ok(), "{field}{value}");
        }
    }

    #[test]
    fn a_word_goes_on_with_fields_and_a_field_with_its_values() {
        assert_eq!(at_the_end("").len(), FIELDS.len());
        assert_eq!(at_the_end("ve"), ["version:", "version<", "version>="]);
        assert_eq!(at_the_end("VER").len(), 3);
        assert_eq!(at_the_end("tag:eu -ta"), ["tag:"]);
        assert_eq!(at_the_end("(ty"), ["type:"]);
        assert_eq!(at_the_end("tag:"), ["eu", "lab", "\"north sea\""]);
        assert_eq!(at_the_end("tag:a"), ["lab", "\"north sea\""]);
        assert_eq!(at_the_end("tag:eu,l"), ["lab"]);
        assert_eq!(at_the_end("tag:\"north s"), ["\"north sea\""]);
        assert_eq!(at_the_end("tag:lab"), [""; 0], "it is complete");
        assert_eq!(at_the_end("version<1.1"), ["1.10.0"]);
        assert_eq!(at_the_end("last_seen>"), ["1h", "1d", "7d", "30d"]);
        assert_eq!(at_the_end("version:<1.1"), [""; 0]);
        assert_eq!(at_the_end("presence:st"), ["stale"]);
        assert_eq!(at_the_end("certificate:"), ["valid", "expiring", "untrusted", "revoked", "expired", "none"]);
        assert_eq!(at_the_end("state:s"), ["suspended", "preregistered", "decommissioned"]);
        assert_eq!(at_the_end("attr.site"), ["attr.site:"]);
        assert_eq!(at_the_end("metric."), ["metric.battery", "metric.battery.percent", "metric.cpu.load"]);
        assert_eq!(at_the_end("metric.battery")[..2], ["metric.battery>", "metric.battery<"]);
        assert_eq!(at_the_end("metric.battery").last().unwrap(), "metric.battery.percent");
        assert_eq!(at_the_end("metric.battery>"), [""; 0]);
        assert_eq!(at_the_end("tag:eu o"), ["online:", "or "]);
        assert_eq!(at_the_end("o"), ["online:"], "nothing stands before it");
        assert_eq!(at_the_end("a or o"), ["online:"]);
        assert_eq!(at_the_end("nothing:of-this-kind"), [""; 0]);
        assert_eq!(at_the_end("\"a qu"), [""; 0], "a quoted word is what it is");
    }

    #[test]
    fn what_is_taken_stands_where_it_was_asked_for() {
        assert_eq!(taken("tag:e online:yes", 5), "tag:eu online:yes");
        assert_eq!(taken("-(ty)", 4), "-(type:)");
        assert_eq!(taken("tag:n,eu", 5), "tag:\"north sea\",eu");
        assert_eq!(complete("type:gateway", 2, &known()).choices, [], "not within a word");
        assert_eq!(complete("é", 1, &known()), Completion::default(), "not within a letter");
        assert_eq!(complete("a", 9, &known()), Completion::default());
    }

    proptest! {
        #[test]
        fn any_text_can_be_asked_about(text in "[a-z_.:<>=,\"\\\\ ()é-]{0,24}", caret in 0_usize..26) {
            let Completion { from, to, choices } = complete(&text, caret, &known());
            prop_assert!(from <= to && text.is_char_boundary(from) && (to == 0 || to == caret));
            prop_assert!(choices.len() <= MOST && choices.iter().all(|choice| !choice.insert.is_empty()));
        }

        #[test]
        fn a_value_that_is_taken_is_understood(value in "[ -~]{1,12}") {
            let known = Known { tags: vec![value.clone()], ..Known::default() };
            let offered = complete("tag:", 4, &known).choices;
            prop_assert_eq!(offered.len(), 1);
            let text = format!("tag:{}", offered[0].insert);
            prop_assert_eq!(Selector::parse(&text), Ok(Selector::Is(Field::Tag, vec![value])), "{}", text);
        }
    }
}

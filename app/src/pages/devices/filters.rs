//! Pure: the list's address, and filters as conditions of the selector in it. Refuses to know how a selector is written.

use crate::{pages::words, ui::unread::Word};
use std::fmt::Write;
use wire::{
    devices::{DeviceQuery, DeviceSort},
    percent,
    selector::{Field, Selector},
    states::DeviceState,
    views::DeviceColumn,
};

/// Words of the list's address whose values have to be some; the others are in [`OTHERS`].
pub const WORDS: [Word; 2] =
    [("sort", "order of devices", |word| DeviceSort::of(word).is_some()), ("cols", "choice of columns", are_columns)];
/// Words of the address that mean something whatever they say: what is searched for and the place in the list, devices that were ticked, and how many were
/// meant.
pub const OTHERS: [&str; 5] = ["q", "cursor", "before", "sel", "all"];

/// The list's path.
const LIST: &str = "/devices";

/// Whether each word of a text is a column, or it names none on purpose.
fn are_columns(text: &str) -> bool {
    text == DeviceColumn::text(&[]) || text.split(',').all(|word| DeviceColumn::ALL.iter().any(|column| column.as_str() == word))
}

/// The conditions of a selector that can be taken out one by one; none of one that is alternatives, or that has a mistake.
pub fn conditions(q: &str) -> Vec<Selector> {
    match Selector::parse(q) {
        Ok(Selector::Any(_)) | Err(_) => Vec::new(),
        Ok(selector) => selector.conditions(),
    }
}

/// The values that a selector names for a field.
pub fn values_of(q: &str, field: &Field) -> Vec<String> {
    let values = |condition: Selector| match condition {
        Selector::Is(about, values) if about == *field => values,
        _ => Vec::new(),
    };
    conditions(q).into_iter().flat_map(values).collect()
}

/// The selector with `field:value` in place of what it said about the field; an empty value only takes it out. One with a mistake stays as it was
/// typed.
pub fn with(q: &str, field: &Field, value: &str) -> String {
    Selector::parse(q).map_or_else(|_| q.to_owned(), |selector| selector.with(field, value).to_string())
}

/// A field's value as people read it: a state in the words of its mark, anything else as it is written.
pub fn said(field: &Field, value: &str) -> String {
    match value.parse::<DeviceState>() {
        Ok(state) if *field == Field::State => words::standing(state).to_owned(),
        _ => value.to_owned(),
    }
}

/// The selector without its `n`th condition.
pub fn without(q: &str, n: usize) -> String {
    let mut kept = conditions(q);
    if n < kept.len() {
        kept.remove(n);
    }
    Selector::all(kept).to_string()
}

/// The sort order of a word in the address; an unknown one is the default.
pub fn sort_of(word: &str) -> DeviceSort {
    DeviceSort::of(word).unwrap_or_default()
}

/// What the list's address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Which devices, in which order.
    pub query: DeviceQuery,
    /// The columns beside the device's name.
    pub columns: Vec<DeviceColumn>,
}

impl Shown {
    /// What an address says of the list; `said` gives the value of a word in it.
    pub fn read(said: impl Fn(&str) -> Option<String>) -> Self {
        let word = |key| said(key).unwrap_or_default();
        let query = DeviceQuery { q: word("q"), sort: sort_of(&word("sort")), cursor: said("cursor"), rows: None };
        Self { query, columns: DeviceColumn::listed(&word("cols")) }
    }

    /// Its address; what is default is left out. `before` is how many rows lie in front of the page.
    pub fn href(&self, before: i64) -> String {
        let mut said = self.pairs();
        if let Some(cursor) = &self.query.cursor {
            said.push(("cursor", cursor.clone()));
            said.push(("before", before.to_string()));
        }
        address(LIST, &said)
    }

    /// The address of another page about what the list means, which knows by it where to lead back.
    pub fn at(&self, path: &str) -> String {
        address(path, &self.pairs())
    }

    /// What its address says of the list, without a place in it.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let sort = if self.query.sort == DeviceSort::DeviceId { "" } else { self.query.sort.as_str() };
        let all = [("q", self.query.q.clone()), ("sort", sort.to_owned()), ("cols", DeviceColumn::text(&self.columns))];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The address of its first page.
    pub fn first(&self) -> String {
        self.asking(DeviceQuery { cursor: None, ..self.query.clone() })
    }

    /// The address of its first page with a question in it, which is the way there without script.
    pub fn question(&self, name: &str) -> String {
        self.first_with("ask", name)
    }

    /// The address of its first page with all that it means selected, which were so many.
    pub fn all(&self, total: i64) -> String {
        self.first_with("all", &total.to_string())
    }

    fn first_with(&self, key: &str, value: &str) -> String {
        let list = self.first();
        format!("{list}{}{key}={value}", if list.contains('?') { '&' } else { '?' })
    }

    /// The address of the first page of another list, in the same columns.
    pub fn asking(&self, query: DeviceQuery) -> String {
        Self { query: DeviceQuery { cursor: None, ..query }, columns: self.columns.clone() }.href(0)
    }
}

fn address(path: &str, said: &[(&'static str, String)]) -> String {
    let mut out = path.to_owned();
    for (i, (key, value)) in said.iter().enumerate() {
        // Writing to a string can't fail.
        let _ = write!(out, "{}{key}={}", if i == 0 { '?' } else { '&' }, encoded(value));
    }
    out
}

/// The address of the devices that a selector means, as the list shows them by itself.
pub fn href(q: String) -> String {
    Shown { query: DeviceQuery { q, ..DeviceQuery::default() }, columns: DeviceColumn::all() }.href(0)
}

/// A value for a query string. What selectors and lists of columns are made of stays readable.
pub fn encoded(text: &str) -> String {
    percent::encoded(text, b":,*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_replaces_what_was_said_about_its_key() {
        assert_eq!(with("type:a eu-1 tag:x", &Field::Type, "b"), "eu-1 tag:x type:b");
        assert_eq!(with("TYPE:a", &Field::Type, ""), "");
        assert_eq!(with("", &Field::Tag, "north sea"), "tag:\"north sea\"");
        assert_eq!(with("", &Field::Group, r#"a "b\c""#), r#"group:"a \"b\\c\"""#);
        assert_eq!(values_of("tag:\"north sea\" online:yes", &Field::Tag), ["north sea"]);
        assert_eq!(values_of("tag:eu,us -tag:lab", &Field::Tag), ["eu", "us"]);
        assert_eq!(with("type:a or type:b", &Field::Online, "yes"), "(type:a or type:b) online:yes");
        assert_eq!(with("(type:a or type:b) online:yes", &Field::Online, "no"), "(type:a or type:b) online:no");
        assert_eq!(with("type:a (", &Field::Online, "yes"), "type:a (");
        assert_eq!(without("a \"b (c\" d", 1), "a d");
        assert_eq!(conditions("  a  \"b c\" ").len(), 2);
        assert!(conditions("type:a or type:b").is_empty());
    }

    #[test]
    fn a_state_is_said_in_words() {
        assert_eq!(said(&Field::State, "preregistered"), "Not seen yet");
        assert_eq!(said(&Field::State, "active"), "Active");
        assert_eq!(said(&Field::Tag, "active"), "active");
    }

    #[test]
    fn the_address_says_only_what_is_not_default() {
        assert_eq!(href(String::new()), "/devices");
        let query = DeviceQuery { q: "tag:a&b".into(), sort: sort_of("-last_seen"), cursor: Some("x=".into()), rows: None };
        let shown = Shown { query, columns: DeviceColumn::all() };
        assert_eq!(shown.href(50), "/devices?q=tag:a%26b&sort=-last_seen&cursor=x%3D&before=50");
        assert_eq!(shown.first(), "/devices?q=tag:a%26b&sort=-last_seen");
        assert_eq!(shown.at("/elsewhere"), "/elsewhere?q=tag:a%26b&sort=-last_seen");
        let few = Shown { columns: vec![DeviceColumn::Tags], ..shown };
        assert_eq!(few.asking(DeviceQuery::default()), "/devices?cols=tags");
        let said = [("q", "tag:a&b"), ("sort", "-last_seen"), ("cursor", "x="), ("cols", "tags")];
        let read = Shown::read(|key| said.iter().find(|word| word.0 == key).map(|word| word.1.to_owned()));
        assert_eq!(read, few);
        assert_eq!(Shown::read(|_| None).first(), "/devices");
        assert_eq!(sort_of("nonsense"), DeviceSort::DeviceId);
        let known = |key: &str, value: &str| WORDS.iter().any(|(word, _, is_one)| *word == key && is_one(value));
        assert!(known("sort", "-last_seen") && known("cols", "tags") && known("cols", &DeviceColumn::text(&[])));
        assert!(!known("sort", "nonsense") && !known("cols", "tags,nonsense"));
    }
}

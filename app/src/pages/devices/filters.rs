//! Pure: the list's address, and filters as terms of the selector in it. Terms are separated by blanks; `"…"` keeps blanks inside of one.

use std::fmt::Write;
use wire::{
    devices::{DeviceQuery, DeviceSort},
    percent,
    views::DeviceColumn,
};

/// The words of a selector, quotes kept.
pub fn terms(q: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut term = String::new();
    let mut quoted = false;
    for c in q.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                term.push(c);
            }
            c if c.is_whitespace() && !quoted => {
                if !term.is_empty() {
                    out.push(std::mem::take(&mut term));
                }
            }
            c => term.push(c),
        }
    }
    if !term.is_empty() {
        out.push(term);
    }
    out
}

/// Whether a selector is more than terms side by side, so that its terms can't be taken one by one.
pub fn composed(q: &str) -> bool {
    q.contains('(') || terms(q).iter().any(|t| t == "or")
}

/// The value of `key:` in a selector.
pub fn value_of(q: &str, key: &str) -> Option<String> {
    terms(q).into_iter().find_map(|t| t.strip_prefix(key)?.strip_prefix(':').map(|v| v.trim_matches('"').to_owned()))
}

/// The selector with `key:value` in place of what it said about `key`; an empty value only takes it out.
pub fn with(q: &str, key: &str, value: &str) -> String {
    if composed(q) {
        return if value.is_empty() { q.to_owned() } else { format!("({q}) {}", term(key, value)) };
    }
    let mut kept: Vec<String> = terms(q).into_iter().filter(|t| t.strip_prefix(key).is_none_or(|rest| !rest.starts_with(':'))).collect();
    if !value.is_empty() {
        kept.push(term(key, value));
    }
    kept.join(" ")
}

fn term(key: &str, value: &str) -> String {
    let bare = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/+".contains(&b));
    if bare { format!("{key}:{value}") } else { format!("{key}:\"{}\"", value.replace('"', "")) }
}

/// The selector without its `n`th term.
pub fn without(q: &str, n: usize) -> String {
    terms(q).into_iter().enumerate().filter(|(i, _)| *i != n).map(|(_, t)| t).collect::<Vec<_>>().join(" ")
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
    /// Its address; what is default is left out. `before` is how many rows lie in front of the page.
    pub fn href(&self, before: i64) -> String {
        let mut said = self.pairs();
        if let Some(cursor) = &self.query.cursor {
            said.push(("cursor", cursor.clone()));
            said.push(("before", before.to_string()));
        }
        let mut out = String::from("/devices");
        for (i, (key, value)) in said.iter().enumerate() {
            // Writing to a string can't fail.
            let _ = write!(out, "{}{key}={}", if i == 0 { '?' } else { '&' }, encoded(value));
        }
        out
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
        let list = self.first();
        format!("{list}{}ask={name}", if list.contains('?') { '&' } else { '?' })
    }

    /// The address of its first page with all that it means selected, which were so many.
    pub fn all(&self, total: i64) -> String {
        let list = self.first();
        format!("{list}{}all={total}", if list.contains('?') { '&' } else { '?' })
    }

    /// The address of the first page of another list, in the same columns.
    pub fn asking(&self, query: DeviceQuery) -> String {
        Self { query: DeviceQuery { cursor: None, ..query }, columns: self.columns.clone() }.href(0)
    }
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
        assert_eq!(with("type:a eu-1 tag:x", "type", "b"), "eu-1 tag:x type:b");
        assert_eq!(with("type:a", "type", ""), "");
        assert_eq!(with("", "tag", "north sea"), "tag:\"north sea\"");
        assert_eq!(value_of("tag:\"north sea\" online:yes", "tag").unwrap(), "north sea");
        assert_eq!(with("type:a or type:b", "online", "yes"), "(type:a or type:b) online:yes");
        assert_eq!(without("a b c", 1), "a c");
        assert_eq!(terms("  a  \"b c\" "), ["a", "\"b c\""]);
    }

    #[test]
    fn the_address_says_only_what_is_not_default() {
        assert_eq!(href(String::new()), "/devices");
        let query = DeviceQuery { q: "tag:a&b".into(), sort: sort_of("-last_seen"), cursor: Some("x=".into()), rows: None };
        let shown = Shown { query, columns: DeviceColumn::all() };
        assert_eq!(shown.href(50), "/devices?q=tag:a%26b&sort=-last_seen&cursor=x%3D&before=50");
        assert_eq!(shown.first(), "/devices?q=tag:a%26b&sort=-last_seen");
        let few = Shown { columns: vec![DeviceColumn::Tags], ..shown };
        assert_eq!(few.asking(DeviceQuery::default()), "/devices?cols=tags");
        assert_eq!(sort_of("nonsense"), DeviceSort::DeviceId);
    }
}

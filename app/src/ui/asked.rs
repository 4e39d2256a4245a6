//! The question in an address: `?revoke=ID` and its like stand in the page itself, for browsers without script and for whoever follows such a link.
//!
//! Owns which words of an address ask, on every page alike, and the same address without them: there leads whoever leaves a question unanswered, so that
//! neither a reload, nor the way back, nor news of the fleet asks it again. Refuses to know what is asked, and about what.

use crate::plan::query;
use leptos::prelude::*;
use leptos_router::hooks::{use_query_map, use_url};
use std::fmt::Display;

/// The words that ask. A page that were asked by another one would go on asking when the person has left the question.
pub(super) const WORDS: [&str; 9] = ["approve", "ask", "disable", "end", "forget", "raise", "reject", "revoke", "revoke-batch"];

/// What a form that was refused without script has put into the address: it goes with the question that it belongs to.
const REFUSAL: [&str; 3] = ["__err", "__path", "__typed"];

/// What the address asks, by word; tracked, it says when a question comes or goes, and nothing when anything else in the address changes.
pub fn followed() -> Memo<Vec<(&'static str, String)>> {
    let query = use_query_map();
    Memo::new(move |_| query.with(|query| WORDS.into_iter().filter_map(|word| Some((word, query.get(word)?))).collect()))
}

/// The address of this page with a question in it, instead of the one that it has.
pub fn asking(word: &str, what: impl Display) -> String {
    debug_assert!(WORDS.contains(&word), "{word} is no word that asks");
    here(|search| asked(search, word, &what.to_string()))
}

/// The address of this page without its question.
pub fn unasked() -> String {
    here(without)
}

/// The same as the way out of the question. It leads back to what opens the dialog `id`, which takes the focus then, also without script: the browser
/// focuses what a fragment names (HTML, scrolling to a fragment).
pub fn way_out(id: &str) -> String {
    back_to(&unasked(), id)
}

/// Another address, and in it what opens the dialog `id`.
pub fn back_to(address: &str, id: &str) -> String {
    format!("{address}#{}", opener(id))
}

/// The id of what opens the dialog `id`.
pub fn opener(id: &str) -> String {
    format!("{id}-opener")
}

fn here(change: impl FnOnce(&str) -> String) -> String {
    use_url().with_untracked(|url| address(url.path(), &change(url.search())))
}

/// An address of this server, whatever the path begins with: two slashes would name another one.
pub(super) fn address(path: &str, query: &str) -> String {
    let path = path.trim_start_matches('/');
    query::address(&format!("/{path}"), query)
}

fn asked(search: &str, word: &str, what: &str) -> String {
    let others = without(search);
    query::with(&others, word, what).unwrap_or(others)
}

fn without(search: &str) -> String {
    query::without(search, |key| WORDS.contains(&key) || REFUSAL.contains(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_of_a_question_keeps_all_else_that_the_address_says() {
        assert_eq!(without("tab=claim&disable=cl_1&cur=a%20b"), "tab=claim&cur=a%20b");
        assert_eq!(without("revoke=crt_1&__path=%2Frpc%2Fx&__err=e&__typed=a%3Db"), "");
        assert_eq!(without("asks=1&revoked=yes&q=ask"), "asks=1&revoked=yes&q=ask", "other words only look like it");
    }

    #[test]
    fn an_address_asks_one_question() {
        assert_eq!(asked("name=Hall%203&ask=rename", "ask", "delete"), "name=Hall%203&ask=delete");
        assert_eq!(asked("", "revoke", "tok_1"), "revoke=tok_1");
        assert_eq!(asked("reject=er_1&cur=x", "revoke", "tok_1"), "cur=x&revoke=tok_1");
    }

    #[test]
    fn an_address_is_one_of_this_server() {
        assert_eq!(address("/people", ""), "/people");
        assert_eq!(address("//elsewhere.example/people", "a=1"), "/elsewhere.example/people?a=1");
    }

    #[test]
    fn a_way_back_ends_where_the_question_was_opened() {
        assert_eq!(back_to("/devices?q=tag:eu", "tag-all"), format!("/devices?q=tag:eu#{}", opener("tag-all")));
    }
}

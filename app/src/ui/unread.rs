//! What of an address is not understood, most often a list's: the list is shown without it, says so once above itself, and leads to the same list without it. Also without
//! JavaScript. Refuses to know what lists are of: each says which words its address has. A search is not among them: what is wrong in it is said beside it,
//! with its place, and nothing is shown instead of what was looked for.

use super::{
    asked::{self, address},
    page::banner,
    status::Tone,
};
use crate::plan::query;
use leptos::prelude::*;
use leptos_router::hooks::use_url;

/// A word of a list's address with a value that has to be one of some: the word, what its value is called, and whether this is one. A word that is there twice
/// has a value that has to be both.
pub type Word = (&'static str, &'static str, fn(&str) -> bool);

/// What a list understands: words whose values have to be some, and words that mean something whatever they say: a search, the place in the list.
pub type Known = (&'static [Word], &'static [&'static str]);

/// Characters of a value that are repeated.
const REPEATED: usize = 40;

/// What is said of an address, and the query that is left of it without what was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// In a sentence or two.
    pub said: String,
    /// Every pair that was understood, as it was written.
    pub rest: String,
}

/// Pure: what of a query is not understood; none where all of it is. A list understands its own `words`, where they are empty or have one of their values,
/// `others` whatever they say, and the words of questions and refusals, which every address may have.
pub fn unread(search: &str, words: &[Word], others: &[&str]) -> Option<Unread> {
    let (said, rest) = sorted(search, words, others);
    let without = if said.len() == 1 { "it" } else { "them" };
    (!said.is_empty()).then(|| Unread { said: format!("{}. This is shown without {without}.", said.join("; ")), rest: rest.join("&") })
}

/// Pure: what of a query a page does not understand that offers nothing then, because it may have said whom something is about; nothing where it understands
/// all of it.
pub fn not_understood(search: &str, others: &[&str]) -> Option<String> {
    let (said, _) = sorted(search, &[], others);
    (!said.is_empty()).then(|| said.join("; "))
}

/// What is wrong with a query, each once, and its pairs with which nothing is.
fn sorted<'a>(search: &'a str, words: &[Word], others: &[&str]) -> (Vec<String>, Vec<&'a str>) {
    let (mut said, mut rest): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
    for pair in search.strip_prefix('?').unwrap_or(search).split('&').filter(|pair| !pair.is_empty()) {
        match query::pairs(pair).iter().find_map(|(key, value)| misread(key, value, words, others)) {
            Some(what) if said.contains(&what) => {}
            Some(what) => said.push(what),
            None => rest.push(pair),
        }
    }
    (said, rest)
}

/// What is wrong with a pair; none where it is understood.
fn misread(key: &str, value: &str, words: &[Word], others: &[&str]) -> Option<String> {
    let own = || words.iter().filter(|(word, ..)| *word == key);
    if own().next().is_some() {
        let wrong = own().find(|(.., is_one)| !value.is_empty() && !is_one(value));
        return wrong.map(|(_, what, _)| format!("“{}” is no {what}", short(value)));
    }
    let known = others.contains(&key) || asked::WORDS.contains(&key) || key.starts_with("__");
    (!known).then(|| format!("“{}” says nothing here", short(key)))
}

fn short(text: &str) -> String {
    let mut out: String = text.chars().take(REPEATED).collect();
    if text.chars().nth(REPEATED).is_some() {
        out.push('…');
    }
    out
}

/// The notice above a list, while something of its address is not understood. It follows the address as long as the page is this one. It stands beside the
/// page's content: that is built anew whenever the page is read again, and the notice would be read aloud each time.
pub fn notice(words: &'static [Word], others: &'static [&'static str]) -> AnyView {
    let own = use_url().with_untracked(|url| url.path().to_owned());
    notice_of(move |path| (path == own).then_some((words, others)))
}

/// The same for a page that has several lists: `known` says of an address's path what is understood there, and nothing where no list is. It is asked again
/// when what it has read changes.
pub fn notice_of(known: impl Fn(&str) -> Option<Known> + Send + Sync + 'static) -> AnyView {
    notice_by(move |path, search| {
        let (words, others) = known(path)?;
        unread(search, words, others)
    })
}

/// The same for a page that reads its address in a way of its own: `read` says of a path and a query what is not understood.
pub fn notice_by(read: impl Fn(&str, &str) -> Option<Unread> + Send + Sync + 'static) -> AnyView {
    let url = use_url();
    let shown = move || {
        let (without, unread) = url.with(|url| {
            let unread = read(url.path(), url.search())?;
            Some((address(url.path(), &unread.rest), unread))
        })?;
        let text = view! { {unread.said}" "<a href=without>"Leave it out of the address"</a> };
        Some(view! { <div class="mb-4">{banner(Tone::Warn, text.into_any())}</div> })
    };
    shown.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [Word; 2] = [("state", "state", |word| word == "active"), ("sort", "order", |word| word == "-name")];

    fn of(search: &str) -> Option<(String, String)> {
        unread(search, &WORDS, &["type", "q", "cur", "from"]).map(|Unread { said, rest }| (said, rest))
    }

    #[test]
    fn an_address_that_is_understood_is_left_alone() {
        for search in
            ["", "?", "?state=active&sort=-name&type=any+thing&q=x:y&cur=17.a&from=50", "state=&sort=", "?revoke=crt_1&__err=e&__path=p"]
        {
            assert_eq!(of(search), None, "{search}");
        }
    }

    #[test]
    fn a_value_that_is_none_and_a_word_that_means_nothing_are_said_and_left_out() {
        let (said, rest) = of("?q=type:gw&state=foo&cur=17").unwrap();
        assert_eq!((said.as_str(), rest.as_str()), ("“foo” is no state. This is shown without it.", "q=type:gw&cur=17"));
        let (said, rest) = of("status=foo&sort=bar&sort=bar&sort=-name").unwrap();
        assert_eq!(said, "“status” says nothing here; “bar” is no order. This is shown without them.");
        assert_eq!(rest, "sort=-name", "what is understood stays, as it was written");
        assert_eq!(of(&rest), None);
        let (said, _) = of(&format!("state={}", "é".repeat(50))).unwrap();
        assert!(said.starts_with(&format!("“{}…” is no state", "é".repeat(REPEATED))), "{said}");
        assert_eq!(of("state=%3Cb%3E").unwrap().0, "“<b>” is no state. This is shown without it.");
        assert_eq!(of("q=a&before=50").unwrap().0, "“before” says nothing here. This is shown without it.", "a list has its own place");
    }

    #[test]
    fn a_value_that_has_to_be_two_things_is_told_the_first_that_it_is_not() {
        let words: [Word; 2] = [("n", "number", |n| n.parse::<u32>().is_ok()), ("n", "small number", |n| n.len() < 2)];
        let said = |search: &str| unread(search, &words, &[]).map(|u| u.said);
        assert_eq!(said("n=7"), None);
        assert_eq!(said("n=seven").unwrap(), "“seven” is no number. This is shown without it.");
        assert_eq!(said("n=77").unwrap(), "“77” is no small number. This is shown without it.");
    }
}

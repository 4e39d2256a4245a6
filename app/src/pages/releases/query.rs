//! Pure: the list's filters in its address.

use crate::{
    plan::query::{address, push, push_place},
    ui::unread::Word,
};
use wire::{
    releases::{ReleaseCheck, ReleaseQuery},
    states::ReleaseState,
};

/// Words of the list's address whose values have to be some; the others are in [`OTHERS`].
pub const WORDS: [Word; 2] = [
    ("state", "state of a release", |word| word.parse::<ReleaseState>().is_ok()),
    ("check", "result of a check", |word| word.parse::<ReleaseCheck>().is_ok()),
];
/// Words of the address that mean something whatever they say.
pub const OTHERS: [&str; 4] = ["type", "q", "cur", "from"];

/// What the list's address asks for; a word that is not understood counts as not said.
pub fn read(get: impl Fn(&str) -> Option<String>) -> ReleaseQuery {
    ReleaseQuery {
        q: get("q").unwrap_or_default(),
        state: get("state").and_then(|state| state.parse().ok()),
        device_type: get("type").filter(|of| !of.is_empty()),
        check: get("check").and_then(|check| check.parse().ok()),
        cursor: get("cur").filter(|cursor| !cursor.is_empty()),
        rows: None,
    }
}

/// The filters as a query string, without a place in the list.
pub fn filters(query: &ReleaseQuery) -> String {
    let mut out = String::new();
    let said = [
        ("q", Some(query.q.as_str()).filter(|q| !q.is_empty())),
        ("state", query.state.map(ReleaseState::as_str)),
        ("type", query.device_type.as_deref()),
        ("check", query.check.map(ReleaseCheck::as_str)),
    ];
    for (key, value) in said {
        if let Some(value) = value {
            push(&mut out, key, value);
        }
    }
    out
}

/// The address of the list; `before` is how many rows lie in front of the page.
pub fn href(query: &ReleaseQuery, before: i64) -> String {
    let mut out = filters(query);
    push_place(&mut out, before, query.cursor.as_deref().unwrap_or_default());
    address("/firmware", &out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::query::pairs;
    use wire::{releases::ReleaseCheck, states::ReleaseState};

    #[test]
    fn the_address_keeps_what_was_asked_for() {
        let all = ReleaseQuery {
            q: "1.2 & more".into(),
            state: Some(ReleaseState::Published),
            device_type: Some("gateway".into()),
            check: Some(ReleaseCheck::Damaged),
            cursor: Some("rel_1".into()),
            rows: None,
        };
        for query in [ReleaseQuery::default(), ReleaseQuery { check: Some(ReleaseCheck::Signed), ..ReleaseQuery::default() }, all] {
            let address = href(&query, 50);
            let said = pairs(address.split_once('?').map_or("", |(_, query)| query));
            let get = |key: &str| said.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
            assert_eq!(read(get), query, "{address}");
        }
        assert_eq!(href(&ReleaseQuery::default(), 0), "/firmware");
        assert_eq!(read(|key| (key == "state").then(|| "lost".into())), ReleaseQuery::default(), "no state there is");
    }
}

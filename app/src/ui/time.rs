//! Instants and spans. The server writes UTC; after hydration one ticker puts them into the reader's zone and keeps "12 s ago" true.
//! No view reads a clock.

use leptos::prelude::*;
use wire::Timestamp;

/// An instant as date and time: for histories and logs.
pub fn at(t: Timestamp) -> AnyView {
    view! { <time datetime=t.rfc3339() data-abs="" title=t.readable()>{t.readable()}</time> }.into_any()
}

/// The same to the minute: for what people have set.
pub fn minute(t: Timestamp) -> AnyView {
    view! { <time datetime=t.rfc3339() data-abs="minute" title=t.readable()>{t.readable()}</time> }.into_any()
}

/// An instant as "12 s ago" once hydrated: for what is recent. Without JavaScript it reads as date and time.
pub fn ago(t: Timestamp) -> AnyView {
    view! { <time datetime=t.rfc3339() data-rel="" title=t.readable()>{t.readable()}</time> }.into_any()
}

/// The same, or a word where there is no instant.
pub fn ago_or(t: Option<Timestamp>, never: &'static str) -> AnyView {
    match t {
        Some(t) => ago(t),
        None => view! { <span class="dim">{never}</span> }.into_any(),
    }
}

/// Pure: `at` as seen from `now`: `just now`, `42 s ago`, `in 3 h 05 min`.
pub fn relative(at_ms: i64, now_ms: i64) -> String {
    let ahead = at_ms.saturating_sub(now_ms);
    match ahead {
        -2_999..=2_999 => "just now".to_owned(),
        3_000.. => format!("in {}", wire::time::duration(ahead)),
        _ => format!("{} ago", wire::time::duration(ahead.saturating_neg())),
    }
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn recent_things_read_like_speech() {
        assert_eq!(relative(1_000, 2_000), "just now");
        assert_eq!(relative(0, 42_000), "42 s ago");
        assert_eq!(relative(3 * 3_600_000, 0), "in 3 h 00 min");
    }
}

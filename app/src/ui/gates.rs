//! Limits and how near they are: a mark, what is watched, the value, the limit.

use super::status::{Tone, dot};
use leptos::prelude::*;

/// One limit.
pub struct Gate {
    /// How it stands.
    pub tone: Tone,
    /// What is watched.
    pub name: &'static str,
    /// The value, in words.
    pub value: String,
    /// The limit, in words.
    pub limit: String,
}

/// A list of limits.
pub fn gates(all: Vec<Gate>) -> AnyView {
    let rows = all
        .into_iter()
        .map(|g| {
            view! {
                <li class="gate">
                    {dot(g.tone)}
                    <span>{g.name}<span class="sr">{word(g.tone)}</span></span>
                    <span class="num strong">{g.value}</span>
                    <span class="sub">{g.limit}</span>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="gates">{rows}</ul> }.into_any()
}

const fn word(tone: Tone) -> &'static str {
    match tone {
        Tone::Ok => ": within the limit",
        Tone::Bad => ": over the limit",
        Tone::Warn => ": near the limit",
        _ => ": not enough evidence yet",
    }
}

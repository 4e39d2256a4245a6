//! A plan's parts side by side, each with its state, its numbers and a bar; each a link to its rows.

use super::{icon::icon, progress::meter, status::Tone};
use leptos::prelude::*;

/// One part.
pub struct Segment {
    /// Where it leads.
    pub href: String,
    /// What it is called.
    pub name: String,
    /// How it fares.
    pub tone: Tone,
    /// Its state in a word.
    pub word: &'static str,
    /// Its numbers in words: the line under the name and the bar's label.
    pub numbers: String,
    /// The bar's parts.
    pub parts: Vec<(Tone, i64)>,
    /// The last line: since when, until when, what for.
    pub note: AnyView,
    /// Whether its rows are the ones shown.
    pub chosen: bool,
}

/// The bar. A part is as wide as the root of its weight, so that a small first part can be read beside a huge last one.
pub fn stage_bar(label: &'static str, segments: Vec<Segment>) -> AnyView {
    let items = segments
        .into_iter()
        .map(|s| {
            let weight: i64 = s.parts.iter().map(|p| p.1).sum();
            let style = format!("--w:{}", super::number::decimal(root(weight), 2));
            view! {
                <li data-s=s.tone.as_str() style=style aria-current=s.chosen.then_some("step")>
                    <a class="name" href=s.href>{icon(s.tone.icon())}{s.name}<span class="sr">{format!(", {}", s.word)}</span></a>
                    <span class="n">{s.numbers.clone()}</span>
                    {meter(s.numbers, &s.parts)}
                    <span class="note">{s.note}</span>
                </li>
            }
        })
        .collect_view();
    view! { <ol class="stages" aria-label=label>{items}</ol> }.into_any()
}

/// The square root of a count, at least 1 so that an empty part has a width.
fn root(weight: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a width on the screen")]
    let weight = weight.max(1) as f64;
    weight.sqrt()
}

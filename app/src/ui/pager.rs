//! The way through a list page by page, as links.

use super::{icon::icon, number::grouped};
use leptos::prelude::*;

/// "Rows 51–100 of 1,204", first page, next page. `first` and `next` are addresses; none where there is nothing to go to.
/// `before` is how many rows lie in front of this page, `shown` how many are on it.
pub fn pager(before: i64, shown: i64, total: i64, first: Option<String>, next: Option<String>) -> AnyView {
    if total == 0 {
        return ().into_any();
    }
    let link = |href: Option<String>, label: &'static str, after: bool| {
        let mark = icon(if after { "chevron-right" } else { "chevron-left" });
        let (front, back) = if after { (None, Some(mark)) } else { (Some(mark), None) };
        if let Some(href) = href {
            view! { <a class="btn" data-s="sm" href=href>{front}{label}{back}</a> }.into_any()
        } else {
            let why = if after { "These are the last rows." } else { "These are the first rows." };
            view! { <span class="btn" data-s="sm" aria-disabled="true" title=why>{front}{label}{back}<span class="sr">{format!(". {why}")}</span></span> }
                .into_any()
        }
    };
    let range = if shown == 0 {
        format!("0 of {}", grouped(total))
    } else {
        format!("Rows {}–{} of {}", grouped(before + 1), grouped(before + shown), grouped(total))
    };
    view! {
        <nav class="pager" aria-label="Pages">
            <span>{range}</span>
            <div class="btn-group push">{link(first, "First", false)}{link(next, "Next", true)}</div>
        </nav>
    }
    .into_any()
}

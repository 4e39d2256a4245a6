//! Tables: real ones, in a box that scrolls by itself on a narrow screen and keeps the first column in view.

use super::icon::icon;
use leptos::prelude::*;

/// A column's head.
pub struct Column {
    label: &'static str,
    class: &'static str,
    hidden: bool,
    sort: Option<Sort>,
}

struct Sort {
    href: String,
    order: Order,
}

/// How a table is sorted by a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Not by this one.
    None,
    /// From the least.
    Ascending,
    /// From the greatest.
    Descending,
}

impl Column {
    /// A column with text.
    pub const fn text(label: &'static str) -> Self {
        Self { label, class: "", hidden: false, sort: None }
    }
    /// A column with numbers, aligned at the end; give the cells `class="num"` too.
    pub const fn number(label: &'static str) -> Self {
        Self { label, class: "num", hidden: false, sort: None }
    }
    /// A column with buttons, whose head only assistive technology reads; give the cells `class="act"` too.
    pub const fn actions(label: &'static str) -> Self {
        Self { label, class: "act", hidden: true, sort: None }
    }
    /// A column with text that is left out where the table has little room, and only there: what it says stands on the page of the row's subject too. Give
    /// the cells `class="lesser"` too.
    pub const fn lesser(label: &'static str) -> Self {
        Self { label, class: "lesser", hidden: false, sort: None }
    }
    /// The same, sorted by a link: `href` is the page in the other order.
    #[must_use]
    pub fn sorted(mut self, order: Order, href: String) -> Self {
        self.sort = Some(Sort { href, order });
        self
    }
}

/// A table. `caption` names it for assistive technology; `rows` are `<tr>`s, the first cell of each a `<th scope="row">` or `<td>` that names it.
pub fn table(caption: impl Into<String>, columns: Vec<Column>, rows: AnyView) -> AnyView {
    let caption: String = caption.into();
    let heads = columns
        .into_iter()
        .map(|c| {
            let aria_sort = c.sort.as_ref().map(|s| match s.order {
                Order::None => "none",
                Order::Ascending => "ascending",
                Order::Descending => "descending",
            });
            let inside = match (c.sort, c.hidden) {
                (Some(sort), _) => view! { <a href=sort.href>{c.label}{icon("arrow-down")}</a> }.into_any(),
                (None, true) => view! { <span class="sr">{c.label}</span> }.into_any(),
                (None, false) => c.label.into_any(),
            };
            view! { <th scope="col" class=c.class aria-sort=aria_sort>{inside}</th> }
        })
        .collect_view();
    view! {
        <div class="table-wrap" role="region" tabindex="0" aria-label=caption>
            <table class="table">
                <caption class="sr">{caption.clone()}</caption>
                <thead><tr>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

//! Which columns the list shows, and the views of it that a person has saved: a filter, an order and columns under a name.

use super::filters::Shown;
use crate::{
    api::views::{ForgetView, SaveView},
    ui::{
        asked, dialog,
        dialog::buttons,
        facet, fault_banner,
        form::{self, ActionForm, FormCall},
        icon,
        page::question,
        submit, text,
    },
};
use leptos::prelude::*;
use wire::{
    devices::DeviceQuery,
    views::{DeviceColumn, MAX_VIEW_NAME, SavedView},
};

const DIALOG: &str = "views-dialog";
/// What the address asks for: `?ask=views`.
const ASK: &str = "views";

/// What the table calls a column.
pub const fn label(column: DeviceColumn) -> &'static str {
    match column {
        DeviceColumn::Status => "Status",
        DeviceColumn::Version => "Firmware",
        DeviceColumn::Type => "Type",
        DeviceColumn::Hardware => "Hardware",
        DeviceColumn::Update => "Update",
        DeviceColumn::LastSeen => "Last seen",
        DeviceColumn::Tags => "Tags",
    }
}

/// The menu of columns: each is a link to the list with it or without it, so that the address says what is shown.
pub fn columns(shown: &Shown, before: i64) -> AnyView {
    let links = DeviceColumn::ALL
        .iter()
        .copied()
        .map(|column| {
            let on = shown.columns.contains(&column);
            let columns =
                DeviceColumn::ALL.iter().copied().filter(|c| if *c == column { !on } else { shown.columns.contains(c) }).collect();
            let href = Shown { columns, query: shown.query.clone() }.href(before);
            let name = label(column);
            let what = if on { format!("{name}, shown: hide it") } else { format!("{name}, hidden: show it") };
            view! { <a href=href aria-label=what aria-current=on.then_some("true")>{on.then(|| icon("check"))}{name}</a> }
        })
        .collect_view();
    facet("Columns", links.into_any())
}

/// What a view shows, from its first page on.
fn of(view: &SavedView) -> Shown {
    let query = DeviceQuery { q: view.q.clone(), sort: view.sort, cursor: None, rows: None };
    Shown { query, columns: view.columns.clone() }
}

/// The menu of saved views, and the way to save and to remove some.
pub fn saved(views: &[SavedView], shown: &Shown) -> AnyView {
    let here = shown.first();
    let links = views
        .iter()
        .map(|view| {
            let href = of(view).href(0);
            let current = href == here;
            view! { <a href=href aria-current=current.then_some("true")>{current.then(|| icon("check"))}{view.name.clone()}</a> }
        })
        .collect_view();
    let line = (!views.is_empty()).then(|| view! { <hr/> });
    let more =
        view! { <a id=asked::opener(DIALOG) href=shown.question(ASK) data-dialog=DIALOG aria-haspopup="dialog">"Save or remove…"</a> };
    facet("Views", view! { {links}{line}{more} }.into_any())
}

/// The question: a name for what is shown, and those there are. Where the address asks for it, which is the way without script, it stands in the page.
pub fn ask(views: &[SavedView], shown: &Shown, (save, forget): (FormCall<SaveView>, FormCall<ForgetView>), asked: Option<&str>) -> AnyView {
    let back = shown.first();
    let cancel = asked::back_to(&back, DIALOG);
    let query = &shown.query;
    let meant = if query.q.is_empty() { "Every device".to_owned() } else { format!("The devices that match {}", query.q) };
    let text_of = format!("{meant}, in this order and with these columns. Only you see it; a view of the same name is replaced.");
    let there = views.iter().map(|view| line(view, &back, forget)).collect_view();
    let there = (!views.is_empty()).then(|| {
        view! { <div class="body">{move || fault_banner(form::refusal(forget).as_ref())}<ul class="saved-views">{there}</ul></div> }
    });
    let (q, sort, cols) = (query.q.clone(), query.sort.as_str(), DeviceColumn::text(&shown.columns));
    let inside = view! {
        {there}
        <ActionForm action=save>
            <input type="hidden" name="q" value=q/>
            <input type="hidden" name="sort" value=sort/>
            <input type="hidden" name="cols" value=cols/>
            <input type="hidden" name="back" value=back/>
            <div class="body">
                {move || fault_banner(form::refusal(save).as_ref())}
                <p>{text_of}</p>
                {text("name", "Name of the view").id("view-name").required().max_length(MAX_VIEW_NAME).autocomplete("off").refused(save).view()}
            </div>
            {buttons("Cancel", cancel, submit("Save view", "primary", move || save.pending().get()))}
        </ActionForm>
    }
    .into_any();
    if asked == Some(ASK) { question("Saved views", inside) } else { dialog(DIALOG, "Saved views", inside) }
}

fn line(view: &SavedView, back: &str, forget: FormCall<ForgetView>) -> AnyView {
    let (name, back, href) = (view.name.clone(), back.to_owned(), of(view).href(0));
    let remove = format!("Remove {name}");
    view! {
        <li>
            <a href=href>{name.clone()}</a>
            <ActionForm action=forget>
                <input type="hidden" name="name" value=name/>
                <input type="hidden" name="back" value=back/>
                <button class="btn" data-s="sm" type="submit" aria-label=remove aria-busy=move || forget.pending().get().then_some("true")>"Remove"</button>
            </ActionForm>
        </li>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::devices::DeviceSort;

    #[test]
    fn a_view_leads_to_the_list_as_it_was_saved() {
        let columns = vec![DeviceColumn::Status, DeviceColumn::Tags];
        let view = SavedView { name: "Silent".into(), q: "last_seen>7d".into(), sort: DeviceSort::LastSeen, columns };
        assert_eq!(of(&view).href(0), "/devices?q=last_seen%3E7d&sort=last_seen&cols=status,tags");
        let view = SavedView { name: "All".into(), q: String::new(), sort: DeviceSort::DeviceId, columns: DeviceColumn::all() };
        assert_eq!(of(&view).href(0), "/devices");
    }
}

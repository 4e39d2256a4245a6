//! Two releases beside each other: their fields, and what became of each file. Owns the choice of the two. Refuses to know how they are compared.

use crate::api::packed::reading;
use crate::{
    api::releases::ReadComparison,
    live,
    pages::words,
    ui::{
        Column, PageHead, badge, card, copyable, empty,
        form::{self, QueryForm, select},
        icon,
        number::{bytes, counted},
        page::{card_flush, page},
        table, unread,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    change::FieldChange,
    live::Topic,
    releases::{ArtifactRow, ComparisonPage as Model, FileChange, FileDifference, ReleaseChoice, ReleaseDifference, ReleaseRow},
};

/// `/firmware/compare?before=ID&after=ID`; with `after` alone the one that was published before it is the other.
#[component]
pub fn ComparePage() -> AnyView {
    let query = use_query_map();
    let of = move |name: &'static str| query.with(|q| q.get(name).unwrap_or_default());
    let model = reading(move || ReadComparison { before: of("before"), after: of("after") });
    live::refetch_on(|| Some(Topic::Releases), 1000, model);
    let content = page(model, move |model: Model| {
        let (before, after) = untrack(|| (of("before"), of("after")));
        content(&model, before, after)
    });
    view! { {unread::notice(&[], &["before", "after"])}{content} }.into_any()
}

fn content(m: &Model, before: String, after: String) -> AnyView {
    let title = m.difference.as_ref().map_or_else(
        || "Compare releases".to_owned(),
        |d| {
            let one_type = d.before.device_type == d.after.device_type;
            let before = if one_type { version(&d.before) } else { named(&d.before) };
            format!("{} against {before}", named(&d.after))
        },
    );
    let chosen = m.difference.as_ref().map_or((before, after), |d| (d.before.id.to_string(), d.after.id.to_string()));
    let swap = m.difference.as_ref().map(|d| {
        let href = format!("/firmware/compare?before={}&after={}", d.after.id, d.before.id);
        view! { <a class="btn" href=href>{icon("chevrons-up-down")}"The other way round"</a> }.into_any()
    });
    let body = match &m.difference {
        Some(d) if d.is_empty() => nothing("circle-check", "Nothing differs", "They have the same fields and the same files."),
        Some(d) => view! { {fields(&d.lines)}{files(&d.files)} }.into_any(),
        None if m.choices.is_empty() => nothing("package", "No release yet", "Two releases can be compared once they are uploaded."),
        None if !chosen.1.is_empty() && chosen.0.is_empty() => nothing(
            "columns-3",
            "Nothing before it",
            "No release of its type was published before this one. Choose another one to hold it against.",
        ),
        None => nothing("columns-3", "Choose two releases", "What differs between them is shown here."),
    };
    let sub = m.difference.as_ref().map(|d| summary(d).into_any());
    view! {
        <PageHead title=title sub=sub.unwrap_or_else(|| "Fields of the manifest, files, sizes and digests of two releases.".into_any()) actions=swap.unwrap_or_else(|| ().into_any())/>
        <div class="stack">{choice(&m.choices, &chosen)}{body}</div>
    }
    .into_any()
}

fn nothing(mark: &'static str, title: &'static str, text: &'static str) -> AnyView {
    view! { <div class="card">{empty(mark, title, text, None)}</div> }.into_any()
}

fn named(row: &ReleaseRow) -> String {
    format!("{} {}", row.device_type, version(row)).trim().to_owned()
}

fn version(row: &ReleaseRow) -> String {
    words::version(&row.version).to_owned()
}

/// What differs, in a line.
fn summary(d: &ReleaseDifference) -> String {
    let differ = i64::try_from(d.files.iter().filter(|file| file.change != FileChange::Same).count()).unwrap_or(i64::MAX);
    let fields = i64::try_from(d.lines.len()).unwrap_or(i64::MAX);
    let grown: i64 = d.files.iter().map(FileDifference::growth).sum();
    let size = if grown == 0 { String::new() } else { format!(" · {} in all", growth(grown)) };
    format!("{}, {}{size}", counted(fields, "field differs", "fields differ"), counted(differ, "file differs", "files differ"))
}

/// Bytes more or less, with their sign.
fn growth(n: i64) -> String {
    match n {
        0 => "0 B".to_owned(),
        1.. => format!("+{}", bytes(n)),
        _ => format!("−{}", bytes(n.saturating_neg())),
    }
}

fn choice(choices: &[ReleaseChoice], (before, after): &(String, String)) -> AnyView {
    let options: Vec<(String, String)> = {
        let one = |c: &ReleaseChoice| {
            let (_, state) = words::release(c.state, false);
            let version = words::version(&c.version);
            (c.id.to_string(), format!("{} {version}, {}", c.device_type, state.to_lowercase()).trim().to_owned())
        };
        std::iter::once((String::new(), "Choose one".to_owned())).chain(choices.iter().map(one)).collect()
    };
    let before = select("before", "Before", options.clone()).value(before.clone()).view();
    let after = select("after", "After", options).value(after.clone()).view();
    let body = view! {
        <QueryForm action="/firmware/compare">
            <div class="beside">
                {before}
                {after}
                {form::submit("Compare", "", || false)}
            </div>
        </QueryForm>
    };
    card("Releases", None, body.into_any())
}

fn fields(lines: &[FieldChange]) -> AnyView {
    if lines.is_empty() {
        return ().into_any();
    }
    let cell = |text: Option<&String>| match text {
        Some(text) => view! { <span class="prose">{text.clone()}</span> }.into_any(),
        None => view! { <span class="dim">"none"</span> }.into_any(),
    };
    let row = |line: &FieldChange| view! { <tr><th scope="row">{line.what.clone()}</th><td>{cell(line.before.as_ref())}</td><td>{cell(line.after.as_ref())}</td></tr> };
    let rows = lines.iter().map(row).collect_view();
    let columns = vec![Column::text("Field"), Column::text("Before"), Column::text("After")];
    card_flush("Fields", None, table("Fields that differ", columns, rows.into_any()))
}

fn files(all: &[FileDifference]) -> AnyView {
    let columns = vec![
        Column::text("File"),
        Column::text("What became of it"),
        Column::text("Before"),
        Column::text("After"),
        Column::number("Grown by"),
    ];
    let rows = all.iter().map(file).collect_view();
    card_flush("Files", None, table("Files of both", columns, rows.into_any()))
}

fn file(f: &FileDifference) -> AnyView {
    let (tone, word) = words::file_change(f.change);
    let side = |file: Option<&ArtifactRow>| match file {
        Some(file) => {
            let other = (f.change == FileChange::Renamed || f.change == FileChange::Changed)
                .then(|| view! { <div class="mono">{file.name.clone()}</div> });
            view! { {other}<div class="sub">{bytes(file.size)}</div>{copyable(file.sha256.to_string(), "Copy SHA-256")} }.into_any()
        }
        None => view! { <span class="dim">"none"</span> }.into_any(),
    };
    let name = f.after.as_ref().or(f.before.as_ref()).map(|file| file.name.clone()).unwrap_or_default();
    let said = |line: &FieldChange| {
        let word = |text: Option<&String>| text.map_or("none", String::as_str).to_owned();
        view! { <div class="sub">{format!("{}: {} → {}", line.what, word(line.before.as_ref()), word(line.after.as_ref()))}</div> }
    };
    view! {
        <tr>
            <th scope="row" class="mono">{name}{f.lines.iter().map(said).collect_view()}</th>
            <td>{badge(tone, word)}</td>
            <td>{side(f.before.as_ref())}</td>
            <td>{side(f.after.as_ref())}</td>
            <td class="num">{growth(f.growth())}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_and_what_shrank_has_its_sign() {
        assert_eq!([growth(0), growth(20 << 10), growth(-1)], ["0 B", "+20 KiB", "−1 B"]);
        assert_eq!(growth(i64::MIN), "−8388607 TiB");
    }
}

//! What devices download instead of a release's files: the deltas from older releases, and why there is none.

use crate::{
    pages::words,
    ui::{Column, badge, number::bytes, page::card_flush, progress::progress, table},
};
use leptos::prelude::*;
use wire::releases::{DeltaRow, DeltaState};

/// The deltas as a table; nothing where none was ever wanted.
pub fn card(deltas: &[DeltaRow]) -> AnyView {
    if deltas.is_empty() {
        return ().into_any();
    }
    let rows = deltas.iter().map(row).collect_view();
    let columns =
        vec![Column::text("From"), Column::text("File"), Column::number("Download"), Column::number("Saves"), Column::text("State")];
    card_flush("Deltas", None, table("What devices that run an older release download", columns, rows.into_any()))
}

fn row(delta: &DeltaRow) -> AnyView {
    let (tone, word) = words::delta(delta.state);
    let told = delta.size.map_or_else(String::new, bytes);
    let saves = delta.saving().map_or_else(String::new, |percent| format!("{percent} %"));
    let going = delta.percent.map(|percent| progress(format!("{percent} % of the file read"), i64::from(percent), 100));
    let why = (!delta.why.is_empty()).then(|| view! { <div class="sub">{delta.why.clone()}</div> });
    // Only what is ready is what they download.
    let dim = (delta.state != DeltaState::Ready).then_some("dim");
    view! {
        <tr>
            <th scope="row"><a class="main" href=format!("/firmware/{}", delta.from)>{delta.from_version.clone()}</a></th>
            <td class="mono">{delta.file.clone()}</td>
            <td class="num"><span class=dim>{told}</span><div class="sub">{format!("of {}", bytes(delta.full_size))}</div></td>
            <td class="num"><span class=dim>{saves}</span></td>
            <td>{badge(tone, word)}{going}{why}</td>
        </tr>
    }
    .into_any()
}

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
    let saves = delta.saves().unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_all_is_told_from_most() {
        let saves = |size: Option<i64>, full_size: i64| {
            let from = format!("rel_{:032x}", 1).parse().unwrap();
            let (file, from_version, why) = ("fw.bin".to_owned(), "1.0.0".to_owned(), String::new());
            DeltaRow { file, full_size, from, from_version, state: DeltaState::Ready, why, size, percent: None }.saves().unwrap_or_default()
        };
        assert_eq!(saves(Some(310), 3_000_003), "99.9 %");
        assert_eq!((saves(Some(10), 1_000), saves(Some(126), 1_000)), ("99 %".to_owned(), "87 %".to_owned()));
        assert_eq!((saves(Some(0), 0), saves(None, 10)), ("0 %".to_owned(), String::new()));
    }
}

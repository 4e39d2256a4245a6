//! The list of releases.

use super::{downloads, image_keys, keys, query, signing, upload::Uploader};
use crate::{
    api::{
        packed::reading,
        releases::{AddImageKey, AddSigningKey, ReadReleases, RemoveImageKey, RevokeSigningKey},
        signing::{MakeAssignmentKey, PublishKeySet, RetireAssignmentKey, SetSigningThresholds},
        transfers::SetTransferLimits,
    },
    live,
    pages::words,
    ui::{
        Column, PageHead, Tone, badge, chip, empty, facet,
        form::{FormCall, said, search_input},
        icon,
        number::{bytes, counted, grouped},
        page::{card, card_behind, card_flush, locked, page},
        pager, table, time, unread,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    live::Topic,
    releases::{ReleaseCheck, ReleaseQuery, ReleaseRow, ReleasesPage as Model},
    states::ReleaseState,
};

/// `/firmware`; without JavaScript `?revoke=ID` asks about a signing key and `?forget=ID` about an image key.
#[component]
pub fn ReleasesPage() -> AnyView {
    let address = use_query_map();
    let query = Memo::new(move |_| address.with(|a| query::read(|key| a.get(key))));
    let model = reading(move || ReadReleases { query: query.get() });
    live::refetch_on(|| Some(Topic::Releases), 1000, model);
    let calls = keys::Calls { add: said::<AddSigningKey>("Key added", model), revoke: said::<RevokeSigningKey>("Key revoked", model) };
    let images = image_keys::Calls {
        add: said::<AddImageKey>("Image key added", model),
        remove: said::<RemoveImageKey>("Image key removed", model),
    };
    let limits = said::<SetTransferLimits>("Limits saved", model);
    let signing = signing::Calls {
        thresholds: said::<SetSigningThresholds>("Saved", model),
        publish: said::<PublishKeySet>("Key set published", model),
        make: said::<MakeAssignmentKey>("Key made", model),
        retire: said::<RetireAssignmentKey>("Key retired", model),
    };
    let uploader = Uploader::new();
    let content = page(model, move |model: Model| {
        let before = address.with_untracked(|a| a.get("from").and_then(|n| n.parse().ok()).unwrap_or(0_i64));
        let (revoke, forget) = address.with_untracked(|a| (a.get("revoke"), a.get("forget")));
        let questions = view! { {revoking(&model, revoke.as_deref(), calls)}{image_keys::forgetting(&model, forget.as_deref(), images)} };
        content(&model, (&query.get_untracked(), before.max(0)), questions.into_any(), (calls, images), (signing, limits), uploader)
    });
    view! { {unread::notice(&query::WORDS, &query::OTHERS)}{content} }.into_any()
}

/// The question before a signing key is revoked, in the page.
fn revoking(model: &Model, id: Option<&str>, calls: keys::Calls) -> Option<AnyView> {
    let keys = || model.keys.iter().filter(|k| k.revoked_at.is_none());
    let key = id.filter(|_| model.may_edit_keys).and_then(|id| keys().find(|k| k.id.as_str() == id))?;
    Some(keys::question(key, calls.revoke))
}

fn content(
    model: &Model,
    (query, before): (&ReleaseQuery, i64),
    questions: AnyView,
    (calls, images): (keys::Calls, image_keys::Calls),
    (signing, limits): (signing::Calls, FormCall<SetTransferLimits>),
    uploader: Uploader,
) -> AnyView {
    uploader.allowed.set(model.may_upload);
    let shown = i64::try_from(model.releases.items.len()).unwrap_or(0);
    let filtered = query.narrows();
    let list = if !model.releases.items.is_empty() {
        card_flush("Releases", None, rows(&model.releases.items))
    } else if before > 0 {
        card_behind(query::href(&ReleaseQuery { cursor: None, ..query.clone() }, 0))
    } else if filtered {
        let clear = view! { <a class="btn" href="/firmware">"Clear filters"</a> }.into_any();
        let text = "Take a filter away, or search for a part of a version, of a device type or of release notes.";
        view! { <div class="card">{empty("search", "No release matches", text, Some(clear))}</div> }.into_any()
    } else {
        let text = "A release is a version of firmware for one device type: its files and a manifest that was signed offline.";
        let manual = view! { <a class="btn" href="/docs/releases" rel="external">"How releases are made and signed"</a> };
        view! { <div class="card">{empty("package", "No release yet", text, Some(manual.into_any()))}</div> }.into_any()
    };
    let next =
        model.releases.next.clone().map(|cursor| query::href(&ReleaseQuery { cursor: Some(cursor), ..query.clone() }, before + shown));
    let first = (before > 0).then(|| query::href(&ReleaseQuery { cursor: None, ..query.clone() }, 0));
    let upload = if model.may_upload {
        uploader.view()
    } else {
        card("Upload a release", None, locked("Uploading needs the role operator. An admin can give it to you."))
    };
    let add_key = (model.may_edit_keys && model.policy.key_set.is_none()).then(|| keys::add_form(calls.add));
    let compare = (model.all > 1).then(|| view! { <a class="btn" href="/firmware/compare">{icon("columns-3")}"Compare"</a> }.into_any());
    view! {
        <PageHead title="Firmware" sub=view! { "Releases, checked against your signing keys when they arrive." }.into_any()
            actions=compare.unwrap_or_else(|| ().into_any())/>
        {signing::ending(model)}
        {questions}
        <div class="split">
            <div class="stack">
                <div>
                    {(filtered || model.all > 0).then(|| filter_bar(model, query))}
                    {list}
                    {pager(before, shown, model.releases.total, first, next)}
                </div>
                {keys::list(model, calls)}
                {signing::cards(model, signing)}
                {image_keys::list(model, images)}
                {downloads::limits(&model.transfers, limits)}
            </div>
            <div class="stack">{upload}{add_key}</div>
        </div>
    }
    .into_any()
}

/// The search, menus of what the list can be narrowed by, and what it is narrowed by now.
fn filter_bar(model: &Model, query: &ReleaseQuery) -> AnyView {
    let to = |query: ReleaseQuery| query::href(&ReleaseQuery { cursor: None, ..query }, 0);
    let link = |label: String, current: bool, href: String| {
        view! { <a href=href aria-current=current.then_some("true")>{current.then(|| icon("check"))}{label}</a> }
    };
    let states = ReleaseState::ALL.iter().map(|state| {
        let asked = ReleaseQuery { state: Some(*state), ..query.clone() };
        link(words::release(*state, false).1.to_owned(), query.state == Some(*state), to(asked))
    });
    let types = model.types.iter().map(|of| {
        let asked = ReleaseQuery { device_type: Some(of.clone()), ..query.clone() };
        link(of.clone(), query.device_type.as_ref() == Some(of), to(asked))
    });
    let checks = ReleaseCheck::ALL.iter().map(|check| {
        let asked = ReleaseQuery { check: Some(*check), ..query.clone() };
        link(standing(*check).to_owned(), query.check == Some(*check), to(asked))
    });
    let chips = [
        query.state.map(|state| chip("state", words::release(state, false).1, to(ReleaseQuery { state: None, ..query.clone() }))),
        query.device_type.clone().map(|of| chip("type", of, to(ReleaseQuery { device_type: None, ..query.clone() }))),
        query.check.map(|check| chip("files", standing(check), to(ReleaseQuery { check: None, ..query.clone() }))),
    ];
    let hidden = crate::plan::query::pairs(&query::filters(&ReleaseQuery { q: String::new(), ..query.clone() }))
        .into_iter()
        .map(|(name, value)| view! { <input type="hidden" name=name value=value/> })
        .collect_view();
    let (states, checks) = (states.collect_view().into_any(), checks.collect_view().into_any());
    let types = (!model.types.is_empty()).then(|| facet("Device type", types.collect_view().into_any()));
    view! {
        <form class="filters" method="get" action="/firmware" role="search">
            {search_input("Search releases", "Version, device type or notes", &query.q)}
            {hidden}
            {facet("State", states)}
            {types}
            {facet("Files", checks)}
            {chips.into_iter().flatten().collect_view()}
        </form>
    }
    .into_any()
}

/// How a release's signatures and files stand, in a word or some.
const fn standing(check: ReleaseCheck) -> &'static str {
    match check {
        ReleaseCheck::Signed => "Signed",
        ReleaseCheck::Unsigned => "Unsigned or in quarantine",
        ReleaseCheck::Damaged => "Damaged",
    }
}

/// The rows; what people look for least stands under what it belongs to, so that all of it fits beside the upload.
fn rows(items: &[ReleaseRow]) -> AnyView {
    let columns = vec![
        Column::text("Release"),
        Column::text("State"),
        Column::lesser("Signed by"),
        Column::number("Installed"),
        Column::text("Uploaded"),
    ];
    let rows = items
        .iter()
        .map(|r| {
            let (tone, word) = words::release(r.state, !r.quarantine.is_empty());
            let why = (!r.quarantine.is_empty())
                .then(|| view! { <div class="small text-2 why" title=r.quarantine.clone()>{words::short_digests(&r.quarantine)}</div> });
            let damaged = (r.damaged > 0).then(|| view! { " "{badge(Tone::Bad, counted(r.damaged, "damaged file", "damaged files"))} });
            let uses = (r.rollouts > 0).then(|| view! { <div class="small text-2">{counted(r.rollouts, "rollout", "rollouts")}</div> });
            let version = words::version(&r.version).to_owned();
            let of = if r.device_type.is_empty() { String::new() } else { format!("{} · sequence {} · ", r.device_type, r.sequence) };
            view! {
                <tr>
                    <th scope="row">
                        <a class="main mono" href=format!("/firmware/{}", r.id)>{version}</a>
                        <div class="small text-2">{of}<span class="nowrap">{bytes(r.size)}</span></div>
                    </th>
                    <td>{badge(tone, word)}{damaged}{why}</td>
                    <td class="lesser">{r.signed_by.join(", ")}</td>
                    <td class="num">{grouped(r.installed)}{uses}</td>
                    <td class="dim">{time::ago(r.created_at)}<div class="small">"by "{r.created_by.clone()}</div></td>
                </tr>
            }
        })
        .collect_view();
    table("Releases", columns, rows.into_any())
}

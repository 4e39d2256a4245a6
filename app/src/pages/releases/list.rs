//! The list of releases.

use super::{downloads, image_keys, keys, signing, upload::Uploader};
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
        Column, PageHead, badge, empty,
        form::{FormCall, said},
        icon,
        number::{bytes, counted, grouped},
        page::{card_flush, page},
        pager, table, time,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    live::Topic,
    releases::{ReleaseRow, ReleasesPage as Model},
};

/// `/firmware`; without JavaScript `?revoke=ID` asks about a signing key and `?forget=ID` about an image key.
#[component]
pub fn ReleasesPage() -> AnyView {
    let query = use_query_map();
    let model = reading(move || ReadReleases { cursor: query.with(|q| q.get("cur").unwrap_or_default()) });
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
    page(model, move |model: Model| {
        let before = query.with_untracked(|q| q.get("from").and_then(|n| n.parse().ok()).unwrap_or(0_i64));
        let (revoke, forget) = query.with_untracked(|q| (q.get("revoke"), q.get("forget")));
        let questions = view! { {revoking(&model, revoke.as_deref(), calls)}{image_keys::forgetting(&model, forget.as_deref(), images)} };
        content(&model, before.max(0), questions.into_any(), (calls, images), (signing, limits), uploader)
    })
}

/// The question before a signing key is revoked, in the page.
fn revoking(model: &Model, id: Option<&str>, calls: keys::Calls) -> Option<AnyView> {
    let keys = || model.keys.iter().filter(|k| k.revoked_at.is_none());
    let key = id.filter(|_| model.may_edit_keys).and_then(|id| keys().find(|k| k.id.as_str() == id))?;
    Some(keys::question(key, calls.revoke))
}

fn content(
    model: &Model,
    before: i64,
    questions: AnyView,
    (calls, images): (keys::Calls, image_keys::Calls),
    (signing, limits): (signing::Calls, FormCall<SetTransferLimits>),
    uploader: Uploader,
) -> AnyView {
    uploader.allowed.set(model.may_upload);
    let shown = i64::try_from(model.releases.items.len()).unwrap_or(0);
    let list = if model.releases.items.is_empty() {
        let text = "A release is a version of firmware for one device type: its files and a manifest that was signed offline.";
        let manual = view! { <a class="btn" href="/docs/releases" rel="external">"How releases are made and signed"</a> };
        view! { <div class="card">{empty("package", "No release yet", text, Some(manual.into_any()))}</div> }.into_any()
    } else {
        card_flush("Releases", None, rows(&model.releases.items))
    };
    let next = model.releases.next.as_ref().map(|cursor| format!("/firmware?from={}&cur={cursor}", before + shown));
    let aside = (model.may_upload || model.may_edit_keys).then(|| {
        view! {
            <div class="stack">
                {model.may_upload.then(|| uploader.view())}
                {(model.may_edit_keys && model.policy.key_set.is_none()).then(|| keys::add_form(calls.add))}
            </div>
        }
    });
    let compare =
        (model.releases.total > 1).then(|| view! { <a class="btn" href="/firmware/compare">{icon("columns-3")}"Compare"</a> }.into_any());
    view! {
        <PageHead title="Firmware" sub=view! { "Releases, checked against your signing keys when they arrive." }.into_any()
            actions=compare.unwrap_or_else(|| ().into_any())/>
        {signing::ending(model)}
        {questions}
        <div class="split">
            <div class="stack">
                <div>{list}{pager(before, shown, model.releases.total, (before > 0).then(|| "/firmware".to_owned()), next)}</div>
                {keys::list(model, calls)}
                {signing::cards(model, signing)}
                {image_keys::list(model, images)}
                {downloads::limits(&model.transfers, limits)}
            </div>
            {aside}
        </div>
    }
    .into_any()
}

fn rows(items: &[ReleaseRow]) -> AnyView {
    let columns = vec![
        Column::text("Version"),
        Column::text("State"),
        Column::text("Device type"),
        Column::number("Sequence"),
        Column::number("Size"),
        Column::text("Signed by"),
        Column::number("Installed"),
        Column::text("Uploaded"),
    ];
    let rows = items
        .iter()
        .map(|r| {
            let (tone, word) = words::release(r.state, !r.quarantine.is_empty());
            let why = (!r.quarantine.is_empty())
                .then(|| view! { <div class="small text-2 why" title=r.quarantine.clone()>{words::short_digests(&r.quarantine)}</div> });
            let uses = (r.rollouts > 0).then(|| view! { <div class="sub">{counted(r.rollouts, "rollout", "rollouts")}</div> });
            let version = words::version(&r.version).to_owned();
            view! {
                <tr>
                    <th scope="row"><a class="main mono" href=format!("/firmware/{}", r.id)>{version}</a></th>
                    <td>{badge(tone, word)}{why}</td>
                    <td>{r.device_type.clone()}</td>
                    <td class="num">{r.sequence}</td>
                    <td class="num">{bytes(r.size)}</td>
                    <td>{r.signed_by.join(", ")}</td>
                    <td class="num">{grouped(r.installed)}{uses}</td>
                    <td class="dim">{time::ago(r.created_at)}" by "{r.created_by.clone()}</td>
                </tr>
            }
        })
        .collect_view();
    table("Releases", columns, rows.into_any())
}

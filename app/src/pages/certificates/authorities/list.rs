//! All authorities, what hangs on each, and how far the fleet is with the newest trust bundle.

use super::{duties, key, purpose, shown_state};
use crate::{
    api::{
        certificates::{MakeClaimAuthority, ReadAuthorities},
        packed::reading,
    },
    live,
    ui::{
        Column, PageHead, Tone, badge,
        form::{FormCall, said},
        number::{counted, grouped, percent},
        page::{card, card_flush, page},
        progress::progress,
        table, time, unread,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    live::Topic,
    pki::{AuthoritiesPage as Model, BundleReach},
    states::AuthorityState,
};

/// `/certificates/authorities`; `?after=ID` shows more of the devices that don't hold the newest trust bundle.
#[component]
pub fn AuthoritiesPage() -> AnyView {
    let query = use_query_map();
    let after = Memo::new(move |_| query.with(|q| q.get("after").unwrap_or_default()));
    let model = reading(move || ReadAuthorities { after: after.get() });
    live::refetch_on(|| Some(Topic::Devices), 2000, model);
    let claims = said::<MakeClaimAuthority>("Claims have their authority", model);
    let content = page(model, move |model: Model| content(&model, !after.get_untracked().is_empty(), claims));
    view! { {unread::notice(&[], &["after"])}{content} }.into_any()
}

fn content(m: &Model, further: bool, claims: FormCall<MakeClaimAuthority>) -> AnyView {
    let count = counted(i64::try_from(m.authorities.len()).unwrap_or(0), "authority", "authorities");
    let sub = view! { <a href="/certificates">"Certificates"</a>" · "{count} };
    let hint = if m.may_manage {
        "Open an authority to let another one take over from it, step by step. Each step says beforehand what it does."
    } else {
        "Only an admin can change authorities."
    };
    let elsewhere = if m.may_manage {
        view! { <a class="btn" href="/certificates/authorities/elsewhere">"Signed elsewhere"</a> }.into_any()
    } else {
        ().into_any()
    };
    view! {
        <PageHead title="Authorities" sub=sub.into_any() actions=elsewhere/>
        <p class="lead text-2">{hint}" "<a href="/certificates/authorities/requests">"Requests for a second person"</a></p>
        <div class="stack mt-4">
            {duties::card_of(&m.duties, claims)}
            {card("What devices trust", None, view! { {reach(&m.bundle)}{behind(m, further)} }.into_any())}
            {card_flush("Authorities", None, rows(m))}

        </div>
    }
    .into_any()
}

/// How many devices hold a bundle, as a bar and in words.
pub(super) fn reach(r: &BundleReach) -> AnyView {
    if r.devices == 0 {
        let none = format!("No device is active yet. The first one gets trust bundle {} when it enrols.", r.version);
        return view! { <p>{none}</p> }.into_any();
    }
    let words = format!(
        "{} of {} hold trust bundle {} ({})",
        grouped(r.holders),
        counted(r.devices, "active device", "active devices"),
        r.version,
        percent(r.holders, r.devices)
    );
    let note = if r.missing() > 0 {
        "A device fetches the bundle when it connects, or within minutes while it is connected. One without a channel holds what it last fetched over its certificate: cacerts of EST, or /device/v1/trust-bundle."
    } else {
        "Every active device that can tell holds it."
    };
    let apart = (r.cannot_tell > 0).then(|| {
        let text =
            format!("{} can never tell: without a certificate of their own they fetch none.", counted(r.cannot_tell, "device", "devices"));
        view! { <p class="small text-2">{text}</p> }
    });
    view! { {progress("Devices that hold the trust bundle", r.holders, r.devices)}<p class="mt-2">{words}</p><p class="small text-2">{note}</p>{apart} }.into_any()
}

/// The devices that hold a roll-over up, page by page; `further` says that it is not the first page.
fn behind(m: &Model, further: bool) -> Option<AnyView> {
    if m.behind.is_empty() && !further {
        return None;
    }
    let devices = m.behind.iter().map(|id| view! { <a class="mono" href=format!("/devices/{id}")>{id.to_string()}</a> }).collect_view();
    let first = further.then(|| view! { <a class="btn" data-s="sm" href="/certificates/authorities">"First"</a> });
    let next = m
        .behind_next
        .as_ref()
        .map(|id| view! { <a class="btn" data-s="sm" href=format!("/certificates/authorities?after={id}")>"Next"</a> });
    let title = format!("{} not said that they hold it", counted(m.bundle.unsure(), "active device has", "active devices have"));
    Some(
        view! {
            <details class="mt-2" open=further>
                <summary>{title}</summary>
                <div class="row mt-2">{devices}</div>
                <nav class="pager" aria-label="Pages of devices that don't hold the trust bundle"><div class="btn-group push">{first}{next}</div></nav>
            </details>
        }
        .into_any(),
    )
}

fn rows(m: &Model) -> AnyView {
    let columns = vec![
        Column::text("Authority"),
        Column::text("Use"),
        Column::text("State"),
        Column::number("Devices' certificates"),
        Column::text("Key"),
        Column::text("Ends"),
    ];
    let rows = m
        .authorities
        .iter()
        .map(|s| {
            let a = &s.row;
            let soon = s.not_signing.is_none() && super::ends_soon(s, m.at);
            let (tone, word) = if soon { (Tone::Warn, "Ends soon") } else { shown_state(s, m.at) };
            let why = s.not_signing.clone().map(|why| view! { <div class="small dim">{why}</div> });
            let alarm = s.alarm.as_ref().map(|seen| {
                view! { {super::alarm_mark()}<div class="small dim">"Somebody else may have its key, seen "{time::ago(seen.at)}</div> }
            });
            let depend = (a.kind == "device" && a.state == AuthorityState::Retiring && s.devices > 0).then(|| {
                let href = format!("/certificates?authority={}", a.id);
                view! { <div class="small"><a href=href>{format!("{} depend on it", grouped(s.devices))}</a></div> }
            });
            let hanging = if a.kind == "device" { grouped(s.certificates) } else { String::new() };
            view! {
                <tr>
                    <th scope="row" class="whole" title=a.subject.clone()><a class="main" href=format!("/certificates/authorities/{}", a.id)>{a.common_name().to_owned()}</a></th>
                    <td>{purpose(&a.kind).to_owned()}</td>
                    <td>{badge(tone, word)}{alarm}</td>
                    <td class="num">{hanging}{depend}</td>
                    <td>{key(a.key)}{why}</td>
                    <td>{time::ago(a.not_after)}</td>
                </tr>
            }
        })
        .collect_view();
    table("Authorities", columns, rows.into_any())
}

//! Certificate profiles: listed, made and changed, removed.

use crate::{
    api::certificates::{RemoveProfile, SetProfile},
    ui::{
        Column, Control, empty,
        form::{self, ActionForm, FormCall, fault_banner, field, refusal},
        number::{counted, grouped},
        page::{card, card_flush},
        select, table, text,
    },
};
use leptos::prelude::*;
use wire::{
    pki::{CertificateProfile, KeyType, MAX_FACTORY_HOURS, RulesPage},
    states::RekeyPolicy,
};

/// The calls of the page.
#[derive(Clone, Copy)]
pub(super) struct Calls {
    /// Makes or changes one.
    pub set: FormCall<SetProfile>,
    /// Removes one.
    pub remove: FormCall<RemoveProfile>,
}

/// What there are, and a form for another one.
pub(super) fn section(m: &RulesPage, calls: Calls) -> AnyView {
    let list = if m.profiles.is_empty() {
        let none = "A profile says how long certificates hold and which keys they are for. Without one they hold 90 days.";
        card("Profiles", None, empty("scroll-text", "No profile yet", none, None))
    } else {
        card_flush("Profiles", None, rows(m, calls.remove))
    };
    if !m.may_edit {
        return view! { <div class="mt-4">{list}</div> }.into_any();
    }
    let new = card("Make or change a profile", None, form_of(calls.set));
    view! { <div class="split mt-4"><div class="stack">{list}</div>{new}</div> }.into_any()
}

/// A life in words.
fn life(hours: u32) -> String {
    let hours = i64::from(hours);
    if hours % 24 == 0 { counted(hours / 24, "day", "days") } else { counted(hours, "hour", "hours") }
}

fn keys(p: &CertificateProfile) -> String {
    if p.rules.keys.is_empty() { "every type".to_owned() } else { p.rules.keys.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", ") }
}

const fn rekey(policy: Option<RekeyPolicy>) -> &'static str {
    match policy {
        None => "as the rules say",
        Some(RekeyPolicy::Required) => "must change",
        Some(RekeyPolicy::Allowed) => "may change",
        Some(RekeyPolicy::Forbidden) => "must stay",
    }
}

fn rows(m: &RulesPage, remove: FormCall<RemoveProfile>) -> AnyView {
    let columns = vec![
        Column::text("Profile"),
        Column::text("Holds"),
        Column::text("Keys"),
        Column::text("Key at a renewal"),
        Column::number("Active"),
        Column::actions("Remove"),
    ];
    let rows = m
        .profiles
        .iter()
        .map(|p| {
            let name = p.name.clone();
            let button = (m.may_edit && p.active == 0).then(|| {
                view! {
                    <ActionForm action=remove>
                        <input type="hidden" name="name" value=name/>
                        {form::submit("Remove", "ghost", move || remove.pending().get())}
                    </ActionForm>
                }
            });
            let used = (m.may_edit && p.active > 0)
                .then(|| view! { <span class="dim">"In use"<span class="sr">"; it can be removed when no active certificate is of it."</span></span> });
            view! {
                <tr>
                    <th scope="row" class="mono">{p.name.clone()}</th>
                    <td>{life(p.rules.hours)}{p.rules.factory.then_some(", factory")}</td>
                    <td>{keys(p)}</td>
                    <td>{rekey(p.rules.rekey)}</td>
                    <td class="num">{grouped(p.active)}</td>
                    <td class="act">{button}{used}</td>
                </tr>
            }
        })
        .collect_view();
    view! { {move || fault_banner(refusal(remove).as_ref())}{table("Certificate profiles", columns, rows.into_any())} }.into_any()
}

fn form_of(call: FormCall<SetProfile>) -> AnyView {
    let types = KeyType::ALL.iter().map(|k| (k.as_str().to_owned(), k.as_str().to_owned())).collect();
    let policies = [None, Some(RekeyPolicy::Allowed), Some(RekeyPolicy::Required), Some(RekeyPolicy::Forbidden)];
    let policies = policies.map(|p| (p.map_or("", RekeyPolicy::as_str).to_owned(), rekey(p).to_owned())).into_iter().collect();
    view! {
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {text("name", "Name").required().max_length(40).placeholder("short").hint("One that there is already is changed.").refused(call).view()}
                {field("hours", "Hours it holds", Control::Input("number")).value("720").bounds(1, i64::from(MAX_FACTORY_HOURS)).required()
                    .hint("720 are 30 days, 8,760 a year. Never longer than its authority.").refused(call).view()}
                {field("factory", "A factory profile: its certificates hold for more than 825 days", Control::Check)
                    .hint("For devices that get theirs where they are made, up to ten years (87,600 hours). The next authority for devices lives as much longer.").view()}
                {field("keys", "Types of keys", Control::Checks(types)).hint("None checked means every type.").refused(call).view()}
                {select("rekey", "With a renewal, the key", policies).id("f-profile-rekey").refused(call).view()}
                <div class="row">{form::submit("Save profile", "primary", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

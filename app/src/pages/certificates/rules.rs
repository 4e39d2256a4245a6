//! What an organization wants of its devices' certificates: clones, keys at renewal, certificates that have ended, profiles, and keys that get none.

use super::{blocked, profiles};
use crate::{
    api::{
        certificates::{BlockKey, ReadRules, RemoveProfile, SetProfile, SetRules, UnblockKey},
        packed::reading,
    },
    ui::{
        Control, PageHead, Tone, banner,
        form::{self, ActionForm, FormCall, fault_banner, field, refusal, said},
        page::{card, page},
        select,
    },
};
use leptos::prelude::*;
use wire::{
    pki::{MAX_RECOVERY_DAYS, RulesPage as Model},
    states::{ClonePolicy, RecoveryPolicy, RekeyPolicy},
};

/// `/certificates/rules`
#[component]
pub fn RulesPage() -> AnyView {
    let model = reading(|| ReadRules {});
    let call = said::<SetRules>("Rules saved", model);
    let calls =
        profiles::Calls { set: said::<SetProfile>("Profile saved", model), remove: said::<RemoveProfile>("Profile removed", model) };
    let keys =
        blocked::Calls { block: said::<BlockKey>("Key blocked", model), unblock: said::<UnblockKey>("Key may be used again", model) };
    page(model, move |model: Model| {
        view! {
            <PageHead title="Certificate rules" sub=view! { "What holds for the certificates of all devices. "<a href="/certificates">"All certificates"</a> }.into_any()/>
            {if model.may_edit { card("Rules", None, edit(&model, call)) } else { read_only(&model) }}
            {profiles::section(&model, calls)}
            {blocked::section(&model, keys)}
        }
        .into_any()
    })
}

const fn clones(policy: ClonePolicy) -> &'static str {
    match policy {
        ClonePolicy::Alert => "Tell people",
        ClonePolicy::Suspend => "Tell people and suspend the device",
    }
}

const fn rekey(policy: RekeyPolicy) -> &'static str {
    match policy {
        RekeyPolicy::Required => "must change",
        RekeyPolicy::Allowed => "may change",
        RekeyPolicy::Forbidden => "must stay",
    }
}

const fn recovery(policy: RecoveryPolicy) -> &'static str {
    match policy {
        RecoveryPolicy::Off => "It has to enrol again",
        RecoveryPolicy::Approval => "It may ask to come back, and a person approves it",
        RecoveryPolicy::Auto => "It may come back by itself",
    }
}

fn options<T: Copy + std::fmt::Display>(all: &[T], words: fn(T) -> &'static str) -> Vec<(String, String)> {
    all.iter().map(|policy| (policy.to_string(), words(*policy).to_owned())).collect()
}

fn edit(model: &Model, call: FormCall<SetRules>) -> AnyView {
    let rules = model.rules;
    view! {
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {select("clones", "When two seem to hold one device's key", options(ClonePolicy::ALL, clones))
                    .value(rules.clones.to_string()).refused(call)
                    .hint("Seen when a certificate is used after its successor was, or is connected from two networks at once.").view()}
                {select("rekey", "With a renewal, a device's key", options(RekeyPolicy::ALL, rekey))
                    .value(rules.rekey.to_string()).refused(call)
                    .hint("It must stay where a secure element has room for one. Fleetward's own agent keeps its key.").view()}
                {select("recovery", "When a device comes too late to renew", options(RecoveryPolicy::ALL, recovery))
                    .value(rules.recovery.to_string()).refused(call)
                    .hint("It proves with the key of its ended certificate who it is. Revoked certificates never come back.").view()}
                {field("recovery_days", "For so many days after the end", Control::Input("number"))
                    .value(rules.recovery_days.to_string()).bounds(1, i64::from(MAX_RECOVERY_DAYS)).required().refused(call).view()}
                <div class="row">{form::submit("Save rules", "primary", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn read_only(model: &Model) -> AnyView {
    let rules = model.rules;
    let days = format!("{} days after the end at most", rules.recovery_days);
    let body = view! {
        <dl class="kv">
            <dt>"When two seem to hold one device's key"</dt><dd>{clones(rules.clones)}</dd>
            <dt>"With a renewal, a device's key"</dt><dd>{rekey(rules.rekey)}</dd>
            <dt>"When a device comes too late to renew"</dt><dd>{recovery(rules.recovery)}</dd>
            {(rules.recovery != RecoveryPolicy::Off).then(|| view! { <dt>"How late"</dt><dd>{days}</dd> })}
        </dl>
    };
    view! { {banner(Tone::Info, "Only admins change these.".into_any())}<div class="mt-4">{card("Rules", None, body.into_any())}</div> }
        .into_any()
}

//! What is left to do about an authority for devices that has ended: frozen tokens and claims, and its devices' way back.

use crate::{
    api::{
        certificates::{RecoverDevices, ThawTokens},
        packed::Reading,
    },
    ui::{
        Control,
        form::{self, ActionForm, FormCall, fault_banner, field, refusal, said},
        number::counted,
        page::card,
        select, time,
    },
};
use leptos::prelude::*;
use wire::{
    pki::{Aftermath, AuthorityDetail as Model, MAX_WAY_BACK_DAYS},
    states::RecoveryPolicy,
};

/// The calls of the card.
#[derive(Clone, Copy)]
pub struct Calls {
    thaw: FormCall<ThawTokens>,
    recover: FormCall<RecoverDevices>,
}

impl Calls {
    /// Makes them; after each success the page is read again.
    pub fn new(model: Reading) -> Self {
        Self { thaw: said("Tokens and claims count again", model), recover: said("The way back is changed", model) }
    }
}

/// The card; nothing for an authority that has not ended, or has left nothing behind.
pub fn card_of(m: &Model, calls: Calls) -> AnyView {
    let left = |a: &&Aftermath| a.left_behind > 0 || a.frozen_at.is_some() || a.until.is_some();
    let Some(after) = m.aftermath.as_ref().filter(left) else { return ().into_any() };
    let id = m.standing.row.id.to_string();
    let body = view! { <div class="stack">{devices(after, id.clone(), calls.recover)}{frozen(after, id, calls.thaw)}</div> };
    card("Its devices", None, body.into_any())
}

fn devices(after: &Aftermath, id: String, call: FormCall<RecoverDevices>) -> AnyView {
    let nobody = after.left_behind == 0;
    let left = if nobody {
        view! { <p>"No device is cut off by its end any more."</p> }.into_any()
    } else {
        let who = counted(after.left_behind, "device has", "devices have");
        let said = format!("{who} a certificate of it and none that is trusted, so they are cut off.");
        view! { <p>{said}" "<a href="/devices?q=certificate%3Auntrusted">"Devices that are cut off"</a></p> }.into_any()
    };
    let open = after.until.map(|until| {
        let how = match after.way_back {
            RecoveryPolicy::Auto => "They come back by themselves, each by its old key, until ",
            RecoveryPolicy::Approval | RecoveryPolicy::Off => {
                "They may ask to come back, each by its old key, and a person approves it, until "
            }
        };
        view! { <p>{how}{time::at(until)}"."</p> }
    });
    let closed = (after.until.is_none() && !nobody)
        .then(|| view! { <p class="text-2">"They stay out until they are enrolled again or are let back by their old keys."</p> });
    // A way back that is open can be closed, also when nobody needs it any more.
    let form = (after.may_manage && (after.until.is_some() || !nobody)).then(|| way_back(id, after.way_back, call));
    view! { {left}{open}{closed}{form} }.into_any()
}

fn way_back(id: String, now: RecoveryPolicy, call: FormCall<RecoverDevices>) -> AnyView {
    // Whoever saves wants to let them back, unless they say otherwise.
    let chosen = if now == RecoveryPolicy::Off { RecoveryPolicy::Approval } else { now };
    let ways = [
        (RecoveryPolicy::Approval, "When a person has approved each"),
        (RecoveryPolicy::Auto, "At once"),
        (RecoveryPolicy::Off, "Not by their keys"),
    ];
    let ways = ways.into_iter().map(|(way, label)| (way.to_string(), label.to_owned())).collect();
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {select("how", "They come back", ways).value(chosen.to_string()).refused(call)
                    .hint("Their own keys were not lost with the authority's: each proves by its key who it is, and gets a certificate of the authority that issues now.").view()}
                {field("days", "For so many days", Control::Input("number")).value("30").bounds(1, i64::from(MAX_WAY_BACK_DAYS)).required().refused(call).view()}
                <div class="row">{form::submit("Save", "", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn frozen(after: &Aftermath, id: String, call: FormCall<ThawTokens>) -> AnyView {
    let Some(at) = after.frozen_at else { return ().into_any() };
    let button = after.may_manage.then(|| {
        view! {
            {move || fault_banner(refusal(call).as_ref())}
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                <div class="row">{form::submit("Lift the freeze", "danger", move || call.pending().get())}</div>
            </ActionForm>
        }
    });
    view! {
        <p>"Enrolment tokens and claims made until "{time::at(at)}" are frozen. Revoke those that nobody needs before you lift that; new ones work at once. "
            <a href="/enrolment">"Tokens and claims"</a></p>
        {button}
    }
    .into_any()
}

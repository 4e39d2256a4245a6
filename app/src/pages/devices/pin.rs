//! That a device stays on what it runs: who has pinned it and why, and the way to pin it or to let it go. Refuses to know what a pin keeps away from it.

use super::{detail::with_icon, overview::Actions};
use crate::{
    api::devices::PinDevice,
    ui::{
        Tone, asked,
        dialog::{buttons, dialog, dialog_link},
        fault_banner,
        form::{self, ActionForm, FormCall},
        page::{card, question},
        status, submit, text, time,
    },
};
use leptos::prelude::*;
use wire::{devices::DeviceDetail, ids::DeviceId, states::DeviceState, updates::MOST_REASON};

const DIALOG: &str = "pin-device";

/// Whether it can be pinned, by this person.
fn possible(d: &DeviceDetail) -> bool {
    d.may_edit && d.pin.is_none() && d.row.state != DeviceState::Decommissioned
}

/// Who has pinned it, when and why; nothing where nobody has.
pub fn pinned(d: &DeviceDetail, actions: &Actions) -> AnyView {
    let Some(pin) = &d.pin else { return ().into_any() };
    let call = actions.unpin;
    let unpin = d.may_edit.then(|| {
        let id = d.row.device_id.to_string();
        view! {
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                {move || fault_banner(form::refusal(call).as_ref())}
                <div class="row">{submit("Unpin", "", move || call.pending().get())}</div>
            </ActionForm>
        }
    });
    let body = view! {
        <div class="stack">
            <p>"By "{pin.by.clone()}" on "{time::at(pin.at)}": "{pin.reason.clone()}</p>
            <p class="text-2">"No rollout moves it before it is unpinned. An update that it has begun goes on."</p>
            {unpin}
        </div>
    };
    card("Pinned to what it runs", Some(status(Tone::Hold, "Pinned")), body.into_any())
}

/// The way to pin it.
pub fn button(d: &DeviceDetail) -> Option<AnyView> {
    possible(d).then(|| dialog_link(DIALOG, asked::asking("ask", "pin"), "", with_icon("lock", "Pin…")))
}

/// The question: a dialog, or in the page itself where that is what the address asks for.
pub fn ask(d: &DeviceDetail, asked: bool, call: FormCall<PinDevice>) -> AnyView {
    if !possible(d) {
        return ().into_any();
    }
    let title = format!("Pin {}?", d.row.device_id);
    if asked { question(title, form(&d.row.device_id, call)) } else { dialog(DIALOG, title, form(&d.row.device_id, call)) }
}

fn form(device: &DeviceId, call: FormCall<PinDevice>) -> AnyView {
    let id = device.to_string();
    let reason = text("reason", "Why")
        .id("pin-reason")
        .hint("Whoever wonders why it doesn’t update reads this.")
        .required()
        .max_length(MOST_REASON)
        .autocomplete("off")
        .refused(call)
        .view();
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <div class="body">
                {move || fault_banner(form::refusal(call).as_ref())}
                <p>"No rollout moves it before it is unpinned: it is left out of dry runs and draws, and of ways back. An offer that it has not begun is taken back; what it has begun goes on."</p>
                {reason}
            </div>
            {buttons("Cancel", asked::way_out(DIALOG), submit("Pin it", "primary", move || call.pending().get()))}
        </ActionForm>
    }
    .into_any()
}

//! That the update of one device is cancelled while its rollout goes on: the button and the question before it. Refuses to know how a device is told.

use super::{detail::with_icon, overview::Actions};
use crate::{
    api::devices::CancelUpdate,
    ui::{
        asked,
        dialog::{buttons, dialog, dialog_link},
        fault_banner,
        form::{self, ActionForm, FormCall},
        page::question,
        submit, text,
    },
};
use leptos::prelude::*;
use wire::{devices::DeviceDetail, updates::DeviceUpdate};

const DIALOG: &str = "cancel-update";

/// The update that this person may cancel; none where there is none, or where the device has begun to install it.
fn possible(d: &DeviceDetail) -> Option<&DeviceUpdate> {
    let by = d.why.rollouts.first().filter(|rollout| rollout.may_cancel)?;
    d.updates.iter().find(|update| update.rollout == by.id && !update.state.finished())
}

/// The way to cancel it.
pub fn button(d: &DeviceDetail) -> Option<AnyView> {
    possible(d).map(|_| dialog_link(DIALOG, asked::asking("ask", "cancel"), "", with_icon("octagon-x", "Cancel the update…")))
}

/// The question: a dialog, or in the page itself where that is what the address asks for.
pub fn ask(d: &DeviceDetail, asked: bool, actions: &Actions) -> AnyView {
    let Some(update) = possible(d) else { return ().into_any() };
    let title = format!("Cancel the update of {} to {}?", d.row.device_id, update.to_version);
    let inside = form(d, update, actions.cancel);
    if asked { question(title, inside) } else { dialog(DIALOG, title, inside) }
}

fn form(d: &DeviceDetail, update: &DeviceUpdate, call: FormCall<CancelUpdate>) -> AnyView {
    let reason = text("reason", "Why (optional)").id("cancel-reason").max_length(500).autocomplete("off").refused(call).view();
    let says = format!(
        "“{}” goes on without this device: it is told to stop, keeps {}, counts as left out, and is not offered this rollout again unless somebody retries the devices whose update was cancelled before the rollout has ended; with its last device it ends. If it has begun to install when it hears of it, it goes on, and what it says then counts.",
        update.rollout_name,
        if d.row.version.is_empty() { "what it runs" } else { &d.row.version },
    );
    let (device, rollout, update) = (d.row.device_id.to_string(), update.rollout.to_string(), update.id.to_string());
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=device/>
            <input type="hidden" name="rollout" value=rollout/>
            <input type="hidden" name="update" value=update/>
            <div class="body">
                {move || fault_banner(form::refusal(call).as_ref())}
                <p>{says}</p>
                {reason}
            </div>
            {buttons("Keep it going", asked::way_out(DIALOG), submit("Cancel it", "danger-solid", move || call.pending().get()))}
        </ActionForm>
    }
    .into_any()
}

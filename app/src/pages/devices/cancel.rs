//! That the update of one device is cancelled while its rollout goes on: the button and the question before it. Refuses to know how a device is told.

use super::{detail::with_icon, overview::Actions};
use crate::{
    api::devices::CancelUpdate,
    ui::{
        Confirm, asked,
        dialog::{confirm_dialog_as, dialog, dialog_link},
        form::{ActionForm, FormCall},
        page::question,
    },
};
use leptos::prelude::*;
use wire::{devices::DeviceDetail, states::UpdateState, updates::DeviceUpdate};

const DIALOG: &str = "cancel-update";

/// The update that this person may cancel; none where there is none, or where the device has begun to install it. One that has ended waits to be tried again.
fn possible(d: &DeviceDetail) -> Option<&DeviceUpdate> {
    let by = d.why.rollouts.iter().find(|rollout| rollout.may_cancel)?;
    // The newest is in front.
    d.updates.iter().find(|update| update.rollout == by.id)
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
    let keeps = if d.row.version.is_empty() { "what it runs" } else { &d.row.version };
    let waits = update.state.finished();
    let what = if waits {
        format!("it is not tried again by itself, keeps {keeps}, counts as left out instead of as it ended")
    } else {
        format!("it is told to stop, keeps {keeps}, counts as left out")
    };
    let but = match update.state {
        UpdateState::TimedOut => {
            "It fell silent: should it still be at its attempt, nobody tells it to stop, and how that ends no longer counts."
        }
        _ if waits => "Nothing is under way at the device, so that holds at once.",
        _ => "If it has begun to install when it hears of it, it goes on, and what it says then counts.",
    };
    let text = format!(
        "“{}” goes on without this device: {what}, and is not offered this rollout again unless somebody retries the devices whose update was cancelled before the rollout has ended. At its end it waits for a person to do that, or to end it, until a day after the last was cancelled. {but}",
        update.rollout_name,
    );
    let confirm = Confirm {
        text,
        verb: "Cancel it".to_owned(),
        cancel: if waits { "Keep the retry" } else { "Keep it going" },
        back: asked::way_out(DIALOG),
        danger: true,
        type_name: None,
        reason: Some(("Why", false)),
    };
    let inside = confirm_dialog_as("cancel", confirm, call);
    let (device, rollout, update) = (d.row.device_id.to_string(), update.rollout.to_string(), update.id.to_string());
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=device/>
            <input type="hidden" name="rollout" value=rollout/>
            <input type="hidden" name="update" value=update/>
            {inside}
        </ActionForm>
    }
    .into_any()
}

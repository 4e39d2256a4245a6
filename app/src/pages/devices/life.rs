//! The steps of a device's life that a person may take: their buttons, dialogs, and the same questions as pages.

use super::detail::with_icon;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::devices::{ChangeDevice, ClearSuspicion},
    ui::{
        Confirm, Tone,
        alarm::alarm,
        asked, banner,
        dialog::{confirm_dialog_as, dialog, dialog_link},
        page,
    },
};
use leptos::prelude::*;
use wire::{devices::DeviceDetail, states::DeviceStep};

/// How a step is asked for.
struct Words {
    icon: &'static str,
    button: &'static str,
    verb: &'static str,
    cancel: &'static str,
    text: &'static str,
    danger: bool,
    /// Whether the device's name has to be typed.
    typed: bool,
}

const fn words(step: DeviceStep) -> Words {
    match step {
        DeviceStep::Admit => Words {
            icon: "check",
            button: "Let in…",
            verb: "Let in",
            cancel: "Let it wait",
            text: "A gateway has announced it with a shared secret; nothing else says who it is. From now on it gets updates.",
            danger: false,
            typed: false,
        },
        DeviceStep::Suspend => Words {
            icon: "pause",
            button: "Suspend…",
            verb: "Suspend",
            cancel: "Keep active",
            text: "Its connection is closed at once and it can't connect, enrol or renew until it is resumed. Its certificates stay as they are.",
            danger: true,
            typed: false,
        },
        DeviceStep::Resume => Words {
            icon: "play",
            button: "Resume…",
            verb: "Resume",
            cancel: "Keep suspended",
            text: "It may connect again with the certificates it has. If they ended meanwhile, enrol it anew with a token for exactly its id.",
            danger: false,
            typed: false,
        },
        DeviceStep::Decommission => Words {
            icon: "ban",
            button: "Decommission…",
            verb: "Decommission",
            cancel: "Keep device",
            text: "Its certificates are revoked for good and its connection is closed at once. The id stays reserved, and enrolment tokens for \
                   exactly this id are void.",
            danger: true,
            typed: true,
        },
        DeviceStep::Recommission => Words {
            icon: "rotate-ccw",
            button: "Recommission…",
            verb: "Recommission",
            cancel: "Keep decommissioned",
            text: "Its id can be enrolled again, by a token made for exactly this id. Certificates and tokens from before stay revoked.",
            danger: false,
            typed: true,
        },
        DeviceStep::Delete => Words {
            icon: "trash-2",
            button: "Delete…",
            verb: "Delete",
            cancel: "Keep device",
            text: "It is decommissioned, and gone from every list with its tags, attributes and samples; this can't be undone. Its id is free again \
                   once its last certificate has ended. Rollouts and the audit log keep its name.",
            danger: true,
            typed: true,
        },
    }
}

/// What stands on a device's page while somebody else may hold its key.
pub fn suspicion(d: &DeviceDetail, call: FormCall<ClearSuspicion>) -> AnyView {
    let Some(suspicion) = &d.suspicion else { return ().into_any() };
    let advice = "Revoke its certificate with the reason key compromise, or suspend it, unless you know where both came from.";
    let clear = d.may_clear.then(|| (call.into(), d.row.device_id.to_string()));
    alarm("Somebody else may hold this device's key.", (suspicion.sign.clone(), suspicion.at), advice, clear)
}

/// Whether the step is possible from where the device is, and for this person.
fn offered(step: DeviceStep, d: &DeviceDetail) -> bool {
    d.steps.contains(&step)
}

fn steps(d: &DeviceDetail) -> impl Iterator<Item = DeviceStep> {
    DeviceStep::ALL.iter().copied().filter(|step| offered(*step, d))
}

/// The buttons of what can be done now.
pub fn buttons(d: &DeviceDetail) -> AnyView {
    let id = d.row.device_id.clone();
    steps(d)
        .map(|step| {
            let Words { icon, button, danger, .. } = words(step);
            dialog_link(dialog_of(step), format!("/devices/{id}/{step}"), if danger { "danger" } else { "" }, with_icon(icon, button))
        })
        .collect_view()
        .into_any()
}

/// Their dialogs. Each has a place of its own, so that it stays as it is filled in when another step becomes possible.
pub fn dialogs(d: &DeviceDetail, call: FormCall<ChangeDevice>) -> AnyView {
    let of = |step: DeviceStep| offered(step, d).then(|| dialog(dialog_of(step), title(step, d), form(step, d, call)));
    DeviceStep::ALL.iter().copied().map(of).collect_view().into_any()
}

fn dialog_of(step: DeviceStep) -> String {
    format!("{step}-dialog")
}

fn title(step: DeviceStep, d: &DeviceDetail) -> String {
    format!("{} {}?", words(step).verb, d.row.device_id)
}

fn form(step: DeviceStep, d: &DeviceDetail, call: FormCall<ChangeDevice>) -> AnyView {
    let id = d.row.device_id.to_string();
    let Words { verb, cancel, text, danger, typed, .. } = words(step);
    let confirm = Confirm {
        text: text.to_owned(),
        verb: verb.to_owned(),
        cancel,
        back: asked::back_to(&format!("/devices/{id}"), &dialog_of(step)),
        danger,
        type_name: typed.then(|| id.clone()),
        reason: None,
    };
    let inside = confirm_dialog_as(step.as_str(), confirm, call);
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="step" value=step.as_str()/>
            {inside}
        </ActionForm>
    }
    .into_any()
}

/// The same question as a page, for browsers without JavaScript.
pub fn question(step: DeviceStep, d: &DeviceDetail, call: FormCall<ChangeDevice>) -> AnyView {
    if !offered(step, d) {
        return banner(Tone::Bad, format!("{} is not possible now, or your role does not allow it.", words(step).verb).into_any());
    }
    page::question(title(step, d), form(step, d, call))
}

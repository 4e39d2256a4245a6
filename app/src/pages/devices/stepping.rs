//! Every device that the list means, suspended or resumed. Keeps the filter as it is shown.

use super::filters::href;
use crate::{
    api::devices::ChangeDevices,
    ui::{
        dialog,
        dialog::buttons,
        dialog_link, fault_banner,
        form::{self, ActionForm, FormCall},
        icon,
        number::counted,
        page::question,
        select, submit,
    },
};
use leptos::prelude::*;
use wire::{
    devices::{DeviceQuery, DevicesPage as Model},
    states::DeviceStep,
};

const STEP: &str = "suspend-all";
/// Most devices that take a step at once; the server says no to more.
const MOST: i64 = 10_000;

fn possible(model: &Model) -> bool {
    model.may_suspend && (1..=MOST).contains(&model.devices.total)
}

/// The way to it; nothing where no device is shown, and where too many are, why not.
pub fn link(model: &Model, query: &DeviceQuery) -> AnyView {
    if !model.may_suspend || model.devices.total == 0 {
        return ().into_any();
    }
    if !possible(model) {
        let why = "At most 10,000 devices are suspended or resumed at once. Narrow the filter.";
        return view! {
            <button type="button" class="btn" aria-disabled="true" aria-describedby="why-suspend-all" title=why>{icon("pause")}"Suspend…"</button>
            <span class="sr" id="why-suspend-all">{why}</span>
        }
        .into_any();
    }
    let list = href(&DeviceQuery { cursor: None, ..query.clone() }, 0);
    let asked = format!("{list}{}ask=suspend", if list.contains('?') { '&' } else { '?' });
    dialog_link(STEP, asked, "", view! { {icon("pause")}"Suspend…" }.into_any())
}

/// The dialog; where the address asks for it, which is the way without script, the question stands in the page.
pub fn ask(model: &Model, query: &DeviceQuery, call: FormCall<ChangeDevices>, in_page: bool) -> AnyView {
    if !possible(model) {
        return ().into_any();
    }
    let total = model.devices.total;
    let (q, back) = (query.q.clone(), href(&DeviceQuery { cursor: None, ..query.clone() }, 0));
    let meant = if q.is_empty() { "every device of the fleet".to_owned() } else { format!("the devices that match {q}") };
    let ways = vec![
        (DeviceStep::Suspend.to_string(), "Suspend them: their connections are closed at once".to_owned()),
        (DeviceStep::Resume.to_string(), "Resume them: they may connect again".to_owned()),
    ];
    let cancel = back.clone();
    let inside = view! {
        <ActionForm action=call>
            <input type="hidden" name="q" value=q/>
            <input type="hidden" name="expected" value=total/>
            <input type="hidden" name="back" value=back/>
            <div class="body">
                {move || fault_banner(form::refusal(call).as_ref())}
                <p>{format!("This is about {meant} now: {}. If the number is another one by then, or one of them can't take the step, nothing is changed.", counted(total, "device", "devices"))}</p>
                <p>"Who is suspended can't connect, enrol or renew until it is resumed; certificates stay as they are. Each device is in the audit log."</p>
                {select("step", "What to do", ways).view()}
            </div>
            {buttons("Cancel", cancel, submit("Do it", "danger", move || call.pending().get()))}
        </ActionForm>
    }
    .into_any();
    let title = format!("Suspend or resume {}", counted(total, "device", "devices"));
    if in_page { question(title, inside) } else { dialog(STEP, title, inside) }
}

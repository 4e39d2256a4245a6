//! Every device that the list means, put into a group or taken out of it. Keeps the filter as it is shown.

use super::filters::href;
use crate::{
    api::devices::GroupDevices,
    ui::{
        dialog,
        dialog::buttons,
        dialog_link, fault_banner,
        form::{self, ActionForm, FormCall},
        icon,
        number::counted,
        page::question,
        select, submit, text,
    },
};
use leptos::prelude::*;
use wire::devices::{DeviceQuery, DevicesPage as Model};

const GROUP: &str = "group-all";
/// Most devices that are grouped at once; the server says no to more.
const MOST: i64 = 10_000;

fn possible(model: &Model) -> bool {
    model.may_edit && (1..=MOST).contains(&model.devices.total)
}

/// The way to it; nothing where no device is shown, and where too many are, why not.
pub fn link(model: &Model, query: &DeviceQuery) -> AnyView {
    if !model.may_edit || model.devices.total == 0 {
        return ().into_any();
    }
    if !possible(model) {
        let why = "At most 10,000 devices are grouped at once. Narrow the filter.";
        return view! {
            <button type="button" class="btn" aria-disabled="true" aria-describedby="why-group-all" title=why>{icon("bookmark")}"Group…"</button>
            <span class="sr" id="why-group-all">{why}</span>
        }
        .into_any();
    }
    let list = href(&DeviceQuery { cursor: None, ..query.clone() }, 0);
    let asked = format!("{list}{}ask=group", if list.contains('?') { '&' } else { '?' });
    dialog_link(GROUP, asked, "", view! { {icon("bookmark")}"Group…" }.into_any())
}

/// The dialog; where the address asks for it, which is the way without script, the question stands in the page.
pub fn ask(model: &Model, query: &DeviceQuery, call: FormCall<GroupDevices>, in_page: bool) -> AnyView {
    if !possible(model) {
        return ().into_any();
    }
    let total = model.devices.total;
    let (q, back) = (query.q.clone(), href(&DeviceQuery { cursor: None, ..query.clone() }, 0));
    let meant = if q.is_empty() { "every device of the fleet".to_owned() } else { format!("the devices that match {q}") };
    let there = match model.groups.as_slice() {
        [] => "There is no group yet. A new name makes one.".to_owned(),
        all => format!("There are: {}. A new name makes one.", all.join(", ")),
    };
    let ways = vec![(String::new(), "Put them in".to_owned()), ("yes".to_owned(), "Take them out".to_owned())];
    let cancel = back.clone();
    let inside = view! {
        <ActionForm action=call>
            <input type="hidden" name="q" value=q/>
            <input type="hidden" name="expected" value=total/>
            <input type="hidden" name="back" value=back/>
            <div class="body">
                {move || fault_banner(form::refusal(call).as_ref())}
                <p>{format!("This is about {meant} now: {}. If the number is another one by then, nothing is changed; who comes later is not in it.", counted(total, "device", "devices"))}</p>
                {text("group", "Group").hint(there).required().max_length(100).refused(call).view()}
                {select("out", "What to do", ways).view()}
            </div>
            {buttons("Cancel", cancel, submit("Do it", "primary", move || call.pending().get()))}
        </ActionForm>
    }
    .into_any();
    let title = format!("Group {}", counted(total, "device", "devices"));
    if in_page { question(title, inside) } else { dialog(GROUP, title, inside) }
}

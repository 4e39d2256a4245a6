//! Every device that the list means: as a file, and tagged at once. Both keep the filter as it is shown.

use super::filters::{encoded, href};
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::devices::TagDevices,
    ui::{
        dialog,
        dialog::buttons,
        dialog_link, fault_banner, form, icon,
        number::{counted, grouped},
        page::question,
        submit, text,
    },
};
use leptos::prelude::*;
use wire::devices::{DeviceQuery, DevicesPage as Model};

const TAG: &str = "tag-all";
/// Most devices that are tagged at once; the server says no to more.
const MOST: i64 = 10_000;

/// The way to both, beside the filter; nothing where no device is shown.
pub fn links(model: &Model, query: &DeviceQuery) -> AnyView {
    let total = model.devices.total;
    if total == 0 {
        return ().into_any();
    }
    let file =
        if query.q.is_empty() { "/api/v1/devices:export".to_owned() } else { format!("/api/v1/devices:export?q={}", encoded(&query.q)) };
    let label = view! { {icon("tag")}{format!("Tag {}…", all(total))} }.into_any();
    let tag = if !model.may_edit {
        ().into_any()
    } else if total > MOST {
        let why = "At most 10,000 devices are tagged at once. Narrow the filter.";
        view! {
            <button type="button" class="btn" aria-disabled="true" aria-describedby="why-tag-all" title=why>{label}</button>
            <span class="sr" id="why-tag-all">{why}</span>
        }
        .into_any()
    } else {
        dialog_link(TAG, asked(query), "", label)
    };
    view! { <a class="btn push" href=file download="" rel="external">{icon("download")}"CSV"</a>{tag} }.into_any()
}

/// The dialog; where the address asks for it, which is the way without script, the question stands in the page.
pub fn ask(model: &Model, query: &DeviceQuery, call: FormCall<TagDevices>, in_page: bool) -> AnyView {
    let total = model.devices.total;
    if !model.may_edit || total == 0 || total > MOST {
        return ().into_any();
    }
    let title = format!("Tag {}", all(total));
    let (q, back) = (query.q.clone(), href(&DeviceQuery { cursor: None, ..query.clone() }, 0));
    let meant = if q.is_empty() { "every device of the fleet".to_owned() } else { format!("the devices that match {q}") };
    let cancel = back.clone();
    let pending = move || call.pending().get();
    let inside = view! {
        <ActionForm action=call>
            <input type="hidden" name="q" value=q/>
            <input type="hidden" name="expected" value=total/>
            <input type="hidden" name="back" value=back/>
            <div class="body">
                {move || fault_banner(form::refusal(call).as_ref())}
                <p>{format!("This is about {meant}: {}. If the number is another one by then, nothing is changed.", counted(total, "device", "devices"))}</p>
                {text("add", "Add tags").hint("Separated by commas.").max_length(1000).refused(call).view()}
                {text("remove", "Remove tags").hint("Separated by commas. Where a device has no such tag, nothing happens.").max_length(1000).refused(call).view()}
            </div>
            {buttons("Cancel", cancel, submit(format!("Tag {}", all(total)), "primary", pending))}
        </ActionForm>
    }
    .into_any();
    if in_page { question(title, inside) } else { dialog(TAG, title, inside) }
}

/// The list with the question in it.
fn asked(query: &DeviceQuery) -> String {
    let list = href(&DeviceQuery { cursor: None, ..query.clone() }, 0);
    format!("{list}{}ask=tag", if list.contains('?') { '&' } else { '?' })
}

fn all(total: i64) -> String {
    if total == 1 { "this device".to_owned() } else { format!("all {}", grouped(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_keeps_the_filter_and_begins_at_the_first_page() {
        let query = DeviceQuery { q: "tag:eu".into(), cursor: Some("x".into()), ..DeviceQuery::default() };
        assert_eq!(asked(&query), "/devices?q=tag:eu&ask=tag");
        assert_eq!(asked(&DeviceQuery::default()), "/devices?ask=tag");
        assert_eq!((all(1), all(1037)), ("this device".into(), "all 1,037".into()));
    }
}

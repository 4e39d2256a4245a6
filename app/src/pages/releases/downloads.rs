//! How fast devices download, and how much: the organization's limits.

use crate::{
    api::transfers::SetTransferLimits,
    ui::{
        form::{self, ActionForm, FormCall, fault_banner, refusal},
        number::{bytes, grouped, kilobytes},
        page::card,
        text,
    },
};
use leptos::prelude::*;
use wire::transfers::{TransferLimits, TransfersPage as Model};

/// The limits: to change for who may, else to read.
pub fn limits(model: &Model, call: FormCall<SetTransferLimits>) -> AnyView {
    let body = if model.may_edit { edit(&model.limits, call) } else { read_only(&model.limits) };
    view! { <div id="downloads">{card("Downloads", None, body)}</div> }.into_any()
}

fn edit(of: &TransferLimits, call: FormCall<SetTransferLimits>) -> AnyView {
    let speed = |rate: Option<u64>| rate.map(kilobytes).unwrap_or_default();
    let (all, attribute, site) = (speed(of.bandwidth), of.site_attribute.clone(), speed(of.site_bandwidth));
    let budget = of.data_budget_mb.map(|mb| mb.to_string()).unwrap_or_default();
    view! {
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {text("bandwidth", "All downloads together, at most (KB a second)").id("limit-all").value(all).refused(call)
                    .hint("Shared fairly by the devices that download. Empty: no limit. Of several servers each has it for itself.").view()}
                {text("site_attribute", "Devices at one site have the same").id("limit-attribute").value(attribute).placeholder("site")
                    .max_length(256).autocomplete("off").refused(call).hint("An attribute that devices report, for example site.").view()}
                {text("site_bandwidth", "All downloads to one site, at most (KB a second)").id("limit-site").value(site).refused(call)
                    .hint("Empty: no limit. Devices without the attribute belong to no site.").view()}
                {text("data_budget_mb", "Files for one device in 30 days, at most (MB)").id("limit-data").value(budget).refused(call)
                    .hint("A device that has used it up is offered nothing until part of it is 30 days ago, unless a plan says otherwise. Empty: no budget.").view()}
                <div class="row">{form::submit("Save limits", "", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn read_only(of: &TransferLimits) -> AnyView {
    let speed = |rate: Option<u64>| {
        rate.map_or_else(|| "no limit".to_owned(), |n| format!("{} a second", bytes(i64::try_from(n).unwrap_or(i64::MAX))))
    };
    let site = of.site_bandwidth.map(|_| {
        let name = format!("To devices with the same {}", of.site_attribute);
        view! { <dt>{name}</dt><dd>{speed(of.site_bandwidth)}</dd> }
    });
    let budget = of.data_budget_mb.map_or_else(|| "no budget".to_owned(), |mb| format!("{} MB in 30 days", grouped(i64::from(mb))));
    view! {
        <dl class="kv">
            <dt>"All together"</dt><dd>{speed(of.bandwidth)}</dd>
            {site}
            <dt>"For one device"</dt><dd>{budget}</dd>
        </dl>
    }
    .into_any()
}

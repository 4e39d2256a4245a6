//! How fast files go to devices, and how many bytes a device may be sent. Read with the firmware page.

use super::fault::ApiFault;
use leptos::prelude::*;

/// Allows something else. Speeds are kilobytes (1,000 bytes) a second, the budget is MB; what is empty has no limit.
#[server(prefix = "/rpc", endpoint = "/transfer_limits")]
pub async fn set_transfer_limits(
    #[server(default)] bandwidth: String,
    #[server(default)] site_attribute: String,
    #[server(default)] site_bandwidth: String,
    #[server(default)] data_budget_mb: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let wrong = |field: &str, message: &str| {
        let fault = wire::Fault::new(wire::FaultKind::Invalid, "bad_value", message).at(field);
        call.refuse(fault.into())
    };
    let speed = |text: &str, field: &str| match text.trim() {
        "" => Ok(None),
        text => crate::ui::number::read_kilobytes(text)
            .map(Some)
            .ok_or_else(|| wrong(field, "Write kilobytes a second, for example 500, or leave it empty.")),
    };
    let budget = match data_budget_mb.trim() {
        "" => None,
        text => Some(text.parse().map_err(|_| wrong("data_budget_mb", "Write a whole number of MB, for example 200, or leave it empty."))?),
    };
    let limits = wire::transfers::TransferLimits {
        bandwidth: speed(&bandwidth, "bandwidth")?,
        site_attribute,
        site_bandwidth: speed(&site_bandwidth, "site_bandwidth")?,
        data_budget_mb: budget,
    };
    call.answer(call.fleet.transfers().set_limits(&call.actor, limits).await)?;
    call.lead_to("/firmware#downloads");
    Ok(())
}

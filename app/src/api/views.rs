//! Saved views of the device list.

use super::fault::ApiFault;
use leptos::prelude::*;

/// Keeps what the list shows under a name, for whoever asks; a view of the same name is replaced. `sort` and `cols` are the words of the list's address.
/// Leads to `back`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/devices/view")]
pub async fn save_view(
    name: String,
    #[server(default)] q: String,
    #[server(default)] sort: String,
    #[server(default)] cols: String,
    #[server(default)] back: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let sort = wire::devices::DeviceSort::of(&sort).unwrap_or_default();
    let view = wire::views::SavedView { name, q, sort, columns: wire::views::DeviceColumn::listed(&cols) };
    call.answer(call.fleet.devices().save_view(&call.actor, &view).await)?;
    call.lead_to(super::session::local(&back, "/devices"));
    Ok(())
}

/// Removes a view of whoever asks. Leads to `back`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/devices/view/forget")]
pub async fn forget_view(name: String, #[server(default)] back: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.devices().forget_view(&call.actor, &name).await)?;
    call.lead_to(super::session::local(&back, "/devices"));
    Ok(())
}

//! The overview as the console reads it.

use super::fault::ApiFault;
use leptos::{prelude::*, server_fn::codec::GetUrl};
use wire::overview::OverviewPage;

/// The fleet at a glance.
#[server(prefix = "/rpc", endpoint = "/overview", input = GetUrl)]
pub async fn read_overview() -> Result<OverviewPage, ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.overview(&call.actor).await)
}

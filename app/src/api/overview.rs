//! The overview as the console reads it.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};

/// The fleet at a glance: a [`wire::overview::OverviewPage`].
#[server(prefix = "/rpc", endpoint = "/overview", input = GetUrl)]
pub async fn read_overview() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.overview(&call.actor).await)
}

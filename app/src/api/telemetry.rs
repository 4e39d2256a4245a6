//! History as charts read it on their own, beside the page's model.

use super::fault::ApiFault;
use leptos::{prelude::*, server_fn::codec::GetUrl};
use wire::telemetry::{History, HistoryQuery};

/// Points of some metrics of a device.
#[server(prefix = "/rpc", endpoint = "/history", input = GetUrl)]
pub async fn read_history(query: HistoryQuery) -> Result<History, ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.history(&call.actor, &query).await)
}

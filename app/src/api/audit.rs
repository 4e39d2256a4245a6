//! The audit log.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};

/// A page of the audit log, newest first, as [`wire::access::AuditPage`], of what contains `q`; an empty `cursor` is the first page.
#[server(prefix = "/rpc", endpoint = "/audit", input = GetUrl)]
pub async fn read_audit(q: String, cursor: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let cursor = (!cursor.is_empty()).then_some(cursor);
    call.model(call.fleet.access().search_audit(&call.actor, &q, cursor.as_deref()).await)
}

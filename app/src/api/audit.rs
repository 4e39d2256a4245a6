//! The audit log.

use super::fault::ApiFault;
use leptos::{prelude::*, server_fn::codec::GetUrl};
use wire::access::AuditPage;

/// A page of the audit log, newest first; an empty `cursor` is the first page.
#[server(prefix = "/rpc", endpoint = "/audit", input = GetUrl)]
pub async fn read_audit(cursor: String) -> Result<AuditPage, ApiFault> {
    let call = super::caller::caller()?;
    let cursor = (!cursor.is_empty()).then_some(cursor);
    call.answer(call.fleet.access().audit_page(&call.actor, cursor.as_deref()).await)
}

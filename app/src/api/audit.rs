//! The audit log.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};

/// A page of the audit log, newest first, as [`wire::access::AuditPage`]: of what contains `q`, done by whom `actor` is a part of the name, and what
/// `action` is a part of, in a span of time; `since` and `until` are `2026-12-20T06:00` in UTC. What is empty leaves nothing out; an empty `cursor` is the
/// first page. `entry` is the place of the one that is looked at; empty for none.
#[server(prefix = "/rpc", endpoint = "/audit", input = GetUrl)]
pub async fn read_audit(
    q: String,
    cursor: String,
    #[server(default)] actor: String,
    #[server(default)] action: String,
    #[server(default)] since: String,
    #[server(default)] until: String,
    #[server(default)] entry: String,
) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let cursor = (!cursor.is_empty()).then_some(cursor);
    let (since, until) = (call.instant_if_any(&since, "since")?, call.instant_if_any(&until, "until")?);
    let query = wire::access::AuditQuery { q, actor, action, since, until, cursor, rows: None };
    let mut page = call.answer(call.fleet.access().find_audit(&call.actor, &query).await)?;
    if let Ok(seq) = entry.parse() {
        page.opened = call.answer(call.fleet.access().audit_entry(&call.actor, seq).await)?;
    }
    Packed::of(&page)
}

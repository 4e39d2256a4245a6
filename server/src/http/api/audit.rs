//! The audit log: read page by page, and taken out as a file that can be checked without the server.

use super::{Answer, input::Asked, openapi::Refusals};
use crate::http::guard::Caller;
use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use fleet::Fleet;
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::io;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    access::{AuditEntry, ExportedEntry},
    page::Page,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// A part of who did it, of what was done, of what it was done to, or of the address; empty means all.
    #[serde(default)]
    q: String,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// The audit log, newest entry first
#[utoipa::path(get, path = "/audit", operation_id = "list_audit", tag = "audit", params(Listing), responses((status = OK, body = Page<AuditEntry>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Listing>) -> Answer<Json<Page<AuditEntry>>> {
    Ok(Json(fleet.access().search_audit(&actor, &asked.q, asked.cursor.as_deref()).await?.entries))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Exported {
    /// Only what follows this entry; all of it unless given.
    #[serde(default)]
    after: i64,
}

/// The audit log as JSON lines, oldest entry first, with the hashes of its chain; admins only
///
/// The first line is an `AuditExport`: what is in the file, the hash it begins after, and the one it must end with. Each other line is an `ExportedEntry`.
/// `fleetward audit verify --file` checks such a file without the server. That it was exported is its last entry.
#[utoipa::path(
    get, path = "/audit/export", operation_id = "export_audit", tag = "audit", params(Exported),
    responses((status = OK, content_type = "application/x-ndjson", body = ExportedEntry), Refusals)
)]
async fn export(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Exported>) -> Answer<Response> {
    let head = fleet.access().export_audit(&actor, asked.after).await?;
    let first = line(&head);
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"audit-{}-{}.jsonl\"", head.after + 1, head.last)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    // A page at a time is in memory; a failure breaks the file off, which every client notices, and its first line tells what is missing.
    let rest = stream::try_unfold((fleet, actor, head, asked.after), |(fleet, actor, head, after)| async move {
        let entries = fleet.access().exported_audit(&actor, &head, after).await.map_err(|error| {
            tracing::warn!(%error, "an export of the audit log broke off");
            io::Error::other("the rest could not be read")
        })?;
        let Some(after) = entries.last().map(|last| last.entry.seq) else { return Ok(None) };
        let text = entries.iter().map(line).collect::<io::Result<String>>()?;
        Ok::<_, io::Error>(Some((Bytes::from(text), (fleet, actor, head, after))))
    });
    let body = stream::once(async { first.map(Bytes::from) }).chain(rest);
    Ok((headers, Body::from_stream(body)).into_response())
}

fn line(what: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(what)? + "\n")
}

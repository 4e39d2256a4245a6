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
    Timestamp,
    access::{AuditEntry, AuditQuery, ExportedEntry},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// A part of who did it, of what was done, of what it was done to, of the address, or of the details, where names and reasons are; empty means all.
    #[serde(default)]
    q: String,
    /// A part of who did it; empty means everybody.
    #[serde(default)]
    actor: String,
    /// A part of what was done, for example `rollout.`; empty means everything.
    #[serde(default)]
    action: String,
    /// From this instant on, Unix milliseconds.
    since: Option<i64>,
    /// Before this instant, Unix milliseconds.
    until: Option<i64>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// A page of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
struct AuditList {
    /// The entries, newest first.
    items: Vec<AuditEntry>,
    /// The cursor of the page after this one; none at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many entries match; of a search by words how many of the newest 50,000.
    total: i64,
    /// Of a search by words that stopped: when the oldest entry was made that it looked at. `next` goes on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    looked_to: Option<Timestamp>,
}

/// The audit log, newest entry first
///
/// With `q`, `actor` or `action` each page looks at 50,000 entries at most. It may have few items, or none, and still a `next`: then `looked_to` says how
/// far back it looked.
#[utoipa::path(get, path = "/audit", operation_id = "list_audit", tag = "audit", params(Listing), responses((status = OK, body = AuditList), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Listing>) -> Answer<Json<AuditList>> {
    let Listing { q, actor: by, action, since, until, cursor, rows } = asked;
    let query = AuditQuery { q, actor: by, action, since: since.map(Timestamp), until: until.map(Timestamp), cursor, rows };
    let page = fleet.access().find_audit(&actor, &query).await?;
    let (entries, looked_to) = (page.entries, page.looked_to);
    Ok(Json(AuditList { items: entries.items, next: entries.next, total: entries.total, looked_to }))
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

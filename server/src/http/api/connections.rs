//! When a device was connected: listed, and as a file.

use super::{
    Answer, csv,
    input::{Asked, Named, PageQuery},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, response::Response};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{Timestamp, connections::ConnectionsQuery, devices::ConnectionSpan, ids::DeviceId, page::Page};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

/// A device's connections, the newest in front
///
/// They are kept for 31 days after they have ended. Devices that only poll have none.
#[utoipa::path(
    get, path = "/devices/{device_id}/connections", operation_id = "list_device_connections", tag = "devices",
    params(("device_id" = DeviceId, Path), PageQuery), responses((status = OK, body = Page<ConnectionSpan>), Refusals)
)]
async fn list(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<DeviceId>,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<ConnectionSpan>>> {
    let query = ConnectionsQuery { cursor: asked.cursor.unwrap_or_default(), rows: asked.rows };
    Ok(Json(fleet.devices().connections_listed(&actor, &id, &query).await?))
}

/// The columns of the file.
pub(crate) const COLUMNS: [&str; 5] = ["connected", "disconnected", "seconds", "reason", "address"];

/// A device's connections as CSV
///
/// One line a connection, the newest in front: `connected`, `disconnected`, `seconds` (both empty while it lasts), `reason`, `address`. Cells that a
/// spreadsheet would take for a formula begin with an apostrophe.
#[utoipa::path(
    get, path = "/devices/{device_id}/connections:export", operation_id = "export_device_connections", tag = "devices",
    params(("device_id" = DeviceId, Path)), responses((status = OK, content_type = "text/csv", body = String), Refusals)
)]
async fn export(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<Response> {
    let (of, name) = (fleet.clone(), format!("connections-{id}").replace(':', "_"));
    let read = move |cursor: Option<String>| {
        let (fleet, actor, id) = (of.clone(), actor.clone(), id.clone());
        async move {
            let (rows, next) = fleet.devices().connections_export(&actor, &id, cursor).await?;
            Ok::<_, fleet::Error>(csv::Part { rows, next })
        }
    };
    csv::file(&fleet, &name, &COLUMNS, read, push_line).await
}

/// A connection as a line of such a file.
pub(crate) fn line(row: ConnectionSpan) -> String {
    let mut text = String::new();
    push_line(&mut text, row);
    text
}

#[expect(clippy::needless_pass_by_value, reason = "a file takes each of its rows once")]
fn push_line(text: &mut String, row: ConnectionSpan) {
    let ended = row.to.map_or_else(String::new, Timestamp::rfc3339);
    let seconds = row.to.map_or_else(String::new, |to| (to.since(row.from) / 1000).to_string());
    fleet::csv::push_line(text, &[row.from.rfc3339().as_str(), &ended, &seconds, &row.reason, &row.address]);
}

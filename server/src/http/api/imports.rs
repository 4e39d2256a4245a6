//! Import of devices: a file in, what it comes to out.

use super::{Answer, input::Asked, openapi::Refusals};
use crate::http::{bodies, fault::Problem, guard::Caller};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, header},
};
use fleet::{
    Fleet,
    devices::{Error, ImportFormat, ImportHow, MOST_IMPORT_BYTES, Unreadable},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{FaultKind, enrolment::ImportOutcome};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(import))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct How {
    /// Only say what it would come to.
    #[serde(default)]
    preview: bool,
    /// Change devices that are there where the file says otherwise; without it they are left as they are.
    #[serde(default)]
    update: bool,
}

/// Import devices from CSV, or from hawkBit
///
/// At most 32 MiB and 10,000 devices. CSV (`text/csv`, RFC 4180) begins with a line of names in any order: `device_id`, and if you like `type`,
/// `hardware`, `name`, `description`, `tags`, `groups`, `attributes` (`name=value`, with `;` between two) and `security_token`. JSON
/// (`application/json`) is what hawkBit's `GET /rest/v1/targets` answers: a page, or an array of pages. New devices are preregistered, and
/// active with their first word where they have a `security_token`. A line that is not taken stops no other. The same file again changes nothing.
#[utoipa::path(
    post, path = "/devices:import", operation_id = "import_devices", tag = "devices", params(How),
    request_body(content((String = "text/csv"), (String = "application/json"))), responses((status = OK, body = ImportOutcome), Refusals)
)]
async fn import(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Asked(How { preview, update }): Asked<How>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Json<ImportOutcome>> {
    fleet.devices().may_import(&actor)?;
    let format = format(&headers)?;
    let file = whole(body).await?;
    Ok(Json(fleet.devices().import_devices(&actor, file, format, ImportHow { preview, update }).await?))
}

/// The body, which is refused unread where it announces too much.
async fn whole(body: Body) -> Answer<axum::body::Bytes> {
    bodies::whole(body, MOST_IMPORT_BYTES).await.ok_or_else(|| Error::from(Unreadable::TooLarge).into())
}

fn format(headers: &HeaderMap) -> Answer<ImportFormat> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    // As with JSON: no form of another origin is one of these.
    match media.split(';').next().unwrap_or_default().trim() {
        "text/csv" => Ok(ImportFormat::Csv),
        json if json == "application/json" || json.ends_with("+json") => Ok(ImportFormat::HawkBit),
        _ => {
            let text = "Send the file as text/csv, or hawkBit's list as application/json.";
            Err(Problem::new(FaultKind::Unsupported, "not_csv", text))
        }
    }
}

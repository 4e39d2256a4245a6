//! Measured values of the past.

use super::{
    Answer,
    input::{Asked, Named},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    Timestamp,
    ids::DeviceId,
    telemetry::{History, HistoryQuery},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(history))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Span {
    /// Metrics, separated by commas; all unless given.
    #[serde(default)]
    metrics: String,
    /// Unix milliseconds, inclusive.
    from: i64,
    /// Unix milliseconds, exclusive.
    to: i64,
    /// At most so many points a series, 10 to 2,000; 500 unless given.
    points: Option<u32>,
}

/// A device's history
///
/// Where there are more values than points, each interval is given by its least and its greatest value, and `decimated` is true.
#[utoipa::path(
    get, path = "/devices/{device_id}/telemetry", operation_id = "get_device_history", tag = "devices", params(("device_id" = DeviceId, Path), Span),
    responses((status = OK, body = History), Refusals)
)]
async fn history(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<DeviceId>,
    Asked(span): Asked<Span>,
) -> Answer<Json<History>> {
    let metrics = span.metrics.split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect();
    let (from, to) = (Timestamp(span.from), Timestamp(span.to));
    let query = HistoryQuery { device_id: id, metrics, from, to, points: span.points.unwrap_or(500) };
    Ok(Json(fleet.history(&actor, &query).await?))
}

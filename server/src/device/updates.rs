//! Updates without a channel: a device that can't keep a websocket polls and reports by plain requests. Same offers, same reports.

use super::{DONE, Devices, Peer, json};
use crate::http::fault::Problem;
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use wire::device::StatusReport;

/// `GET /device/v1/update`: 200 with the offer, or 204.
pub(super) async fn poll(State(devices): State<Devices>, peer: Peer) -> Result<Response, Problem> {
    devices.fleet.devices().seen(peer.peer.device);
    let offer = devices.fleet.rollouts().poll(peer.peer.device).await?;
    Ok(offer.map_or_else(|| DONE.into_response(), |o| Json(o).into_response()))
}

/// `POST /device/v1/status`: 200 with the state as it is held now.
pub(super) async fn report(State(devices): State<Devices>, peer: Peer, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let report: StatusReport = json(&headers, &body)?;
    let update_id = report.update_id.clone();
    let state = devices.fleet.rollouts().report(peer.peer.device, report).await?;
    Ok(Json(wire::device::Down::StatusAck { update_id, state }).into_response())
}

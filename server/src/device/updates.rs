//! Updates without a channel: a device that can't keep a websocket polls and reports by plain requests. Same offers, same reports.

use super::{DONE, Devices, LARGEST_BODY, Peer, json, slots, whole::Whole};
use crate::http::fault::Problem;
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use wire::device::StatusReport;

/// `GET /device/v1/update`: 200 with the offer, or 204.
pub(super) async fn poll(State(devices): State<Devices>, peer: Peer) -> Result<Response, Problem> {
    devices.fleet.devices().seen(peer.peer.device);
    let Some(offer) = devices.fleet.rollouts().poll(peer.peer.device).await? else { return Ok(DONE.into_response()) };
    let peer = &peer.peer;
    let assigned = devices.fleet.pki().assign(&peer.org, (peer.device, &peer.device_id), offer).await.map_err(fleet::Error::from)?;
    Ok(Json(assigned.offer).into_response())
}

/// `GET /device/v1/key-sets/{version}`: one of the documents that say whose firmware to install (U-1), as it was signed.
pub(super) async fn key_set(State(devices): State<Devices>, peer: Peer, Path(version): Path<i64>) -> Result<Response, Problem> {
    let envelope = devices.fleet.releases().key_set_for_device(&peer.peer.org, version).await?;
    Ok(Json(envelope).into_response())
}

/// `POST /device/v1/status`: 200 with the state as it is held now.
pub(super) async fn report(
    State(devices): State<Devices>,
    peer: Peer,
    headers: HeaderMap,
    Whole(body): Whole<LARGEST_BODY>,
) -> Result<Response, Problem> {
    let mut report: StatusReport = json(&headers, &body)?;
    let (peer, update_id) = (&peer.peer, report.update_id.clone());
    if let Ok(text) = std::str::from_utf8(&body) {
        slots::note(peer, text, report.slots.as_ref());
    }
    if let Some(slots) = report.slots.take() {
        devices.fleet.devices().says_slots(&peer.org, peer.device, slots);
    }
    let state = devices.fleet.rollouts().report(peer.device, report).await?;
    Ok(Json(wire::device::Down::StatusAck { update_id, state }).into_response())
}

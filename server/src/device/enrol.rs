//! Enrolment, renewal and the trust bundle over HTTP (pki.md E-5, R-1). The rules are the core's.

use super::{Devices, Peer, address, json};
use crate::http::fault::Problem;
use axum::{
    Json,
    body::Bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use fleet::devices::Attempt;
use wire::{
    Fault, FaultKind,
    enrolment::{EnrolRequest, RenewRequest},
};

/// `POST /device/v1/enrol` with `Authorization: Bearer fet_…`: 201 with the certificate.
pub(super) async fn enrol(State(devices): State<Devices>, request: Request) -> Response {
    let outcome = admit(&devices, request).await;
    let word = match &outcome {
        Ok(_) => "issued".to_owned(),
        Err(p) => p.0.code.clone(),
    };
    devices.metrics.enrolments.get_or_create(&vec![("outcome", word)]).inc();
    outcome.map_or_else(IntoResponse::into_response, |answer| (StatusCode::CREATED, Json(answer)).into_response())
}

async fn admit(devices: &Devices, request: Request) -> Result<wire::enrolment::Enrolled, Problem> {
    let (parts, body) = request.into_parts();
    let secret = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let secret = secret.ok_or_else(|| {
        Problem(Fault::new(FaultKind::Unauthenticated, "no_token", "Send the enrolment token as `Authorization: Bearer fet_…`."))
    })?;
    let body = axum::body::to_bytes(body, super::LARGEST_BODY).await.map_err(|_| {
        Problem(Fault::new(FaultKind::TooLarge, "too_large", "The request is larger than 64 KiB. A CSR has at most 16 KiB."))
    })?;
    let request: EnrolRequest = json(&parts.headers, &body)?;
    let address = address(&parts.extensions);
    Ok(devices.fleet.devices().enrol(Attempt { secret, request: &request, address: &address }).await?)
}

/// `POST /device/v1/renew` over the certificate being renewed.
pub(super) async fn renew(
    State(devices): State<Devices>,
    peer: Peer,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: RenewRequest = json(&headers, &body)?;
    let answer = devices.fleet.pki().renew(&peer.actor(), &peer.peer, request.csr.as_bytes(), &devices.device_url).await?;
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET /device/v1/trust-bundle`: the roots a device should trust for our listeners, PEM.
pub(super) async fn trust_bundle(State(devices): State<Devices>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], devices.fleet.pki().root_pem()).into_response()
}

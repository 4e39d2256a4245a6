//! Enrolment, renewal and the trust bundle over HTTP (E-5, R-1). The rules are the core's.

use super::{Devices, Peer, address, json, whole::whole};
use crate::http::{fault::Problem, guard::bearer};
use axum::{
    Json,
    extract::{FromRequestParts as _, Request, State},
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use fleet::devices::{Attempt, Over, PENDING};
use fleet::pki::{Claimant, DevicePeer, est::Label};
use std::sync::Arc;
use wire::{
    Fault, FaultKind,
    enrolment::{EnrolRequest, RecoverRequest, RenewRequest, Waiting},
    ids::OrgId,
    pki::TrustBundle,
};

/// `GET /device/v1/recover`: what a device signs whose certificate has ended.
pub(super) async fn recovery_nonce(State(devices): State<Devices>) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(devices.fleet.devices().recovery_nonce())).into_response()
}

/// `POST /device/v1/recover`: 201 with a new certificate for one that has ended, or 202 while a person has not decided.
pub(super) async fn recover(State(devices): State<Devices>, request: Request) -> Response {
    let answer = async {
        let (parts, body) = request.into_parts();
        let request: RecoverRequest = json(&parts.headers, &whole(body).await?)?;
        Ok(devices.fleet.devices().recover(&request, &address(&parts.extensions)).await?)
    };
    answered(&devices, answer.await)
}

/// `POST /device/v1/enrol` with `Authorization: Bearer fet_…`, or over a claim's certificate: 201 with the certificate, or 202 while a person has not decided (E-5, E-6).
pub(super) async fn enrol(State(devices): State<Devices>, request: Request) -> Response {
    let outcome = admit(&devices, request).await;
    answered(&devices, outcome)
}

fn answered(devices: &Devices, outcome: Result<wire::enrolment::Enrolled, Problem>) -> Response {
    count(devices, outcome.as_ref().map_err(|problem| problem.0.code.as_str()));
    match outcome {
        Ok(answer) => (StatusCode::CREATED, Json(answer)).into_response(),
        Err(Problem(Fault { code, retry_after: Some(seconds), .. })) if code == PENDING => {
            let waiting = Waiting { status: code, poll_after: seconds };
            (StatusCode::ACCEPTED, [(header::RETRY_AFTER, seconds.to_string())], Json(waiting)).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Counts an enrolment by what it came to.
pub(super) fn count<T>(devices: &Devices, outcome: Result<T, &str>) {
    let word = outcome.err().unwrap_or("issued").to_owned();
    devices.metrics.enrolments.get_or_create(&vec![("outcome", word)]).inc();
}

/// Counts a renewal by what it came to.
pub(super) fn count_renewal<T>(devices: &Devices, outcome: Result<T, &str>) {
    let word = outcome.err().unwrap_or("issued").to_owned();
    devices.metrics.renewals.get_or_create(&vec![("outcome", word)]).inc();
}

/// The organization that the address names, `?organization=SLUG`; none leaves it to the token or the claim, and without either to the first one.
async fn organization(devices: &Devices, uri: &Uri) -> Result<Option<OrgId>, Problem> {
    let named = uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("organization=")));
    let Some(slug) = named else { return Ok(None) };
    match devices.fleet.pki().label(slug).await? {
        Some(Label { org, profile: None }) => Ok(Some(org)),
        _ => Err(Problem::new(
            FaultKind::NotFound,
            "not_found",
            "There is no such organization here. Leave it out, or ask an operator for its slug.",
        )),
    }
}

async fn admit(devices: &Devices, request: Request) -> Result<wire::enrolment::Enrolled, Problem> {
    let (parts, body) = request.into_parts();
    let secret = bearer(&parts.headers).unwrap_or_default();
    let body = whole(body).await?;
    let request: EnrolRequest = json(&parts.headers, &body)?;
    let address = address(&parts.extensions);
    let claim = parts.extensions.get::<Arc<Claimant>>().map(|c| &c.claim);
    let org = organization(devices, &parts.uri).await?;
    let open = Some(org.as_ref().unwrap_or(devices.fleet.default_org()));
    let over = Over { org: org.as_ref(), open, claim, ..Over::default() };
    Ok(devices.fleet.devices().enrol_over(Attempt { secret, request: &request, address: &address }, over).await?)
}

/// `POST /device/v1/renew` over the certificate being renewed.
pub(super) async fn renew(State(devices): State<Devices>, peer: Peer, request: Request) -> Result<Response, Problem> {
    let outcome = async {
        let (parts, body) = request.into_parts();
        let request: RenewRequest = json(&parts.headers, &whole(body).await?)?;
        Ok::<_, Problem>(devices.fleet.pki().renew(&peer.actor(), &peer.peer, request.csr.as_bytes(), &devices.device_url).await?)
    };
    let outcome = outcome.await;
    count_renewal(&devices, outcome.as_ref().map_err(|problem| problem.0.code.as_str()));
    Ok((StatusCode::CREATED, Json(outcome?)).into_response())
}

/// `GET /device/v1/trust-bundle` of the device listener: what the device should trust from now on. That it comes over mutual TLS is its
/// signature; whoever fetched it counts as holding it, and whoever asked for its head alone does not.
pub(super) async fn trust_bundle(State(devices): State<Devices>, peer: Peer, method: Method) -> Json<TrustBundle> {
    let bundle = devices.fleet.pki().trust_bundle(&peer.peer.org);
    if method == Method::GET {
        fetched(&devices, &peer.peer, bundle.version).await;
    }
    Json(TrustBundle::clone(&bundle))
}

/// Notes that the device was given this version of its trust bundle. It gets it in any case: what could not be noted is with its next fetch.
pub(super) async fn fetched(devices: &Devices, peer: &DevicePeer, version: i64) {
    if let Err(error) = devices.fleet.pki().bundle_fetched(peer, version).await {
        tracing::warn!(%error, device = %peer.device_id, "that a device has fetched its trust bundle could not be noted");
    }
}

/// The same path of the enrol listener: the root in use, PEM. Whoever asks there can't know yet who answers, and compares its fingerprint.
pub(super) async fn root(State(devices): State<Devices>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], devices.fleet.pki().root_pem()).into_response()
}

/// Both at one address, behind a proxy: whoever comes without a certificate asks for the root.
pub(super) async fn trust_bundle_or_root(devices: State<Devices>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if parts.extensions.get::<Arc<DevicePeer>>().is_none() {
        return root(devices).await;
    }
    match Peer::from_request_parts(&mut parts, &devices.0).await {
        Ok(peer) => trust_bundle(devices, peer, parts.method).await.into_response(),
        Err(problem) => problem.into_response(),
    }
}

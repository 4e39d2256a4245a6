//! Enrolment, renewal and the trust bundle over HTTP (pki.md E-5, R-1). The rules are the core's.

use super::{Devices, Peer, address, json};
use crate::http::fault::Problem;
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use fleet::devices::{Attempt, Over, PENDING};
use fleet::pki::Claimant;
use futures::StreamExt as _;
use std::{sync::Arc, time::Duration};
use wire::{
    Fault, FaultKind,
    enrolment::{EnrolRequest, RecoverRequest, RenewRequest, Waiting},
    pki::TrustBundle,
};

/// Most bytes of a refused body that are read.
const THROWN_AWAY: usize = 4 << 20;
/// How long a body may take.
const READING: Duration = Duration::from_secs(5);

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

async fn admit(devices: &Devices, request: Request) -> Result<wire::enrolment::Enrolled, Problem> {
    let (parts, body) = request.into_parts();
    let secret = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let secret = secret.unwrap_or_default();
    let body = whole(body).await?;
    let request: EnrolRequest = json(&parts.headers, &body)?;
    let address = address(&parts.extensions);
    let claim = parts.extensions.get::<Arc<Claimant>>().map(|c| &c.claim);
    let over = Over { open: Some(devices.fleet.default_org()), claim, ..Over::default() };
    Ok(devices.fleet.devices().enrol_over(Attempt { secret, request: &request, address: &address }, over).await?)
}

/// The body of a small request. A larger one is read on for a while and thrown away before it is refused: an answer amid the sending reaches few
/// clients, most only see their connection break.
pub(super) async fn whole(body: Body) -> Result<Vec<u8>, Problem> {
    let mut kept = Vec::new();
    let mut size = 0;
    let mut chunks = body.into_data_stream();
    let reading = async {
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else { return Err(Problem(Fault::new(FaultKind::Invalid, "cut", "The request ended amid its body."))) };
            size += chunk.len();
            if size <= super::LARGEST_BODY {
                kept.extend_from_slice(&chunk);
            } else if size > THROWN_AWAY {
                break;
            }
        }
        Ok(())
    };
    let late = tokio::time::timeout(READING, reading).await;
    if size > super::LARGEST_BODY {
        let text = "The request is larger than 64 KiB. A CSR has at most 16 KiB.";
        return Err(Problem(Fault::new(FaultKind::TooLarge, "too_large", text)));
    }
    match late {
        Ok(read) => read.map(|()| kept),
        Err(_) => Err(Problem(Fault::new(FaultKind::Invalid, "slow", "The request's body did not come within 5 seconds."))),
    }
}

/// `POST /device/v1/renew` over the certificate being renewed.
pub(super) async fn renew(State(devices): State<Devices>, peer: Peer, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let request: RenewRequest = json(&parts.headers, &whole(body).await?)?;
    let answer = devices.fleet.pki().renew(&peer.actor(), &peer.peer, request.csr.as_bytes(), &devices.device_url).await?;
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET /device/v1/trust-bundle` of the device listener: what the device should trust from now on. That it comes over mutual TLS is its
/// signature.
pub(super) async fn trust_bundle(State(devices): State<Devices>, peer: Peer) -> Json<TrustBundle> {
    Json(TrustBundle::clone(&devices.fleet.pki().trust_bundle(&peer.peer.org)))
}

/// The same path of the enrol listener: the root in use, PEM. Whoever asks there can't know yet who answers, and compares its fingerprint.
pub(super) async fn root(State(devices): State<Devices>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], devices.fleet.pki().root_pem()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    /// A body of so many chunks of 64 KiB, and how many of them were taken.
    fn body(chunks: usize) -> (Body, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let stream = futures::stream::iter(0..chunks).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from(vec![b'a'; 64 * 1024]))
        });
        (Body::from_stream(stream), taken)
    }

    #[tokio::test]
    async fn a_large_body_is_read_before_it_is_refused() {
        assert_eq!(whole(body(1).0).await.unwrap_or_default().len(), 64 * 1024);
        for (chunks, read) in [(2, 2), (16, 16), (1000, 65)] {
            let (body, taken) = body(chunks);
            let Err(Problem(fault)) = whole(body).await else { panic!("{chunks} chunks are too many") };
            assert_eq!(fault.kind, FaultKind::TooLarge);
            assert_eq!(taken.load(Ordering::Relaxed), read, "of {chunks}");
        }
    }
}

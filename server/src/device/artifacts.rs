//! Artifacts for devices: by digest, with HEAD, Range, If-Range (RFC 9110 §14), If-Match and If-None-Match (§13), only what the device's own update is made of.

use super::{Devices, Peer, delivered::noted};
use crate::http::{
    fault::Problem,
    stored::{self, Answered},
};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};
use fleet::{devices::DeviceNo, transfers::Flow};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use std::{io, sync::Arc};
use wire::{Fault, FaultKind, ids::Digest};

/// Milliseconds after which it is noted that a download which waits for its turns goes on.
const NOTE_MS: i64 = 15_000;

/// `GET` and `HEAD /device/v1/artifacts/{sha256}`.
pub(super) async fn get(
    State(devices): State<Devices>,
    peer: Peer,
    method: Method,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let digest: Digest = sha256.parse().map_err(|_| missing())?;
    devices.fleet.devices().seen(peer.peer.device);
    let Some(fetching) = devices.fleet.rollouts().may_download(peer.peer.device, &digest).await? else { return Err(missing()) };
    let response = serve(&devices, peer.peer.device, &digest, &method, &headers).await?;
    let counts = fetching.counted && method == Method::GET && response.status().is_success();
    Ok(if counts { noted(devices, fetching, digest, response) } else { response })
}

/// The bytes of an artifact, or its head, for a device that may have it; as fast as the limits it shares allow, and counted.
pub(super) async fn serve(
    devices: &Devices,
    device: DeviceNo,
    digest: &Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let file = devices.fleet.releases().open_in_time(digest).await?;
    let (status, head, part) = match stored::answered(method, headers, &file.etag, file.size) {
        Answered::Done(response) => return Ok(response),
        Answered::Bytes { status, head, part } => (status, head, part),
    };
    if *method == Method::HEAD {
        return Ok((status, head).into_response());
    }
    let (metrics, flow) = (devices.metrics.clone(), devices.fleet.transfers().begin(device).await?);
    let read = match flow.piece() {
        None => file.read_range(part).await,
        Some(most) => file.read_pieces(part, most).await,
    };
    let read = read.map_err(|e| unreadable(digest, &e))?;
    let paced = flow.piece().is_some();
    let flow = Arc::new(flow);
    let counting = Arc::clone(&flow);
    let count = move |chunk: &Bytes| {
        metrics.download_bytes.inc_by(chunk.len() as u64);
        counting.sent(chunk.len());
    };
    let bytes =
        if paced { in_turns(devices.clone(), device, read, flow).inspect_ok(count).boxed() } else { read.inspect_ok(count).boxed() };
    Ok((status, head, Body::from_stream(bytes)).into_response())
}

/// Each piece when its turn comes; the next one is not read before. What is so slow because of us is not called silent.
fn in_turns(
    devices: Devices,
    device: DeviceNo,
    read: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    flow: Arc<Flow>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut noted_at = devices.fleet.clock().steady();
    read.then(move |piece| {
        let (flow, now) = (Arc::clone(&flow), devices.fleet.clock().steady());
        let to_note = (now - noted_at >= NOTE_MS).then(|| {
            noted_at = now;
            devices.clone()
        });
        async move {
            if let Some(devices) = to_note
                && let Err(error) = devices.fleet.rollouts().downloads_on(device).await
            {
                tracing::warn!(%error, "that a slow download goes on was not noted");
            }
            if let Ok(piece) = &piece {
                flow.turn(piece.len()).await;
            }
            piece
        }
    })
}

/// What isn't the device's own business looks like what isn't there.
fn missing() -> Problem {
    Problem(Fault::new(FaultKind::NotFound, "not_found", "There is no such artifact for this device."))
}

/// A file that should be there and can't be read is our failure, and nothing the device could act on.
fn unreadable(digest: &Digest, error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%digest, %error, "reading an artifact failed");
    Problem(Fault::new(FaultKind::Busy, "unreadable", "The artifact can't be read right now. Try again.").retry_after(30))
}

//! The answer that hands out keys: an encrypted archive that is made while it is sent (E-8). Refuses to keep anything of it.

use axum::{
    Extension,
    body::Body,
    http::header,
    response::{IntoResponse as _, Response},
};
use fleet::{Fleet, access::Actor, devices::Seal};
use futures::channel::mpsc;
use wire::ids::EnrolmentBatchId;

/// Pieces on their way at once: who takes them slowly holds up the making.
const PIECES: usize = 4;

/// Makes the keys of a batch that was just taken in, and sends them along as a file. To the end also when the other side goes away: then what was made is
/// revoked.
pub(super) fn answer(fleet: &Fleet, actor: Actor, id: EnrolmentBatchId, seal: Seal) -> Response {
    let (to, pieces) = mpsc::channel(PIECES);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.zip.age\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::LOCATION, format!("/api/v1/enrolment-batches/{id}")),
    ];
    let making = fleet.clone();
    fleet.beyond(async move {
        if let Err(error) = making.devices().hand_out_keys(&actor, &id, seal, to).await {
            tracing::warn!(batch = %id, %error, "the keys of a batch did not arrive; what was made for it is revoked");
        }
    });
    (headers, Extension(super::once::Secret), Body::from_stream(pieces)).into_response()
}

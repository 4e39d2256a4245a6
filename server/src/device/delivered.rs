//! Downloads of what is only fetched: every part is written down before it goes, so that a device's word that it has all can be judged by what it was
//! sent, whichever instance it says it to, and whenever this one dies. Owns how much is written down at once; refuses to know what follows from it.

use super::Devices;
use axum::{
    body::Body,
    http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName},
    response::Response,
};
use fleet::rollouts::Fetching;
use futures::StreamExt as _;
use wire::ids::Digest;

/// Into how many parts an answer is cut.
const PARTS: u64 = 16;
/// Least bytes of a part but the last: the kernel takes as much at once from here, whatever the device reads of it.
const LEAST: u64 = 64 * 1024;

/// The answer, whose bytes are those of a file that the device fetches for this. What can't be written down is not sent: the device goes on from
/// there later, and none of its bytes is missing in what was written down.
pub(super) fn noted(devices: Devices, to: Fetching, file: Digest, response: Response) -> Response {
    let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    let begin = header(CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()).unwrap_or(0);
    let size: u64 = header(CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or(0);
    let (end, step) = (begin + size, (size / PARTS).max(LEAST));
    let (mut at, mut until): (u64, u64) = (begin, begin);
    let (head, body) = response.into_parts();
    let bytes = body.into_data_stream().then(move |piece| {
        at += piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let part = (at > until).then(|| {
            let from = until;
            until = at.max(end.min(from + step));
            (devices.clone(), to.clone(), file.clone(), from..until)
        });
        async move {
            if let Some((devices, to, file, part)) = part
                && let Err(error) = devices.fleet.rollouts().was_sent(&to, &file, &part).await
            {
                tracing::warn!(update = %to.update, %error, "a download ends, because what it sends can't be written down");
                return Err(axum::Error::new(error));
            }
            piece
        }
    });
    Response::from_parts(head, Body::from_stream(bytes))
}

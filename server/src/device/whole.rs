//! Small bodies, read whole and in time before anything is answered: an answer amid the sending reaches few clients, most only see their
//! connection or stream break. Refuses to know what is in them.

use super::LARGEST_BODY;
use crate::http::fault::Problem;
use axum::{
    body::{Body, HttpBody as _},
    extract::Request,
    middleware::Next,
    response::Response,
};
use futures::StreamExt as _;
use std::time::Duration;
use tokio::time::Instant;
use wire::{Fault, FaultKind};

/// Most bytes of a refused body that are read.
pub(super) const THROWN_AWAY: u64 = 4 << 20;
/// How long a body may take: so long, and a second more for each KiB that has come. A log over a slow line takes its time, a body that
/// trickles ends.
const READING: Duration = Duration::from_secs(10);
const SLOWEST: usize = 1024;

/// The body of a small request. A larger one is read on for a while and thrown away before it is refused.
pub(super) async fn whole(body: Body) -> Result<Vec<u8>, Problem> {
    let mut kept = Vec::new();
    let mut size = 0;
    let mut chunks = body.into_data_stream();
    let begun = Instant::now();
    let read = loop {
        let until = begun + READING + Duration::from_secs((size / SLOWEST) as u64);
        match tokio::time::timeout_at(until, chunks.next()).await {
            Err(_) => break refuse("slow", "The request's body came too slowly: after 10 seconds at least 1 KiB has to come in each."),
            Ok(Some(Err(_))) => break refuse("cut", "The request ended amid its body."),
            Ok(None) => break Ok(()),
            Ok(Some(Ok(chunk))) => {
                size += chunk.len();
                if size <= LARGEST_BODY {
                    kept.extend_from_slice(&chunk);
                } else if size as u64 > THROWN_AWAY || begun.elapsed() > READING {
                    break Ok(());
                }
            }
        }
    };
    if size > LARGEST_BODY {
        let text = "The request is larger than 64 KiB. A CSR has at most 16 KiB.";
        return Err(Problem(Fault::new(FaultKind::TooLarge, "too_large", text)));
    }
    read.map(|()| kept)
}

fn refuse(code: &str, text: &str) -> Result<(), Problem> {
    Err(Problem(Fault::new(FaultKind::Invalid, code, text)))
}

/// Takes the body in before anything is decided, where it says that it is small: over HTTP/2 an early answer is followed by a reset of the stream
/// (RFC 9113 §8.1), with which curl 7.88 loses the answer.
pub(super) async fn first(request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let size = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let body = if size.is_some_and(|size| (1..=LARGEST_BODY).contains(&size)) { Body::from(whole(body).await?) } else { body };
    Ok(next.run(Request::from_parts(parts, body)).await)
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

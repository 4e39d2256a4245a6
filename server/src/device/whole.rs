//! Small bodies, read whole and in time before anything is answered: an answer amid the sending reaches few clients, most only see their
//! connection or stream break. Refuses to know what is in them.

use super::LARGEST_BODY;
use crate::http::fault::Problem;
use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRequest, Request},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
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
    read(body, LARGEST_BODY).await?.ok_or_else(|| {
        let text = "The request is larger than 64 KiB. A CSR has at most 16 KiB.";
        Problem(Fault::new(FaultKind::TooLarge, "too_large", text))
    })
}

/// A body of at most so many bytes, read in the same way before the handler is asked; however it comes, with its size or in chunks.
pub(super) struct Whole<const MOST: usize>(pub(super) Vec<u8>);

impl<S: Send + Sync, const MOST: usize> FromRequest<S> for Whole<MOST> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        match read(request.into_body(), MOST).await {
            Ok(Some(body)) => Ok(Self(body)),
            // Bare: the listener says it in its own form.
            Ok(None) => Err(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
            Err(problem) => Err(problem.into_response()),
        }
    }
}

/// The bytes, or none when there are more than `most`.
async fn read(body: Body, most: usize) -> Result<Option<Vec<u8>>, Problem> {
    let mut kept = Vec::new();
    let mut size = 0;
    let mut chunks = body.into_data_stream();
    let begun = Instant::now();
    let read = loop {
        // What is thrown away earns no more time: whoever sends much of it and then nothing would hold the connection for an hour.
        let earned = if size > most { 0 } else { size / SLOWEST };
        let until = begun + READING + Duration::from_secs(earned as u64);
        match tokio::time::timeout_at(until, chunks.next()).await {
            Err(_) => break refuse("slow", "The request's body came too slowly: after 10 seconds at least 1 KiB has to come in each."),
            Ok(Some(Err(_))) => break refuse("cut", "The request ended amid its body."),
            Ok(None) => break Ok(()),
            Ok(Some(Ok(chunk))) => {
                size += chunk.len();
                if size <= most {
                    kept.extend_from_slice(&chunk);
                } else if size as u64 > THROWN_AWAY || begun.elapsed() > READING {
                    break Ok(());
                }
            }
        }
    };
    if size > most {
        return Ok(None);
    }
    read.map(|()| Some(kept))
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

    #[tokio::test(start_paused = true)]
    async fn a_26_a_body_that_trickles_ends_however_it_comes() {
        let drops = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
        });
        let request = Request::new(Body::from_stream(drops));
        let begun = Instant::now();
        let Err(refused) = Whole::<1024>::from_request(request, &()).await else { panic!("it never ends") };
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert!(refused.extensions().get::<Fault>().is_some_and(|fault| fault.code == "slow"));
        assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_17_a_body_that_is_too_large_and_then_stalls_is_refused_as_soon_as_a_small_one() {
        for chunks in [2, 3, 40] {
            let stalls = futures::stream::iter(0..chunks).map(|_| Ok::<_, Infallible>(Bytes::from(vec![b'a'; 64 * 1024])));
            let begun = Instant::now();
            let Err(Problem(fault)) = whole(Body::from_stream(stalls.chain(futures::stream::pending()))).await else { panic!("{chunks}") };
            assert_eq!(fault.kind, FaultKind::TooLarge, "{chunks} chunks");
            assert!(begun.elapsed() <= READING, "{chunks} chunks: {:?}", begun.elapsed());
        }
    }

    #[tokio::test]
    async fn a_body_has_the_bytes_that_its_address_takes_and_no_more() {
        let sent = async |chunks| Whole::<{ 128 * 1024 }>::from_request(Request::new(body(chunks).0), &()).await;
        assert!(sent(2).await.is_ok_and(|whole| whole.0.len() == 128 * 1024));
        assert_eq!(sent(3).await.err().map(|refused| refused.status()), Some(StatusCode::PAYLOAD_TOO_LARGE));
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

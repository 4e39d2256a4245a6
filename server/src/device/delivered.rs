//! Downloads of what is only fetched, and all of hawkBit's clients: every part is written down before it goes, so that a device's word that it has all,
//! or a success that no word for what runs comes with, can be judged by what it was sent, whichever instance it says it to, and whenever this one dies. The
//! end of an answer is a part of its own, which is written down when everything before it was handed to the connection: no cut leaves the whole written
//! down. Owns how much is written down at once; refuses to know what follows from it.

use super::Devices;
use axum::{
    body::{Body, Bytes},
    http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName},
    response::Response,
};
use fleet::rollouts::Fetching;
use futures::{Stream, StreamExt as _, stream};
use std::ops::Range;
use wire::ids::Digest;

/// Into how many parts an answer is cut at most, its end among them.
const PARTS: u64 = 16;
/// Least bytes of a part, and those of the end: the kernel takes as much at once from here, whatever the device reads of it.
const LEAST: u64 = 64 * 1024;

/// The answer, whose bytes are those of a file that the device fetches for this. What can't be written down is not sent: the device goes on from
/// there later, and none of its bytes is missing in what was written down.
pub(super) fn noted(devices: Devices, to: Fetching, file: Digest, response: Response) -> Response {
    let begin = first_byte(&response);
    let size: u64 = header(&response, CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or(0);
    let note = move |part: Range<u64>| {
        let (devices, to, file) = (devices.clone(), to.clone(), file.clone());
        async move {
            devices.fleet.rollouts().was_sent(&to, &file, &part).await.map_err(|error| {
                tracing::warn!(update = %to.update, %error, "a download ends: its update was taken back, or its bytes can't be written down");
                axum::Error::new(error)
            })
        }
    };
    let (head, body) = response.into_parts();
    Response::from_parts(head, Body::from_stream(written(body, Parts::of(begin, size), note)))
}

/// Where in its file an answer begins.
pub(super) fn first_byte(answer: &Response) -> u64 {
    let range = header(answer, CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    range.unwrap_or(0)
}

fn header(answer: &Response, name: HeaderName) -> Option<&str> {
    answer.headers().get(name)?.to_str().ok()
}

/// The pieces of an answer, each behind the note of the part that it begins.
fn written<F>(
    body: Body,
    mut parts: Parts,
    note: impl Fn(Range<u64>) -> F + Send + 'static,
) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static
where
    F: Future<Output = Result<(), axum::Error>> + Send + 'static,
{
    let mut before_end = parts.last - parts.at;
    let pieces = body.into_data_stream().flat_map(move |piece| {
        // A piece that reaches into the end is sent in two: whoever asks for the second has taken the first.
        let two = match piece {
            Err(error) => [Some(Err(error)), None],
            Ok(mut rest) => {
                let first = rest.split_to(usize::try_from(before_end).unwrap_or(usize::MAX).min(rest.len()));
                before_end -= first.len() as u64;
                [first, rest].map(|bytes| (!bytes.is_empty()).then_some(Ok(bytes)))
            }
        };
        stream::iter(two.into_iter().flatten())
    });
    pieces.then(move |piece| {
        let part = parts.goes(piece.as_ref().map_or(0, |bytes| bytes.len() as u64));
        let noting = part.map(&note);
        async move {
            if let Some(noting) = noting {
                noting.await?;
            }
            piece
        }
    })
}

/// Pure: which part of an answer is written down when.
#[derive(Debug)]
struct Parts {
    /// Behind what has gone.
    at: u64,
    /// Behind what is written down.
    until: u64,
    /// Where the end begins.
    last: u64,
    /// Behind all of it.
    end: u64,
    /// Bytes of a part before the end.
    step: u64,
}

impl Parts {
    /// Those of an answer of so many bytes of a file, from here on.
    fn of(begin: u64, size: u64) -> Self {
        let before_end = size.saturating_sub(LEAST);
        let step = before_end.div_ceil(PARTS - 1).max(LEAST);
        Self { at: begin, until: begin, last: begin + before_end, end: begin + size, step }
    }

    /// So many bytes go next: what is to be written down before, where that isn't yet. They are all before the end, or all in it.
    fn goes(&mut self, bytes: u64) -> Option<Range<u64>> {
        let from = self.until;
        self.at += bytes;
        if self.at <= from {
            return None;
        }
        let ahead = if self.at > self.last { self.end } else { self.last.min(from + self.step) };
        self.until = self.at.max(ahead);
        Some(from..self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// Takes an answer of `size` bytes, given in pieces of `piece`, as long as `enough` says not. What was taken, and the parts written down by then.
    async fn taken(begin: u64, size: u64, piece: usize, enough: impl Fn(u64) -> bool) -> (u64, Vec<Range<u64>>) {
        let content = Bytes::from(vec![7; usize::try_from(size).unwrap()]);
        let pieces: Vec<Bytes> = content.chunks(piece).map(Bytes::copy_from_slice).collect();
        let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, axum::Error>)));
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeps = Arc::clone(&kept);
        let note = move |part: Range<u64>| {
            keeps.lock().push(part);
            async { Ok(()) }
        };
        let mut sent = Box::pin(written(body, Parts::of(begin, size), note));
        let mut got = 0;
        while !enough(got)
            && let Some(bytes) = sent.next().await
        {
            got += bytes.unwrap().len() as u64;
            let behind = kept.lock().last().map_or(begin, |part| part.end);
            assert!(begin + got <= behind, "what has gone is written down");
        }
        let parts = kept.lock().clone();
        (got, parts)
    }

    #[tokio::test]
    async fn an_answer_is_written_down_in_few_parts_whose_last_is_its_end() {
        for (begin, size) in [(0, 1), (5, LEAST), (0, LEAST + 1), (7, 16 * LEAST - 1), (0, 17 * LEAST), (3, 40 * LEAST + 13)] {
            for piece in [1000, 65_536, 262_144, usize::try_from(size).unwrap()] {
                let (got, parts) = taken(begin, size, piece, |_| false).await;
                assert_eq!(got, size, "all of it goes");
                assert!(parts.len() <= 16, "{size} in pieces of {piece}: {parts:?}");
                assert!(parts.windows(2).all(|two| two[0].end == two[1].start), "{parts:?}");
                assert_eq!((parts[0].start, parts.last().unwrap().clone()), (begin, begin + size.saturating_sub(LEAST)..begin + size));
            }
        }
        assert_eq!(taken(0, 0, 1, |_| false).await, (0, vec![]));
    }

    #[tokio::test]
    async fn no_cut_before_the_end_leaves_the_whole_written_down() {
        let size = 64 * LEAST + 5;
        for piece in [65_536, 262_144, usize::try_from(size).unwrap()] {
            // As much as fits before the end, in one piece or in many.
            let (got, parts) = taken(0, size, piece, |got| got >= size - LEAST).await;
            assert_eq!((got, parts.last().unwrap().end), (size - LEAST, size - LEAST), "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn what_can_t_be_written_down_is_not_sent() {
        let note =
            |part: Range<u64>| async move { if part.start == 0 { Ok(()) } else { Err(axum::Error::new(std::io::Error::other("full"))) } };
        let mut sent = Box::pin(written(Body::from(vec![7; 200_000]), Parts::of(0, 200_000), note));
        assert_eq!(sent.next().await.unwrap().unwrap().len(), 200_000 - 65_536);
        assert!(sent.next().await.unwrap().is_err());
    }
}

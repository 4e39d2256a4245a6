//! Lists as CSV files, sent while they are read: whatever the size of the fleet, a page of it is in memory at a time.

use super::Answer;
use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, stream};
use std::{future::Future, io};

/// Lines of a file, and where the next ones begin.
pub(super) struct Lines<C> {
    /// Whole lines.
    pub text: String,
    /// None after the last ones.
    pub next: Option<C>,
}

/// A file of this name: `head`, then what `read` gives from the beginning (none) to the end. The first lines are read before anything is answered, so
/// that a refusal is one; a failure later breaks the file off, which every client notices.
pub(super) async fn file<C, R, F>(name: &str, head: &[&str], read: R) -> Answer<Response>
where
    C: Send + 'static,
    R: Fn(Option<C>) -> F + Send + 'static,
    F: Future<Output = fleet::Result<Lines<C>>> + Send,
{
    let first = read(None).await?;
    let begin = fleet::csv::line(head) + &first.text;
    let rest = stream::try_unfold((first.next, read), |(next, read)| async move {
        let Some(from) = next else { return Ok(None) };
        let lines = read(Some(from)).await.map_err(|error| {
            tracing::warn!(%error, "a CSV file broke off");
            io::Error::other("the rest could not be read")
        })?;
        Ok::<_, io::Error>(Some((Bytes::from(lines.text), (lines.next, read))))
    });
    let body = stream::once(async { Ok::<_, io::Error>(Bytes::from(begin)) }).chain(rest);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

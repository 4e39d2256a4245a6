//! Lists as CSV files, sent while they are read: whatever the size of the fleet, a few pages of it are in memory at a time. The next page is read while
//! one is written out.

use super::Answer;
use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse as _, Response},
};
use fleet::Fleet;
use futures::{StreamExt as _, stream};
use std::{future::Future, io};
use tokio::sync::mpsc;

/// Pages that are read ahead of the one that is sent.
const AHEAD: usize = 2;

/// Rows of a file, and where the next ones begin.
pub(super) struct Part<T, C> {
    /// In the order of the file.
    pub rows: Vec<T>,
    /// None after the last ones.
    pub next: Option<C>,
}

/// A file of this name: `head`, then what `read` gives from the beginning (none) to the end, each row as `line` appends it. The first rows are read
/// before anything is answered, so that a refusal is one; a failure later breaks the file off, which every client notices.
pub(super) async fn file<T, C, R, F>(
    fleet: &Fleet,
    name: &str,
    head: &[&str],
    read: R,
    line: impl Fn(&mut String, T) + Send + 'static,
) -> Answer<Response>
where
    T: Send + 'static,
    C: Send + 'static,
    R: Fn(Option<C>) -> F + Send + Sync + 'static,
    F: Future<Output = fleet::Result<Part<T, C>>> + Send + 'static,
{
    let first = read(None).await?;
    let (to, from) = mpsc::channel(AHEAD);
    fleet.beyond(read_on(first, read, to));
    let begin = fleet::csv::line(head);
    let rest = stream::unfold(Some((from, line)), |state| async {
        let (mut from, line) = state?;
        match from.recv().await {
            Some(Ok((rows, more))) => {
                let text = rows.into_iter().fold(String::new(), |mut text, row| {
                    line(&mut text, row);
                    text
                });
                Some((Ok(Bytes::from(text)), more.then_some((from, line))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            // The reader is gone without having come to the end.
            None => Some((Err(io::Error::other("the rest was not read")), None)),
        }
    });
    let body = stream::once(async { Ok::<_, io::Error>(Bytes::from(begin)) }).chain(rest);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Pages until the last one, each with whether more follow; ends early when nobody reads them any more.
async fn read_on<T, C, R, F>(mut part: Part<T, C>, read: R, to: mpsc::Sender<io::Result<(Vec<T>, bool)>>)
where
    R: Fn(Option<C>) -> F,
    F: Future<Output = fleet::Result<Part<T, C>>>,
{
    loop {
        let next = part.next;
        if to.send(Ok((part.rows, next.is_some()))).await.is_err() || next.is_none() {
            return;
        }
        match read(next).await {
            Ok(read) => part = read,
            Err(error) => {
                tracing::warn!(%error, "a CSV file broke off");
                // Whoever read it is told, or gone.
                let _ = to.send(Err(io::Error::other("the rest could not be read"))).await;
                return;
            }
        }
    }
}

//! A socket that ends when it is told to. It lies under TLS and stays there when a connection becomes a websocket, so nothing built on top can
//! outlive a revocation (H-6). It also ends when the other side takes nothing for half a minute.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long a write may make no progress, unless another time is given.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// The wrapper. `G` is whatever must live exactly as long as the socket.
pub struct Cut<IO, G> {
    io: IO,
    token: CancellationToken,
    // One a direction: after an upgrade reads and writes may be polled by different tasks, and each must be woken.
    read_end: Pin<Box<WaitForCancellationFutureOwned>>,
    write_end: Pin<Box<WaitForCancellationFutureOwned>>,
    stall: Option<Pin<Box<Sleep>>>,
    stalls_after: Duration,
    reads: Arc<AtomicU64>,
    guard: G,
}

impl<IO, G> Cut<IO, G> {
    /// Wraps a socket; cancelling the token ends it.
    pub fn new(io: IO, token: CancellationToken, guard: G) -> Self {
        let cut = || Box::pin(token.clone().cancelled_owned());
        Self { io, read_end: cut(), write_end: cut(), token, stall: None, stalls_after: STALL, reads: Arc::default(), guard }
    }

    /// The same, with another time in which the other side has to take something.
    #[must_use]
    pub fn stalling_after(self, time: Duration) -> Self {
        Self { stalls_after: time, ..self }
    }

    /// How often the other side was heard; grows while it speaks.
    pub fn reads(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.reads)
    }

    /// What lives as long as the socket.
    pub fn guard(&mut self) -> &mut G {
        &mut self.guard
    }
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was cut off")
}

impl<IO: AsyncWrite + Unpin, G: Unpin> Cut<IO, G> {
    /// Runs a writing poll under both watches.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.token.is_cancelled() || self.write_end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(cut_off()));
        }
        let polled = write(Pin::new(&mut self.io), context);
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let after = self.stalls_after;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(after)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the other side takes nothing")))
    }
}

impl<IO: AsyncRead + Unpin, G: Unpin> AsyncRead for Cut<IO, G> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.token.is_cancelled() || self.read_end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(cut_off()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }
}

impl<IO: AsyncWrite + Unpin, G: Unpin> AsyncWrite for Cut<IO, G> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.watched(context, |io, context| io.poll_write(context, bytes))
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched(context, AsyncWrite::poll_flush)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched(context, AsyncWrite::poll_shutdown)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.watched(context, |io, context| io.poll_write_vectored(context, slices))
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

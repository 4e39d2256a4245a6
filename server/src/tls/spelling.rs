//! The spelling of one header's name. `Title-Case` makes `Www-Authenticate` of what every document calls `WWW-Authenticate` (RFC 9110 §11.6.1), and
//! clients that compare header names octet by octet, such as libest, then see no challenge. Owns the written side of a connection that speaks
//! HTTP/1.1 in title case; refuses to touch any octet but those of that name, in the head of an answer that has it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const WRITTEN: &[u8] = b"\r\nWww-Authenticate:";
const MEANT: &[u8] = b"\r\nWWW-Authenticate:";

/// The wrapper.
pub(super) struct Spelled<IO> {
    io: IO,
    challenges: Arc<AtomicBool>,
    /// A buffer as it is meant, as far as it is not written yet.
    rest: Vec<u8>,
}

impl<IO> Spelled<IO> {
    /// Once `challenges` is set, the next buffer that is written has the head of an answer with a challenge in it: hyper asks for an answer when
    /// nothing of a body waits any more, and puts its head whole into the first buffer of the next write.
    pub(super) const fn new(io: IO, challenges: Arc<AtomicBool>) -> Self {
        Self { io, challenges, rest: Vec::new() }
    }
}

impl<IO: AsyncWrite + Unpin> Spelled<IO> {
    /// Writes `first` as it is meant, where it is to be spelled otherwise or has begun to be.
    fn respelled(&mut self, context: &mut Context<'_>, first: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if !first.is_empty() && self.challenges.load(Ordering::Relaxed) && self.challenges.swap(false, Ordering::Relaxed) {
            // Of a head before it, what is not written yet is shown once more, and stays as it was meant.
            let shown = self.rest.len().min(first.len());
            self.rest.extend(meant(&first[shown..]));
        }
        if self.rest.is_empty() {
            return None;
        }
        let polled = Pin::new(&mut self.io).poll_write(context, &self.rest);
        if let Poll::Ready(Ok(written)) = &polled {
            self.rest.drain(..*written);
        }
        Some(polled)
    }
}

/// The same octets but for the name.
fn meant(buffer: &[u8]) -> Vec<u8> {
    let mut meant = buffer.to_vec();
    let mut from = 0;
    while let Some(at) = meant[from..].windows(WRITTEN.len()).position(|window| window == WRITTEN) {
        let end = from + at + WRITTEN.len();
        meant[from + at..end].copy_from_slice(MEANT);
        from = end;
    }
    meant
}

impl<IO: AsyncRead + Unpin> AsyncRead for Spelled<IO> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Spelled<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(polled) = self.respelled(context, bytes) {
            return polled;
        }
        Pin::new(&mut self.io).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let first: &[u8] = slices.iter().find(|slice| !slice.is_empty()).map(|slice| &**slice).unwrap_or_default();
        if let Some(polled) = self.respelled(context, first) {
            return polled;
        }
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const HEAD: &str = "HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Basic realm=\"est\"\r\nWww-Authenticate: Bearer\r\n\r\n";
    const BODY: &str = "HTTP/1.1 200 OK\r\nWww-Authenticate: a body says what it likes\r\n\r\n";

    /// What arrives through a pipe that takes so many octets at a time, where only the first message is a challenge.
    async fn arrives(takes: usize, vectored: bool) -> String {
        let (near, mut far) = tokio::io::duplex(takes);
        let challenges = Arc::new(AtomicBool::new(true));
        let mut near = Spelled::new(near, Arc::clone(&challenges));
        let write = async move {
            if vectored {
                // As hyper does it: what was not taken is shown again.
                let (mut head, mut body) = (HEAD.as_bytes(), BODY.as_bytes());
                while !(head.is_empty() && body.is_empty()) {
                    let mut written = near.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]).await.unwrap();
                    let of_head = written.min(head.len());
                    written -= of_head;
                    (head, body) = (&head[of_head..], &body[written..]);
                }
            } else {
                near.write_all(HEAD.as_bytes()).await.unwrap();
                near.write_all(BODY.as_bytes()).await.unwrap();
            }
            assert!(!challenges.load(Ordering::Relaxed));
        };
        let mut read = String::new();
        let ((), length) = tokio::join!(write, far.read_to_string(&mut read));
        length.unwrap();
        read
    }

    /// Two challenges, of which the first is cut within the name when the second one is appended to it.
    #[tokio::test]
    async fn a_name_that_is_half_written_stays_what_it_began_as() {
        let cut = HEAD.find("ww-").unwrap();
        let (near, mut far) = tokio::io::duplex(cut);
        let challenges = Arc::new(AtomicBool::new(true));
        let mut near = Spelled::new(near, Arc::clone(&challenges));
        assert_eq!(near.write(HEAD.as_bytes()).await.unwrap(), cut);
        challenges.store(true, Ordering::Relaxed);
        let write = async move { near.write_all(format!("{}{HEAD}", &HEAD[cut..]).as_bytes()).await.unwrap() };
        let mut read = String::new();
        let ((), length) = tokio::join!(write, far.read_to_string(&mut read));
        length.unwrap();
        assert_eq!(read, HEAD.replace("Www", "WWW").repeat(2));
    }

    #[tokio::test]
    async fn the_name_is_spelled_as_documents_do_in_heads_alone_however_little_is_taken_at_a_time() {
        let meant = HEAD.replace("Www", "WWW") + BODY;
        for takes in [1, 7, 30, HEAD.len(), 4096] {
            for vectored in [false, true] {
                assert_eq!(arrives(takes, vectored).await, meant, "{takes} {vectored}");
            }
        }
    }
}

//! What a channel says to its device: frames, refusals and the farewell, each within a time. Refuses to know what they are about.

use super::{Channel, Gone};
use crate::device::here::Reason;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use futures::{FutureExt as _, future::BoxFuture};
use std::time::Duration;
use tokio::time::timeout;
use wire::device::Down;

/// A device that does not read for this long is cut off.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// How long a device may take to close its side.
const FAREWELL: Duration = Duration::from_secs(1);

impl Channel<'_> {
    pub(super) fn refuse_fault(&mut self, seq: Option<u64>, samples: u32, error: &fleet::Error) -> BoxFuture<'_, Result<(), Gone>> {
        let fault = error.fault();
        self.refuse(seq, samples, &fault.code, &fault.message)
    }

    pub(super) fn refuse(&mut self, seq: Option<u64>, samples: u32, code: &str, message: &str) -> BoxFuture<'_, Result<(), Gone>> {
        self.send(Down::Refused { seq, samples, code: code.into(), message: message.into() }).boxed()
    }

    /// Written as text at once, so that nobody keeps the frame while it is sent.
    #[expect(clippy::needless_pass_by_value, reason = "a borrowed one would be kept in the caller's task until it is sent")]
    pub(super) fn send(&mut self, frame: Down) -> impl Future<Output = Result<(), Gone>> {
        let text = serde_json::to_string(&frame);
        async move { self.write(Message::Text(text.map_err(|_| Gone)?.into())).await }
    }

    pub(super) async fn write(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(WRITE_STALL, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    pub(super) async fn close(&mut self, code: u16, reason: Reason) -> Reason {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        // A peer that is gone already has its reason.
        let _ = self.write(Message::Close(Some(frame))).await;
        // Frames left unread would turn the end into a reset that overtakes the reason, so they are read until the device closes, too
        // (RFC 6455 §7.1.1).
        let answered = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _ = timeout(FAREWELL, answered).await;
        reason
    }
}

//! A device's websocket (`wire::device`): hello, samples and acknowledgements, offers and reports. One task a device; what it sends is taken
//! in order, and acknowledged in order once it is synced.

use super::{Devices, Peer, channels::Nudge};
use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    response::Response,
};
use fleet::{
    devices::Connected,
    telemetry::{Ingested, Intake, Receipt},
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use wire::device::{Down, Hello, MAX_FRAME, Samples, StatusReport, Up, Welcome};

/// Seconds between pings; three without a word end the connection.
const PING_S: u32 = 30;
/// A device must say hello within this time.
const HELLO: Duration = Duration::from_secs(10);
/// A device that does not read for this long is cut off.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// Frames that may wait for their commit; more are left in the socket, so the device slows down.
const IN_FLIGHT: usize = 64;

/// `GET /device/v1/channel`.
pub(super) async fn open(State(devices): State<Devices>, peer: Peer, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        // The defaults are 128 KiB a connection to read and no limit to write; ten thousand devices must fit.
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_FRAME)
        .on_upgrade(move |socket| async move {
            devices.metrics.channels.inc();
            let ended = Channel { devices: &devices, peer: &peer, socket }.run().await;
            devices.metrics.channels.dec();
            tracing::debug!(device = %peer.peer.device_id, reason = ended, "channel ended");
        })
}

struct Channel<'a> {
    devices: &'a Devices,
    peer: &'a Peer,
    socket: WebSocket,
}

/// Why a channel ended; shown in the device's list of connections.
type Reason = &'static str;

const GONE: Reason = "the connection broke";

impl Channel<'_> {
    async fn run(mut self) -> Reason {
        let Ok(first) = timeout(HELLO, self.socket.recv()).await else { return self.close(1008, "say hello first").await };
        let hello = match first {
            Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                Ok(Up::Hello(hello)) => hello,
                _ => return self.close(1002, "the first frame must be a hello").await,
            },
            _ => return GONE,
        };
        let peer = &self.peer.peer;
        let intake = match self.devices.fleet.telemetry().intake(&peer.org, peer.device, &peer.device_id, &hello.stream).await {
            Ok(intake) => intake,
            Err(e) => {
                let fault = e.fault();
                let refused = Down::Refused { seq: None, samples: 0, code: fault.code, message: fault.message };
                if self.send(&refused).await.is_err() {
                    return GONE;
                }
                return self.close(1008, "the hello was refused").await;
            }
        };
        let (devices, peer) = (self.devices, self.peer);
        let (_place, nudges) = devices.channels.join(&peer.peer.org, peer.peer.device);
        devices.fleet.devices().connected(connected(peer, hello));
        let reason = self.serve(&intake, nudges).await;
        devices.fleet.devices().disconnected(&peer.peer.org, peer.peer.device, reason);
        reason
    }

    async fn serve(&mut self, intake: &Intake, mut nudges: tokio::sync::mpsc::Receiver<Nudge>) -> Reason {
        let welcome = Welcome {
            device_id: self.peer.peer.device_id.clone(),
            server_time: self.devices.fleet.clock().now(),
            acked: intake.acked(),
            ping_s: PING_S,
        };
        if self.send(&Down::Welcome(welcome)).await.is_err() || self.offer().await.is_err() {
            return GONE;
        }
        let stopping = self.devices.stopping.clone();
        let mut waiting: FuturesOrdered<BoxFuture<'static, Outcome>> = FuturesOrdered::new();
        let period = Duration::from_secs(PING_S.into());
        let mut ping = interval_at(Instant::now() + period, period);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        loop {
            let step = tokio::select! {
                biased;
                () = stopping.cancelled() => return self.drain(waiting).await,
                Some(outcome) = waiting.next(), if !waiting.is_empty() => self.acknowledge(outcome).await,
                Some(nudge) = nudges.recv() => match nudge {
                    Nudge::Ask => self.offer().await,
                    Nudge::Cancel(update_id) => self.send(&Down::Cancel { update_id }).await,
                },
                frame = self.socket.recv(), if waiting.len() < IN_FLIGHT => {
                    silent = 0;
                    match frame {
                        None | Some(Ok(Message::Close(_))) => return "the device closed the connection",
                        // axum boxes the socket's own error, so its kind is only in its words.
                        Some(Err(e)) if e.to_string().contains("too long") => return self.close(1009, "a frame was too large").await,
                        Some(Err(_)) => return GONE,
                        Some(Ok(Message::Text(text))) => self.take(&text, intake, &mut waiting).await,
                        Some(Ok(Message::Binary(_))) => self.refuse(None, 0, "bad_frame", "Frames are JSON text.").await,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    }
                }
                _ = ping.tick() => {
                    silent += 1;
                    if silent > 3 {
                        return "the device fell silent";
                    }
                    self.write(Message::Ping(axum::body::Bytes::new())).await
                }
            };
            if step.is_err() {
                return GONE;
            }
        }
    }

    /// One frame. Only samples wait for something, and their wait is for room in the queue: that is how a full server slows a device down.
    async fn take(&mut self, text: &str, intake: &Intake, waiting: &mut FuturesOrdered<BoxFuture<'static, Outcome>>) -> Result<(), Gone> {
        self.devices.fleet.devices().seen(self.peer.peer.device);
        match serde_json::from_str(text) {
            Ok(Up::Samples(Samples { seq, samples })) => {
                let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
                match intake.send(seq, samples).await {
                    Ok(receipt) => {
                        waiting.push_back(settle(seq, count, receipt).boxed());
                        Ok(())
                    }
                    Err(e) => self.refuse_fault(Some(seq), count, &e).await,
                }
            }
            Ok(Up::Status(report)) => self.report(report).await,
            Ok(Up::Hello(_)) => self.refuse(None, 0, "bad_frame", "Hello is said once, at the beginning of a connection.").await,
            Err(e) => {
                // The parser's words name fields and places, never our insides.
                let message = format!("The frame is not what is expected: {e}.");
                self.refuse(None, 0, "bad_frame", &message).await
            }
        }
    }

    async fn acknowledge(&mut self, outcome: Outcome) -> Result<(), Gone> {
        match outcome.result {
            Ok(Ingested { acked, refused }) => {
                let stored = outcome.samples - refused.as_ref().map_or(0, |r| r.samples.min(outcome.samples));
                self.devices.metrics.samples.inc_by(stored.into());
                if let Some(r) = refused {
                    self.refuse(Some(outcome.seq), r.samples, r.code, &r.message).await?;
                }
                self.send(&Down::Ack { seq: acked }).await
            }
            Err(e) => self.refuse_fault(Some(outcome.seq), outcome.samples, &e).await,
        }
    }

    async fn report(&mut self, report: StatusReport) -> Result<(), Gone> {
        let update_id = report.update_id.clone();
        match self.devices.fleet.rollouts().report(self.peer.peer.device, report).await {
            Ok(state) => {
                self.send(&Down::StatusAck { update_id, state }).await?;
                // One update over, the next may already wait.
                if state.finished() { self.offer().await } else { Ok(()) }
            }
            Err(e) => self.refuse_fault(None, 0, &e).await,
        }
    }

    async fn offer(&mut self) -> Result<(), Gone> {
        match self.devices.fleet.rollouts().poll(self.peer.peer.device).await {
            Ok(Some(offer)) => self.send(&Down::Offer(Box::new(offer))).await,
            Ok(None) => Ok(()),
            Err(e) => {
                tracing::warn!(device = %self.peer.peer.device_id, error = %e, "asking for an offer failed; the next nudge asks again");
                Ok(())
            }
        }
    }

    /// Everything that was taken is committed and acknowledged before the socket closes.
    async fn drain(&mut self, mut waiting: FuturesOrdered<BoxFuture<'static, Outcome>>) -> Reason {
        while let Some(outcome) = waiting.next().await {
            if self.acknowledge(outcome).await.is_err() {
                return GONE;
            }
        }
        self.close(1012, "the server restarts").await
    }

    async fn refuse_fault(&mut self, seq: Option<u64>, samples: u32, error: &fleet::Error) -> Result<(), Gone> {
        let fault = error.fault();
        self.refuse(seq, samples, &fault.code, &fault.message).await
    }

    async fn refuse(&mut self, seq: Option<u64>, samples: u32, code: &str, message: &str) -> Result<(), Gone> {
        self.send(&Down::Refused { seq, samples, code: code.into(), message: message.into() }).await
    }

    async fn send(&mut self, frame: &Down) -> Result<(), Gone> {
        let text = serde_json::to_string(frame).map_err(|_| Gone)?;
        self.write(Message::Text(text.into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(WRITE_STALL, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn close(&mut self, code: u16, reason: Reason) -> Reason {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        // A peer that is gone already has its reason.
        let _ = self.write(Message::Close(Some(frame))).await;
        reason
    }
}

/// The peer is not there any more.
#[derive(Debug)]
struct Gone;

/// A frame whose commit is over, one way or the other.
struct Outcome {
    seq: u64,
    samples: u32,
    result: fleet::Result<Ingested>,
}

async fn settle(seq: u64, samples: u32, receipt: Receipt) -> Outcome {
    Outcome { seq, samples, result: receipt.synced().await }
}

fn connected(peer: &Peer, hello: Hello) -> Connected {
    Connected { org: peer.peer.org.clone(), device: peer.peer.device, address: peer.address.clone(), hello }
}

//! A device's websocket (`wire::device`): hello, samples and acknowledgements, offers and reports. One task a device; what it sends is taken
//! in order, and acknowledged in order once it is synced.

mod saying;

use super::{
    Devices, Peer,
    channels::Place,
    frame::{self, Frame},
    here::{Here, Reason},
    slots,
};
use crate::observe::OneMore;
use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
};
use fleet::telemetry::{Ingested, Intake, Receipt};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use wire::{
    Timestamp,
    device::{Down, Hello, MAX_FRAME, Samples, StatusReport, Up, Welcome},
    ids::UpdateId,
};

/// Seconds between pings; with each the channel also looks for offers by itself, so a lost nudge costs at most this.
const PING_S: u32 = 30;
/// Pings left unanswered that end the connection.
const UNANSWERED: u32 = 3;
/// A device must say hello within this time.
const HELLO: Duration = Duration::from_secs(10);
/// Frames that may wait for their commit; more are left in the socket, so the device slows down.
const IN_FLIGHT: usize = 64;

/// `GET /device/v1/channel`.
pub(super) async fn open(State(devices): State<Devices>, peer: Peer, upgrade: WebSocketUpgrade) -> Response {
    speak(devices, peer, upgrade, Duration::from_secs(PING_S.into()))
}

/// Answers the upgrade; pings go out in this period.
pub(super) fn speak(devices: Devices, peer: Peer, upgrade: WebSocketUpgrade, period: Duration) -> Response {
    upgrade
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        // The defaults are 128 KiB a connection to read and no limit to write; ten thousand devices must fit. For a frame it grows.
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_FRAME)
        .on_upgrade(move |socket| {
            // Alone in its box: what passes it on would keep room for it at each step.
            let socket = Box::new(socket);
            async move {
                let _open = OneMore::of(&devices.metrics.channels);
                let channel = Channel {
                    devices: &devices,
                    peer: &peer,
                    socket,
                    period,
                    told: None,
                    installs: None,
                    renews: Timestamp(0),
                    bundle: 0,
                    ordered: None,
                };
                let ended = channel.run().await;
                tracing::debug!(device = %peer.peer.device_id, reason = ended, "channel ended");
            }
        })
}

/// What a channel asks the core is boxed where it is asked: the task of an idle device is as large as the largest thing it ever waits for.
struct Channel<'a> {
    devices: &'a Devices,
    peer: &'a Peer,
    socket: Box<WebSocket>,
    period: Duration,
    /// The offer that the device was sent last on this connection, until its update is over.
    told: Option<UpdateId>,
    /// When it was told to install that at the earliest.
    installs: Option<Timestamp>,
    /// When its assignment is to be renewed (U-2).
    renews: Timestamp,
    /// The version of the trust bundle that the device knows of: what it was welcomed with, or told last.
    bundle: i64,
    /// The order to renew its certificate that it was told of on this connection.
    ordered: Option<Timestamp>,
}

/// A frame of samples that waits for room in the queue.
type Sending = BoxFuture<'static, (u64, u32, fleet::Result<Receipt>)>;

const GONE: Reason = "the connection broke";

impl Channel<'_> {
    async fn run(mut self) -> Reason {
        let (hello, intake) = match self.begin().boxed().await {
            Ok(begun) => begun,
            Err(reason) => return reason,
        };
        let (devices, peer) = (self.devices, self.peer);
        let place = devices.channels.join(&peer.peer.org, peer.peer.device);
        let mut here = Here::shown(devices, peer, hello);
        here.reason = self.serve(&intake, &place).await;
        here.reason
    }

    /// What the device says first, and where its samples go.
    async fn begin(&mut self) -> Result<(Hello, Intake), Reason> {
        let hello = match timeout_at(Instant::now() + HELLO, self.hello()).await {
            Ok(hello) => hello?,
            Err(_) => return Err(self.close(1008, "say hello first").await),
        };
        let peer = &self.peer.peer;
        match self.devices.fleet.telemetry().intake(&peer.org, peer.device, &peer.device_id, &hello.stream).await {
            Ok(intake) => Ok((hello, intake)),
            Err(e) => {
                self.refuse_fault(None, 0, &e).await.map_err(|Gone| GONE)?;
                Err(self.close(1008, "the hello was refused").await)
            }
        }
    }

    /// The first frame that says anything. A device may ping before it speaks.
    async fn hello(&mut self) -> Result<Hello, Reason> {
        loop {
            match self.socket.recv().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(text))) => match frame::read(&text) {
                    Ok(Frame { up: Up::Hello(hello), .. }) => {
                        slots::note(&self.peer.peer, &text, hello.slots.as_ref());
                        return Ok(hello);
                    }
                    _ => return Err(self.close(1002, "the first frame must be a hello").await),
                },
                Some(Err(e)) if too_large(&e) => return Err(self.close(1009, "a frame was too large").await),
                _ => return Err(GONE),
            }
        }
    }

    async fn serve(&mut self, intake: &Intake, place: &Place) -> Reason {
        let welcome = Welcome {
            device_id: self.peer.peer.device_id.clone(),
            server_time: self.devices.fleet.clock().now(),
            acked: intake.acked(),
            ping_s: PING_S,
            trust_bundle: self.bundle_version(),
        };
        self.bundle = welcome.trust_bundle;
        let trust = self.devices.fleet.pki().trust();
        self.ordered = trust.renewal_ordered(&self.peer.peer);
        let mut told = self.ordered.is_some() || trust.renewal_overdue(&self.peer.peer);
        if self.send(Down::Welcome(welcome)).await.is_err() || self.look(false).await.is_err() {
            return GONE;
        }
        if told && self.send(Down::Renew).await.is_err() {
            return GONE;
        }
        // Those that stay connected are told over ten pings: a fleet whose authority is retiring does not renew in one minute. Those of an order come by its
        // own spread instead.
        let mut pings_left = u32::from(self.peer.peer.fingerprint[0] % 10);
        let stopping = self.devices.stopping.clone();
        let mut waiting: FuturesOrdered<BoxFuture<'static, Outcome>> = FuturesOrdered::new();
        let mut sending: Option<Sending> = None;
        let mut ping = interval_at(Instant::now() + self.period, self.period);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0;
        loop {
            // While frames wait, nothing is read: that is how a full server slows a device down. Pongs are not read either, so its silence
            // says nothing then.
            let reads = sending.is_none() && waiting.len() < IN_FLIGHT;
            let step = tokio::select! {
                biased;
                // A frame that found no room is not taken; the device sends it again after its next hello.
                () = stopping.cancelled() => return self.drain(waiting).await,
                Some(outcome) = waiting.next(), if !waiting.is_empty() => self.acknowledge(outcome).await,
                (seq, samples, sent) = room(&mut sending) => {
                    sending = None;
                    match sent {
                        Ok(receipt) => {
                            waiting.push_back(settle(seq, samples, receipt).boxed());
                            Ok(())
                        }
                        Err(e) => self.refuse_fault(Some(seq), samples, &e).await,
                    }
                }
                () = place.nudged() => self.look(false).await,
                frame = self.socket.recv(), if reads => {
                    unanswered = 0;
                    match frame {
                        None | Some(Ok(Message::Close(_))) => return "the device closed the connection",
                        Some(Err(e)) if too_large(&e) => return self.close(1009, "a frame was too large").await,
                        Some(Err(_)) => return GONE,
                        Some(Ok(Message::Text(text))) => self.take(&text, intake, &mut sending).await,
                        Some(Ok(Message::Binary(_))) => self.refuse(None, 0, "bad_frame", "Frames are JSON text.").await,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    }
                }
                _ = ping.tick() => {
                    if unanswered >= UNANSWERED {
                        return "the device fell silent";
                    }
                    unanswered = if reads { unanswered + 1 } else { 0 };
                    pings_left = pings_left.saturating_sub(1);
                    let tells = !told && pings_left == 0 && trust.renewal_overdue(&self.peer.peer);
                    told |= tells;
                    match self.write(Message::Ping(axum::body::Bytes::new())).await {
                        Ok(()) if tells && self.send(Down::Renew).await.is_err() => Err(Gone),
                        Ok(()) if self.tell_bundle().await.is_err() => Err(Gone),
                        Ok(()) => self.look(true).await,
                        gone => gone,
                    }
                }
            };
            if step.is_err() {
                return GONE;
            }
        }
    }

    /// One frame. Only samples wait for something: for room in the queue, in `sending`.
    async fn take(&mut self, text: &str, intake: &Intake, sending: &mut Option<Sending>) -> Result<(), Gone> {
        self.devices.fleet.devices().seen(self.peer.peer.device);
        match frame::read(text) {
            Ok(Frame { up: Up::Samples(Samples { seq, samples }), left_out }) => {
                if let Some(left_out) = left_out {
                    self.refuse(Some(seq), left_out.samples, left_out.code, left_out.message).await?;
                }
                let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
                let intake = intake.clone();
                *sending = Some(async move { (seq, count, intake.send(seq, samples).await) }.boxed());
                Ok(())
            }
            Ok(Frame { up: Up::Status(report), .. }) => {
                slots::note(&self.peer.peer, text, report.slots.as_ref());
                Box::pin(self.report(report)).await
            }
            Ok(Frame { up: Up::Hello(_), .. }) => {
                self.refuse(None, 0, "bad_frame", "Hello is said once, at the beginning of a connection.").await
            }
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
                self.send(Down::Ack { seq: acked }).await
            }
            Err(e) => self.refuse_fault(Some(outcome.seq), outcome.samples, &e).await,
        }
    }

    async fn report(&mut self, mut report: StatusReport) -> Result<(), Gone> {
        let (peer, update_id) = (&self.peer.peer, report.update_id.clone());
        // What the device is made of counts, whatever its report is worth.
        if let Some(slots) = report.slots.take() {
            self.devices.fleet.devices().says_slots(&peer.org, peer.device, slots);
        }
        match Box::pin(self.devices.fleet.rollouts().report(peer.device, report)).await {
            Ok(state) => {
                let over = state.finished();
                if over && self.told.as_ref() == Some(&update_id) {
                    self.told = None;
                }
                self.send(Down::StatusAck { update_id, state }).await?;
                // One update over, the next may already wait.
                if over { self.look(false).await } else { Ok(()) }
            }
            Err(e) => self.refuse_fault(None, 0, &e).await,
        }
    }

    /// Pings come at another time for every device, so a fleet does not fetch the bundle all at once.
    async fn tell_bundle(&mut self) -> Result<(), Gone> {
        let version = self.bundle_version();
        if version == self.bundle {
            return Ok(());
        }
        self.bundle = version;
        self.send(Down::TrustBundle { version }).await
    }

    fn bundle_version(&self) -> i64 {
        self.devices.fleet.pki().trust_bundle(&self.peer.peer.org).version
    }

    /// Compares what the device was told with what stands: an order to renew is told, an update that was taken back is cancelled, a new offer is sent. With
    /// `again` also one that the device has not begun: it may have been busy when it came. In a box, with all that it asks the core: the task of an
    /// idle channel would have room for it all the time.
    fn look(&mut self, again: bool) -> BoxFuture<'_, Result<(), Gone>> {
        self.compare(again).boxed()
    }

    async fn compare(&mut self, again: bool) -> Result<(), Gone> {
        let ordered = self.devices.fleet.pki().trust().renewal_ordered(&self.peer.peer);
        if ordered.is_some() && ordered != self.ordered {
            self.ordered = ordered;
            self.send(Down::Renew).await?;
        }
        let standing = match self.devices.fleet.rollouts().standing(self.peer.peer.device, self.told.as_ref()).await {
            Ok(standing) => standing,
            Err(e) => {
                tracing::warn!(device = %self.peer.peer.device_id, error = %e, "asking for an offer failed; the next ping asks again");
                return Ok(());
            }
        };
        if standing.taken_back
            && let Some(update_id) = self.told.take()
        {
            self.send(Down::Cancel { update_id }).await?;
        }
        let Some(offer) = standing.offer else { return Ok(()) };
        // One window over, the device waits to hear of the next.
        let known = self.told.as_ref() == Some(&offer.update_id) && self.installs == offer.install_from;
        let holds = self.devices.fleet.clock().now() < self.renews;
        if known && holds && !(again && standing.not_begun) {
            return Ok(());
        }
        let peer = &self.peer.peer;
        let assigned = match self.devices.fleet.pki().assign(&peer.org, (peer.device, &peer.device_id), offer).await {
            Ok(assigned) => assigned,
            Err(e) => {
                tracing::warn!(device = %peer.device_id, error = %e, "signing an assignment failed; the next ping asks again");
                return Ok(());
            }
        };
        let offer = assigned.offer;
        (self.told, self.installs, self.renews) = (Some(offer.update_id.clone()), offer.install_from, assigned.renew_at);
        self.send(Down::Offer(Box::new(offer))).await
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
}

/// The outcome of the frame that waits for room; never, while none does.
async fn room(sending: &mut Option<Sending>) -> (u64, u32, fleet::Result<Receipt>) {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

/// Whether a frame was over its bounds. axum boxes the socket's own error, and the socket's crate is axum's affair, so the kind is only in the
/// words; a test holds them.
fn too_large(e: &axum::Error) -> bool {
    e.to_string().contains("too long")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of what a call makes.
    fn room_of<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn ten_thousand_idle_channels_have_small_tasks() {
        let bytes = room_of(|channel: Channel<'static>| channel.run());
        assert!(bytes <= 1600, "{bytes} bytes: box what is seldom waited for");
    }
}

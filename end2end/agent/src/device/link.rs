//! The device's connection, again and again: what waits goes up in order, what comes down goes to where it belongs.

use super::{Core, Error};
use crate::{
    AGENT,
    backoff::Backoff,
    buffer::Step,
    channel::{self, Channel, Receiver, Sender},
    tls::Fingerprint,
    update::keys::TrustedKeys,
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::{
    device::{CONFIRMS_UPDATES, Down, Hello, StatusReport, TRUSTED_KEYS, Up, WAITS_FOR_WINDOW},
    slots::Slots,
};

/// Most frames of samples that wait for their acknowledgement: enough to keep a long line full, few enough to be sent again.
const WINDOW: u64 = 64;
/// How long a report waits for its acknowledgement before it is said again.
const REPEAT: Duration = Duration::from_secs(30);
/// How long samples may wait for their acknowledgement before the connection counts as broken and they are sent again on another one.
const STALLED: Duration = Duration::from_mins(1);
/// The server's words for what passes by itself.
const PASSING: [&str; 3] = ["busy", "internal", "disk_full"];

/// The report that waits for its acknowledgement.
struct Said {
    report: StatusReport,
    at: Instant,
}

/// What the two directions of a connection tell each other.
struct Talk {
    /// The report that was sent last and is not acknowledged.
    said: Mutex<Option<Said>>,
    /// When samples were acknowledged last, or began to wait.
    heard: Mutex<Instant>,
    /// The certificate that we show on it.
    shown: Option<Fingerprint>,
    /// How the slots stood when they were said last.
    slots: Mutex<Option<Slots>>,
}

/// Why a connection ended.
enum End {
    /// We were asked to stop.
    Stopped,
    /// We want another one at once: another certificate, another stream.
    Again,
    /// The network went away.
    Lost,
    /// The channel broke or was closed.
    Channel(channel::Error),
    /// The state folder cannot be used.
    Broken(Error),
}

impl From<channel::Error> for End {
    fn from(error: channel::Error) -> Self {
        Self::Channel(error)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl From<crate::update::Error> for End {
    fn from(error: crate::update::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl Core {
    /// Keeps a channel open until `stop`, waiting longer and longer between failures.
    pub(super) async fn stay_connected(&self, stop: &CancellationToken) -> Result<(), Error> {
        let mut backoff = Backoff::reconnect();
        let mut carrier = self.carrier.clone();
        loop {
            tokio::select! {
                () = carrier.up() => {}
                () = stop.cancelled() => return Ok(()),
            }
            let shown = self.identity.borrow().fingerprint();
            let end = tokio::select! {
                end = self.connection(stop, &mut backoff) => end,
                () = carrier.lost() => End::Lost,
            };
            self.look(|view| view.connected = false);
            let wait = match end {
                End::Stopped => return Ok(()),
                End::Broken(error) => return Err(error),
                End::Again => continue,
                End::Lost => {
                    tracing::info!("the network went away");
                    backoff.wait(self.entropy.unit())
                }
                End::Channel(error) => {
                    if matches!(error, channel::Error::Refused) && self.config.enrol_url.is_some() {
                        // There may be a way back by the key.
                        self.turned_away.store(true, Ordering::Relaxed);
                        self.renew.send_replace(shown);
                    }
                    let wait = backoff.wait(self.entropy.unit());
                    tracing::warn!(%error, ?wait, "not connected");
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// One connection from its beginning to its end.
    async fn connection(&self, stop: &CancellationToken, backoff: &mut Backoff) -> End {
        match self.connected(stop, backoff).await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn connected(&self, stop: &CancellationToken, backoff: &mut Backoff) -> Result<End, End> {
        let mut identity = self.identity.subscribe();
        let hello = Hello {
            trust_bundle: identity.borrow_and_update().trust_bundle(),
            agent: AGENT.to_owned(),
            boot_id: self.boot_id.clone(),
            firmware: self.updates.running()?,
            attributes: attributes(&self.config.attributes, &self.updates.trusted()),
            stream: self.buffer.lock().stream().to_owned(),
            slots: self.updates.told_slots()?,
        };
        let shown = identity.borrow().fingerprint();
        let (tls, url) = (Arc::clone(&self.tls.lock()), identity.borrow().device_url().to_owned());
        let (channel, welcome) = tokio::select! {
            connected = Channel::connect(&tls, &url, &hello) => connected?,
            () = stop.cancelled() => return Ok(End::Stopped),
        };
        backoff.reset();
        self.turned_away.store(false, Ordering::Relaxed);
        self.clock.raise(welcome.server_time);
        self.buffer.lock().welcome(welcome.acked)?;
        self.look(|view| (view.connected, view.welcomes) = (true, view.welcomes + 1));
        self.bundle.send_replace(welcome.trust_bundle);
        tracing::info!(device = %welcome.device_id, acked = welcome.acked, "connected");

        let (mut up, mut down) = channel.split();
        let talk = Talk { said: Mutex::new(None), heard: Mutex::new(Instant::now()), shown, slots: Mutex::new(hello.slots) };
        let end = tokio::select! {
            end = self.send(&mut up, &talk) => end,
            end = self.receive(&mut down, &talk) => end,
            changed = identity.changed() => changed.map_or(Ok(End::Stopped), |()| Ok(End::Again)),
            () = stop.cancelled() => Ok(End::Stopped),
        };
        if end.is_ok() {
            // A cut mid-frame would be heard as a broken device.
            up.close().await?;
        }
        end
    }

    /// Sends whatever waits: first what operators wait for, then samples as the window allows.
    async fn send(&self, up: &mut Sender, talk: &Talk) -> Result<End, End> {
        loop {
            // One report at a time, so that an acknowledgement is always that of the last one said.
            let free = talk.said.lock().as_ref().is_none_or(|said| said.at.elapsed() >= REPEAT);
            if let Some(report) = self.updates.report().filter(|_| free) {
                let slots = self.other_slots(talk)?;
                up.send(&Up::Status(StatusReport { slots, ..report.clone() })).await?;
                *talk.said.lock() = Some(Said { report, at: Instant::now() });
                continue;
            }
            let step = {
                let mut buffer = self.buffer.lock();
                let in_flight = buffer.in_flight();
                if in_flight == 0 {
                    *talk.heard.lock() = Instant::now();
                } else if talk.heard.lock().elapsed() >= STALLED {
                    return Err(channel::Error::Silent(STALLED).into());
                }
                if in_flight < WINDOW {
                    match buffer.step()? {
                        Step::Turn if in_flight == 0 => {
                            buffer.turn(self.entropy.name())?;
                            tracing::warn!("samples were lost between two that are kept; going on under a new stream");
                            return Ok(End::Again);
                        }
                        step => step,
                    }
                } else {
                    Step::Idle
                }
            };
            if let Step::Send(frame) = step {
                up.feed(&Up::Samples(frame)).await?;
                continue;
            }
            up.flush().await?;
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(REPEAT) => {}
            }
        }
    }

    /// The slots, where they stand otherwise than was said last on this connection: after an installation, a trial, a way back.
    fn other_slots(&self, talk: &Talk) -> Result<Option<Slots>, crate::update::Error> {
        let stand = self.updates.told_slots()?;
        let mut said = talk.slots.lock();
        if *said == stand {
            return Ok(None);
        }
        said.clone_from(&stand);
        Ok(stand)
    }

    async fn receive(&self, down: &mut Receiver, talk: &Talk) -> Result<End, End> {
        loop {
            match down.next().await? {
                Down::Ack { seq } => {
                    self.buffer.lock().ack(seq)?;
                    *talk.heard.lock() = Instant::now();
                    self.wake.notify_one();
                }
                Down::StatusAck { update_id, state } => {
                    let sent = talk.said.lock().take_if(|said| said.report.update_id == update_id);
                    if let Some(Said { report, .. }) = sent {
                        self.updates.acknowledged(&report, state)?;
                        self.wake.notify_one();
                    }
                }
                Down::Offer(offer) => {
                    let identity = Arc::clone(&self.identity.borrow());
                    self.updates.offered(&offer, identity.director(), self.clock.now())?;
                }
                Down::Cancel { update_id } => self.updates.cancelled(&update_id)?,
                Down::Renew => drop(self.renew.send_replace(talk.shown)),
                Down::TrustBundle { version } => drop(self.bundle.send_replace(version)),
                Down::Refused { seq, samples, code, message } => {
                    tracing::warn!(seq, samples, code, message, "the server did not take all we sent");
                    // Without a number it speaks of the report. One that it will never take must not stand before the others.
                    if seq.is_none()
                        && !PASSING.contains(&code.as_str())
                        && let Some(Said { report, .. }) = talk.said.lock().take()
                    {
                        self.updates.acknowledged(&report, report.state)?;
                        self.wake.notify_one();
                    }
                }
                Down::Welcome(_) => tracing::debug!("welcomed twice"),
            }
        }
    }
}

/// What the device says of itself, that it waits for the window of an offer, and that it asks somebody where an offer wants that. One that says which keys
/// it trusts says those that it trusts by now: it may have followed key sets since it was told.
fn attributes(of: &BTreeMap<String, String>, trusted: &TrustedKeys) -> BTreeMap<String, String> {
    let mut attributes = of.clone();
    if attributes.contains_key(TRUSTED_KEYS) {
        attributes.extend(trusted.said());
    }
    for can in [WAITS_FOR_WINDOW, CONFIRMS_UPDATES] {
        attributes.insert(can.to_owned(), "yes".to_owned());
    }
    attributes
}

//! The order of an update: judge, fetch into the other slot, read back, seal, note the switch, switch, restart; then prove, confirm or go back.

use super::{
    Boot, Error, Updates,
    assignment::{self, Director, Problem},
    fetch::{self, Rate, fetch},
    journal::Phase,
    rules,
};
use crate::{backoff::Backoff, clock::Clock, device::Carrier, entropy::Entropy, http, platform::Platform, slots};
use std::time::Duration;
use wire::{
    device::Offer,
    ids::UpdateId,
    manifest::{Manifest, Payload},
    states::UpdateState,
};

/// Most time that reports have to leave before a restart.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long a device that waits for its window trusts its clock.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What executing an update takes from the rest of the device.
pub struct Means<'a> {
    /// Makes a client with the identity of the moment.
    pub client: &'a (dyn Fn() -> Result<http::Client, http::Error> + Send + Sync),
    /// Who this device is, and whose assignments it takes, at the moment.
    pub director: &'a (dyn Fn() -> Director + Send + Sync),
    /// The machine.
    pub platform: &'a dyn Platform,
    /// For expiry and deadlines.
    pub clock: &'a dyn Clock,
    /// For back-off.
    pub entropy: &'a Entropy,
    /// Whether there is a network.
    pub carrier: Carrier,
    /// How fast to download.
    pub rate: Rate,
    /// Most time from the start of a trial to the server's welcome.
    pub confirm_within: Duration,
}

/// Why an attempt ended before the switch.
#[derive(Debug)]
pub(super) enum Stop {
    /// To be reported, and that was it.
    Failed { state: UpdateState, code: &'static str, detail: String },
    /// The journal says why.
    TakenBack,
    /// It was fetched, and is not to be installed.
    Fetched,
    /// The device is broken.
    Broken(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        match error.into() {
            Error::Slots(e @ slots::Error::Digest { .. }) => {
                Self::Failed { state: UpdateState::Failed, code: "digest_mismatch", detail: e.to_string() }
            }
            other => Self::Broken(other),
        }
    }
}

impl Updates {
    /// Proves a trial if the boot was one, then takes updates as they are offered. Returns when the machine has to be restarted.
    ///
    /// `online` resolves once the server has welcomed this device since the start.
    ///
    /// # Errors
    /// When the journal or the slots cannot be written: the device is broken and says so by ending.
    pub async fn run(&self, boot: Boot, means: &Means<'_>, online: impl Future<Output = ()> + Send) -> Result<(), Error> {
        if boot == Boot::Trial && !self.prove(means, online).await? {
            return Ok(());
        }
        loop {
            let changed = self.work.notified();
            let offer = match self.journal.lock().phase() {
                Phase::Working { offer } => Some(offer.clone()),
                _ => None,
            };
            let Some(offer) = offer else {
                changed.await;
                continue;
            };
            match self.attempt(&offer, means).await {
                Ok(()) => {
                    self.last_words().await;
                    return Ok(());
                }
                Err(Stop::Fetched) => {
                    tracing::info!(update = %offer.update_id, "fetched; it is not to be installed");
                    self.change(|journal| journal.finish(offer.update_id.clone(), UpdateState::Downloaded, None, None))?;
                }
                Err(Stop::TakenBack) => tracing::info!(update = %offer.update_id, "stopped"),
                Err(Stop::Failed { state, code, detail }) => {
                    tracing::warn!(update = %offer.update_id, %state, code, detail, "the update is not installed");
                    self.change(|journal| journal.finish(offer.update_id.clone(), state, Some(code), Some(detail)))?;
                }
                Err(Stop::Broken(error)) => {
                    // The server hears of it if the journal can still be written; otherwise the update times out there.
                    let detail = error.to_string();
                    let id = offer.update_id.clone();
                    self.change(|journal| journal.finish(id, UpdateState::Failed, Some("disk_error"), Some(detail)))?;
                    tracing::error!(update = %offer.update_id, %error, "the update cannot be stored");
                }
            }
        }
    }

    /// Up to the switch. `Ok` means that the machine has to be restarted.
    async fn attempt(&self, offer: &Offer, means: &Means<'_>) -> Result<(), Stop> {
        let id = &offer.update_id;
        let refused = |r: rules::Refusal| Stop::Failed { state: r.state, code: r.code, detail: r.detail };
        self.assigned(id, means).await?;
        self.unless_taken_back(offer, self.follow_key_sets(offer, means)).await?;
        let (keys, ended) = {
            let trust = self.trust.lock();
            (trust.keys(&self.facts.device_type), trust.ended(means.clock.now()))
        };
        rules::in_time(ended).map_err(refused)?;
        let manifest = rules::open(&offer.envelope, &keys).map_err(refused)?;
        let running = self.running()?;
        rules::admit(&manifest, &offer.downloads, &running, self.floor(), means.clock.now()).map_err(refused)?;

        self.unless_taken_back(offer, self.agreed(offer, means.clock)).await?;
        let from = self.slots.active()?;
        let to = from.other();
        let deltas: Vec<_> = offer.downloads.iter().filter_map(|d| Some(&d.delta.as_ref()?.sha256)).collect();
        self.slots.prepare(to, &manifest, &deltas)?;
        self.download(offer, &manifest, to, means).await?;
        if offer.download_only {
            return Err(Stop::Fetched);
        }
        self.change(|journal| journal.progress(id, UpdateState::Downloaded, None))?;
        self.window(id, means).await?;
        // The download may have taken days.
        self.assigned(id, means).await?;

        self.change(|journal| journal.progress(id, UpdateState::Installing, None))?;
        let paths: Vec<_> = manifest.payloads.iter().map(|p| self.slots.payload(to, &p.sha256)).collect();
        self.unless_taken_back(offer, async {
            let (slots, manifest) = (self.slots.clone(), manifest.clone());
            tokio::task::spawn_blocking(move || slots.verify_and_seal(to, &manifest))
                .await
                .map_err(|e| Error::Journal(std::io::Error::other(e)))??;
            let installed = means.platform.install(self.slots.path(to), &paths).await;
            if installed.is_err() {
                self.slots.condemn(to)?;
            }
            installed.map_err(|detail| Stop::Failed { state: UpdateState::Failed, code: "install_failed", detail })
        })
        .await?;

        // From here on there is something at stake: the note first, then the link.
        let mut noted = false;
        self.change(|journal| {
            noted = matches!(journal.phase(), Phase::Working { offer } if offer.update_id == *id);
            if noted {
                journal.switching(from);
            }
        })?;
        if !noted {
            return Err(Stop::TakenBack);
        }
        self.slots.activate(to)?;
        tracing::info!(update = %id, version = manifest.version, slot = %to, "installed; restarting into it");
        Ok(())
    }

    /// Goes on while the assignment of the update under way holds (U-2), and waits for the server to renew one that has ended meanwhile.
    async fn assigned(&self, id: &UpdateId, means: &Means<'_>) -> Result<(), Stop> {
        let mut told = false;
        loop {
            let changed = self.work.notified();
            let judged = {
                let journal = self.journal.lock();
                let Phase::Working { offer } = journal.phase() else { return Err(Stop::TakenBack) };
                if offer.update_id != *id {
                    return Err(Stop::TakenBack);
                }
                assignment::judge(offer, &(means.director)(), journal.assigned(), means.clock.now())
            };
            let why = match judged {
                Ok(_) => return Ok(()),
                Err(Problem::Wrong(r)) => return Err(Stop::Failed { state: r.state, code: r.code, detail: r.detail }),
                Err(Problem::Stale(r)) => r.detail,
                Err(Problem::Passing(why)) => why.to_owned(),
            };
            if !told {
                told = true;
                tracing::warn!(update = %id, why, "waiting for the server to renew the assignment");
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, changed).await;
        }
    }

    /// Waits for the window of the update under way, whose times the server may change meanwhile.
    async fn window(&self, id: &UpdateId, means: &Means<'_>) -> Result<(), Stop> {
        let mut told = false;
        loop {
            let changed = self.work.notified();
            let times = match self.journal.lock().phase() {
                Phase::Working { offer } if offer.update_id == *id => (offer.install_from, offer.install_until),
                _ => return Err(Stop::TakenBack),
            };
            let wait = match rules::hours(times.0, times.1, means.clock.now()) {
                rules::Hours::Open => return Ok(()),
                rules::Hours::In(millis) => Duration::from_millis(u64::try_from(millis).unwrap_or_default()).min(LOOK_AGAIN),
                rules::Hours::Over => LOOK_AGAIN,
            };
            if !told {
                told = true;
                self.change(|journal| journal.progress(id, UpdateState::AwaitingWindow, None))?;
                tracing::info!(update = %id, "fetched; waiting for the maintenance window");
                continue;
            }
            // Clocks are put right now and then, so long waits are made of short ones.
            let _ = tokio::time::timeout(wait, changed).await;
        }
    }

    /// Fetches every payload, again and again over cuts and restarts, until it is there, wrong, taken back or too late.
    async fn download(&self, offer: &Offer, manifest: &Manifest, to: slots::Slot, means: &Means<'_>) -> Result<(), Stop> {
        let total: u64 = manifest.payloads.iter().map(|p| p.size).sum();
        let mut before = 0;
        self.change(|journal| journal.progress(&offer.update_id, UpdateState::Downloading, Some(0)))?;
        for payload in &manifest.payloads {
            if !self.slots.payload(to, &payload.sha256).exists() {
                let percent = |got: u64| {
                    let percent = u8::try_from((before + got).saturating_mul(100) / total.max(1)).unwrap_or(100);
                    self.note(|journal| {
                        // Tens are enough for people, and the server is not here for every piece.
                        if journal.latest().and_then(|r| r.progress) != Some(percent / 10 * 10) {
                            journal.progress(&offer.update_id, UpdateState::Downloading, Some(percent / 10 * 10));
                        }
                    });
                };
                self.unless_taken_back(offer, self.payload(offer, payload, to, means, percent)).await?;
                self.slots.complete(to, &payload.sha256)?;
            }
            before += payload.size;
        }
        Ok(())
    }

    /// Brings one payload into the slot, by the shorter way where there is one.
    pub(super) async fn payload(
        &self,
        offer: &Offer,
        payload: &Payload,
        to: slots::Slot,
        means: &Means<'_>,
        progress: impl Fn(u64) + Send,
    ) -> Result<(), Stop> {
        let failed = |code, detail| Stop::Failed { state: UpdateState::Failed, code, detail };
        let Some(download) = offer.downloads.iter().find(|d| d.sha256 == payload.sha256) else {
            return Err(failed("missing_download", format!("no address for {:?}", payload.name)));
        };
        if let Some(delta) = &download.delta
            && self.by_delta((offer, delta, payload), to, means, &progress).await
        {
            return Ok(());
        }
        let part = self.slots.part(to, &payload.sha256);
        let (mut backoff, mut carrier) = (Backoff::reconnect(), means.carrier.clone());
        loop {
            carrier.up().await;
            let attempt = async {
                let client = (means.client)()?;
                fetch(&client, &download.path, payload, &part, means.rate, &progress).await
            };
            let error = tokio::select! {
                done = attempt => match done {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                },
                () = carrier.lost() => fetch::Error::Http(http::Error::Broken("the network went away".into())),
            };
            if !error.passing() {
                return Err(failed(error.code(), error.to_string()));
            }
            if means.clock.now() >= offer.deadline {
                return Err(failed("deadline", format!("not downloaded by the deadline; last: {error}")));
            }
            let wait = backoff.wait(means.entropy.unit());
            tracing::info!(update = %offer.update_id, %error, ?wait, "the download stopped; it goes on from there");
            tokio::time::sleep(wait).await;
        }
    }

    /// Runs `step` unless or until the update is taken back.
    pub(super) async fn unless_taken_back(&self, offer: &Offer, step: impl Future<Output = Result<(), Stop>> + Send) -> Result<(), Stop> {
        let taken_back = async {
            loop {
                let changed = self.work.notified();
                if !self.working_on(&offer.update_id) {
                    return;
                }
                changed.await;
            }
        };
        tokio::select! {
            done = step => done,
            () = taken_back => Err(Stop::TakenBack),
        }
    }

    /// True when the trial was confirmed, false when the machine has to go back.
    async fn prove(&self, means: &Means<'_>, online: impl Future<Output = ()> + Send) -> Result<bool, Error> {
        let active = self.slots.active()?;
        let proof = async {
            means.platform.healthy(self.slots.path(active)).await.map_err(|detail| ("health_check_failed", detail))?;
            // Firmware that cannot reach the server can never be replaced from there.
            tokio::time::timeout(means.confirm_within, online)
                .await
                .map_err(|_| ("no_contact", format!("the server was not reached within {} s", means.confirm_within.as_secs())))
        };
        match proof.await {
            Ok(()) => {
                let firmware = self.running()?;
                tracing::info!(version = firmware.version, sequence = firmware.sequence, "the new firmware is healthy: confirmed");
                self.change(|journal| journal.confirm(firmware))?;
                Ok(true)
            }
            Err((code, detail)) => {
                tracing::warn!(code, detail, "the new firmware is not healthy: going back");
                self.go_back(code, &detail)?;
                self.last_words().await;
                Ok(false)
            }
        }
    }

    /// Gives the channel a moment to hand over what is still to be said; what does not leave now leaves after the restart.
    async fn last_words(&self) {
        let said = async {
            loop {
                let changed = self.work.notified();
                if self.journal.lock().report().is_none() {
                    return;
                }
                changed.await;
            }
        };
        let in_time = tokio::time::timeout(LAST_WORDS, said).await;
        tracing::debug!(all = in_time.is_ok(), "reports before the restart");
    }
}

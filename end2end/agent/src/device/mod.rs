//! One device, put together: measures, buffers, keeps its channel open, renews its certificate and what it trusts, and updates itself.
//!
//! Owns the life of a process of the agent, from its start to the point where the machine has to be restarted. Everything runs in one task, so
//! that a simulator can have thousands. Refuses to know which machine it is on: that comes in as a [`Source`] and a [`Platform`].

mod carrier;
mod link;
mod renewal;
mod trust;

pub use carrier::Carrier;

use crate::{
    buffer::{self, Buffer},
    clock::Clock,
    entropy::Entropy,
    files::Folder,
    http, identity,
    identity::{Identity, Store},
    metrics::Source,
    platform::Platform,
    tls::Fingerprint,
    update::{self, Boot, Facts, Means, Updates, fetch::Rate, keys::TrustedKeys},
};
use parking_lot::Mutex;
use rustls::ClientConfig;
use std::{
    collections::BTreeMap,
    fs::TryLockError,
    io,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_util::sync::CancellationToken;
use wire::device::{Running, Sample, StatusReport};

/// How often what was buffered is synced to disk.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// Most time to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What does not change while a device runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of everything that has to survive.
    pub state: PathBuf,
    /// Type, hardware revision, factory version.
    pub facts: Facts,
    /// The device's own facts, sent with every hello.
    pub attributes: BTreeMap<String, String>,
    /// Whose firmware it installs.
    pub keys: TrustedKeys,
    /// Time between two measurements.
    pub interval: Duration,
    /// Most bytes of buffered samples.
    pub buffer_bytes: u64,
    /// How fast to download.
    pub rate: Rate,
    /// Most time from a start on trial to the server's welcome.
    pub confirm_within: Duration,
    /// The enrol listener, `https://host:port`, for coming back after the certificate has ended or is refused; without it the device has to be enrolled again.
    pub enrol_url: Option<String>,
}

impl Config {
    /// A device of this type with its state in this folder and the defaults for the rest: hardware `A`, factory version `0.0.0`, no trusted key,
    /// a measurement a second.
    pub fn new(state: impl Into<PathBuf>, device_type: impl Into<String>) -> Self {
        Self {
            state: state.into(),
            facts: Facts { device_type: device_type.into(), hardware: "A".into(), factory_version: "0.0.0".into() },
            attributes: BTreeMap::new(),
            keys: TrustedKeys::none(),
            interval: Duration::from_secs(1),
            buffer_bytes: buffer::DEFAULT_BYTES,
            rate: Rate::Unlimited,
            confirm_within: Duration::from_mins(2),
            enrol_url: None,
        }
    }
}

/// What a device is made of.
pub struct Parts {
    /// What measures.
    pub source: Box<dyn Source>,
    /// The machine.
    pub platform: Arc<dyn Platform>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<Entropy>,
    /// The network.
    pub carrier: Carrier,
}

/// Why a device cannot run. Nothing of this passes by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state folder.
    #[error("state folder: {0}")]
    Files(#[from] io::Error),
    /// It has no usable identity.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// It has none at all.
    #[error("this device is not enrolled")]
    NotEnrolled,
    /// Another agent runs in the same state folder.
    #[error("another agent runs in {0}; stop it first or choose another --state")]
    InUse(PathBuf),
    /// The updates cannot be stored.
    #[error(transparent)]
    Update(#[from] update::Error),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to stop.
    Stopped,
    /// Another slot is current: restart the machine, or the agent where the machine is not ours.
    Restart,
}

/// A device as it looks from outside at this moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// Whether the server has welcomed it on the connection it has now.
    pub connected: bool,
    /// How often it was welcomed since it started.
    pub welcomes: u64,
    /// What it runs.
    pub firmware: Running,
    /// The newest word on its updates.
    pub update: Option<StatusReport>,
    /// Records on disk that the server does not have.
    pub waiting: u64,
    /// Samples given up since it started.
    pub dropped: u64,
}

/// One device.
pub struct Device {
    core: Core,
    source: Box<dyn Source>,
}

/// What the device's parts share.
struct Core {
    config: Config,
    platform: Arc<dyn Platform>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    carrier: Carrier,
    store: Store,
    identity: watch::Sender<Arc<Identity>>,
    tls: Mutex<Arc<ClientConfig>>,
    buffer: Mutex<Buffer>,
    updates: Updates,
    boot_id: String,
    /// Held as long as the device lives, so that no two agents share a state folder.
    _lock: std::fs::File,
    /// There may be something to send.
    wake: Notify,
    /// The certificate that the server last asked to be renewed, or refused.
    renew: watch::Sender<Option<Fingerprint>>,
    /// Whether it was refused since the last welcome: its authority may have been given up.
    turned_away: AtomicBool,
    /// The version of the trust bundle that the server has; 0 while it has said none.
    bundle: watch::Sender<i64>,
    view: watch::Sender<View>,
}

impl Device {
    /// A device from its state folder, which must hold an identity (see [`identity::enrol`]).
    pub fn open(config: Config, parts: Parts) -> Result<Self, Error> {
        let Parts { source, platform, clock, entropy, carrier } = parts;
        let store = Store::open(&config.state)?;
        let identity = store.load()?.ok_or(Error::NotEnrolled)?;
        let lock = std::fs::File::create(config.state.join(".lock"))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => Error::InUse(config.state.clone()),
            TryLockError::Error(e) => Error::Files(e),
        })?;
        let tls = identity.tls(Arc::clone(&clock))?;
        let buffer = Buffer::open(config.state.join("buffer"), config.buffer_bytes, || entropy.name())?;
        let updates = Updates::open(Folder::open(&config.state)?, config.facts.clone(), config.keys.clone())?;
        let view = View { firmware: updates.running()?, update: updates.latest().borrow().clone(), ..View::default() };
        let core = Core {
            boot_id: entropy.name(),
            _lock: lock,
            config,
            platform,
            clock,
            entropy,
            carrier,
            store,
            identity: watch::Sender::new(Arc::new(identity)),
            tls: Mutex::new(tls),
            buffer: Mutex::new(buffer),
            updates,
            wake: Notify::new(),
            renew: watch::Sender::new(None),
            turned_away: AtomicBool::new(false),
            bundle: watch::Sender::new(0),
            view: watch::Sender::new(view),
        };
        Ok(Self { core, source })
    }

    /// How it looks from outside, now and whenever that changes.
    pub fn view(&self) -> watch::Receiver<View> {
        self.core.view.subscribe()
    }

    /// Keeps samples for sending, beside those of its source.
    pub fn append(&self, samples: &[Sample]) -> io::Result<()> {
        self.core.buffer.lock().append(samples)?;
        self.core.wake.notify_one();
        Ok(())
    }

    /// Runs until `cancel` or until the machine has to be restarted. A cut connection, a silent server and a refused certificate are no
    /// endings: it tries again.
    ///
    /// # Errors
    /// When its state can no longer be stored.
    pub async fn run(self, cancel: CancellationToken) -> Result<Ending, Error> {
        let Self { core, source } = self;
        let boot = core.updates.boot()?;
        core.look(|view| view.update.clone_from(&core.updates.latest().borrow()));
        if boot == Boot::WentBack {
            return Ok(Ending::Restart);
        }
        let stop = CancellationToken::new();
        let link = core.stay_connected(&stop);
        tokio::pin!(link);
        let ending = tokio::select! {
            failed = &mut link => failed.map(|()| Ending::Stopped),
            never = core.measure(source) => never,
            never = core.keep_certificate() => never,
            never = core.keep_trust() => never,
            restart = core.update(boot) => restart.map(|()| Ending::Restart),
            () = core.watch_reports() => Ok(Ending::Stopped),
            () = cancel.cancelled() => Ok(Ending::Stopped),
        };
        stop.cancel();
        // The link may have ended above; what it says now changes nothing.
        if ending.is_ok() && timeout(GOODBYE, link).await.is_err() {
            tracing::debug!("the server did not hear our goodbye");
        }
        let unsynced = core.buffer.lock().unsynced();
        sync(unsynced).await;
        ending
    }
}

impl Core {
    /// Measures once an interval, for ever.
    async fn measure(&self, mut source: Box<dyn Source>) -> Result<Ending, Error> {
        // Devices that started together must not measure together.
        let first = Instant::now() + self.config.interval.mul_f64(self.entropy.unit());
        let mut ticks = interval_at(first, self.config.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut synced = first;
        let (mut samples, mut told, mut full) = (Vec::new(), 0, false);
        loop {
            let tick = ticks.tick().await;
            samples.clear();
            let now = self.clock.now();
            source.sample(now, &mut samples);
            let (result, dropped) = {
                let mut buffer = self.buffer.lock();
                if buffer.dropped() > told {
                    told = buffer.dropped();
                    #[expect(clippy::cast_precision_loss, reason = "a count for people")]
                    samples.push(Sample { m: "agent.dropped".into(), t: now.millis(), v: told as f64 });
                }
                (buffer.append(&samples), buffer.dropped())
            };
            match result {
                Ok(()) => full = false,
                Err(error) if !full => {
                    full = true;
                    tracing::error!(%error, "samples cannot be buffered; they are dropped until they can");
                }
                Err(_) => {}
            }
            self.wake.notify_one();
            let waiting = self.buffer.lock().waiting();
            self.look(|view| (view.waiting, view.dropped) = (waiting, dropped));
            if tick.duration_since(synced) >= SYNC_EVERY {
                synced = tick;
                let unsynced = self.buffer.lock().unsynced();
                sync(unsynced).await;
            }
        }
    }

    /// Takes updates. Returns when the machine has to be restarted.
    async fn update(&self, boot: Boot) -> Result<(), Error> {
        let client = || http::Client::new(Arc::clone(&self.tls.lock()), self.identity.borrow().device_url());
        let director = || self.identity.borrow().director().clone();
        let means = Means {
            client: &client,
            director: &director,
            platform: self.platform.as_ref(),
            clock: self.clock.as_ref(),
            entropy: &self.entropy,
            carrier: self.carrier.clone(),
            rate: self.config.rate,
            confirm_within: self.config.confirm_within,
        };
        let mut view = self.view.subscribe();
        let online = async move {
            if view.wait_for(|view| view.connected).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        Ok(self.updates.run(boot, &means, online).await?)
    }

    /// Wakes the link for every new report, and shows it.
    async fn watch_reports(&self) {
        let mut latest = self.updates.latest();
        while latest.changed().await.is_ok() {
            let update = latest.borrow_and_update().clone();
            // What runs may have changed along with it.
            let firmware = self.updates.running();
            self.look(|view| {
                view.update = update;
                if let Ok(firmware) = firmware {
                    view.firmware = firmware;
                }
            });
            self.wake.notify_one();
        }
    }

    fn look(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(change);
    }
}

/// Syncs files that may be gone by now, where blocking does no harm.
async fn sync(files: Vec<PathBuf>) {
    if files.is_empty() {
        return;
    }
    let synced = tokio::task::spawn_blocking(move || {
        files.iter().try_for_each(|path| match std::fs::File::open(path) {
            Ok(file) => file.sync_data(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        })
    });
    match synced.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "buffered samples could not be synced"),
        Err(error) => tracing::warn!(%error, "the sync did not end"),
    }
}

#[cfg(test)]
mod tests;

//! A fleet in one process: real certificates, real TLS, real channels, real downloads; only sensors and machines are made up.
//!
//! Owns the number, the names and the misfortunes of the devices. Each is a [`Device`](crate::device::Device) like any other, in its own
//! folder under the fleet's, and one task; none has a thread of its own.

mod life;
pub mod machine;
pub mod model;

use crate::{
    clock::Clock,
    device::{self, View},
    entropy::Entropy,
    identity::{self, Enrolment},
    tls::Trust,
    update::{fetch::Rate, keys::TrustedKeys},
};
use futures::future::join_all;
use life::Life;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::enrolment::AgentKey;

/// Enrolments under way at the same time.
const ENROLLING: usize = 16;

/// What fleet to simulate.
#[derive(Debug, Clone)]
pub struct Config {
    /// The enrol listener, `https://host:port`.
    pub enrol_url: String,
    /// A token for as many uses as there are devices.
    pub token: String,
    /// Whom to believe on first contact.
    pub trust: Trust,
    /// The fleet's folder; a fleet that is started again in it goes on where it was.
    pub state: PathBuf,
    /// How many devices.
    pub count: usize,
    /// How many of them lose their connections at random and have one download cut; the first ones.
    pub flaky: usize,
    /// Names are the prefix and a number: `sim-0001`.
    pub prefix: String,
    /// The same seed makes the same devices, measurements and misfortunes.
    pub seed: u64,
    /// Device type.
    pub device_type: String,
    /// Hardware revisions, taken in turn.
    pub hardware: Vec<String>,
    /// The version every device comes with.
    pub factory_version: String,
    /// Whose firmware they install.
    pub keys: TrustedKeys,
    /// Whether they say so to the server, as an agent does; it then offers them nothing that they would refuse for its signatures.
    pub says_keys: bool,
    /// The keys they make for themselves.
    pub key: AgentKey,
    /// Time between two measurements.
    pub interval: Duration,
    /// Most time that downloading, installing and starting take, each.
    pub pace: Duration,
    /// Mean time between two cuts of a flaky device.
    pub cut_every: Duration,
    /// Most bytes that each device buffers.
    pub buffer_bytes: u64,
}

impl Config {
    /// So many gateways that enrol there, with the defaults for the rest: revisions `A` and `B`, version `1.0.0`, a measurement a second, and no key that they
    /// trust, which they say.
    pub fn new(enrol_url: impl Into<String>, token: impl Into<String>, trust: Trust, state: impl Into<PathBuf>, count: usize) -> Self {
        Self {
            enrol_url: enrol_url.into(),
            token: token.into(),
            trust,
            state: state.into(),
            count,
            flaky: 0,
            prefix: "sim-".into(),
            seed: 1,
            device_type: "sim-gateway".into(),
            hardware: vec!["A".into(), "B".into()],
            factory_version: "1.0.0".into(),
            keys: TrustedKeys::none(),
            says_keys: true,
            key: AgentKey::USUAL,
            interval: Duration::from_secs(1),
            pace: Duration::from_secs(5),
            cut_every: Duration::from_mins(1),
            buffer_bytes: 4 << 20,
        }
    }

    /// The name of the device with this number, counted from 0.
    pub fn device_id(&self, number: usize) -> String {
        format!("{}{:04}", self.prefix, number + 1)
    }

    fn attributes(number: usize) -> BTreeMap<String, String> {
        const SITES: [(&str, &str); 6] = [
            ("berlin-1", "eu-central"),
            ("lyon-2", "eu-west"),
            ("oslo-1", "eu-north"),
            ("austin-3", "us-south"),
            ("osaka-1", "ap-east"),
            ("porto-1", "eu-west"),
        ];
        let (site, region) = SITES[number % SITES.len()];
        let facts = [("site", site), ("region", region), ("model", "SG-200"), ("simulated", "true")];
        facts.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }
}

/// Why a fleet or one of its devices does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system gave no randomness, or a folder cannot be made.
    #[error(transparent)]
    Files(#[from] std::io::Error),
    /// A device was not enrolled.
    #[error("{device_id} is not enrolled: {source}")]
    Enrol {
        /// Which.
        device_id: String,
        /// Why.
        source: identity::Error,
    },
    /// A device cannot run.
    #[error(transparent)]
    Device(#[from] device::Error),
}

/// A fleet that runs. Dropping it stops nothing: see [`Fleet::stop`].
#[derive(Debug)]
pub struct Fleet {
    views: Vec<(String, watch::Receiver<View>)>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl Fleet {
    /// Enrols every device that is not enrolled yet, and starts all of them. Returns once they are enrolled; they connect on their own.
    ///
    /// # Errors
    /// The first device that could not be enrolled; the others are not started.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::start_with(config, clock, |_| {}).await
    }

    /// The same, telling how many are enrolled as it goes.
    pub async fn start_with(config: Config, clock: Arc<dyn Clock>, enrolled: impl Fn(usize) + Sync) -> Result<Self, Error> {
        let config = Arc::new(config);
        let (gate, done) = (Semaphore::new(ENROLLING), AtomicUsize::new(0));
        let enrolments = (0..config.count).map(|number| {
            let (config, clock, gate, done, enrolled) = (&config, &clock, &gate, &done, &enrolled);
            async move {
                let _permit = gate.acquire().await;
                enrol(config, number, clock).await?;
                enrolled(done.fetch_add(1, Ordering::Relaxed) + 1);
                Ok::<_, Error>(())
            }
        });
        join_all(enrolments).await.into_iter().collect::<Result<Vec<()>, _>>()?;

        let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut views = Vec::with_capacity(config.count);
        for number in 0..config.count {
            let device_id = config.device_id(number);
            let (tell, view) = watch::channel(View::default());
            let life = Life {
                config: Arc::clone(&config),
                number,
                entropy: Entropy::seeded(config.seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                clock: Arc::clone(&clock),
                view: tell,
            };
            let (cancel, id) = (cancel.clone(), device_id.clone());
            tasks.spawn(async move {
                if let Err(error) = Box::pin(life.live(cancel)).await {
                    tracing::error!(device = id, %error, "a simulated device has ended");
                }
            });
            views.push((device_id, view));
        }
        tasks.close();
        Ok(Self { views, cancel, tasks })
    }

    /// Every device's name and how it looks.
    pub fn views(&self) -> impl Iterator<Item = (&str, View)> {
        self.views.iter().map(|(id, view)| (id.as_str(), view.borrow().clone()))
    }

    /// The view of one device, by its number.
    pub fn view(&self, number: usize) -> Option<watch::Receiver<View>> {
        self.views.get(number).map(|(_, view)| view.clone())
    }

    /// How many are connected now.
    pub fn connected(&self) -> usize {
        self.views.iter().filter(|(_, view)| view.borrow().connected).count()
    }

    /// Says goodbye with every device and waits until all have ended.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

/// Enrols one device if it is not. A busy server is asked again for a minute.
async fn enrol(config: &Config, number: usize, clock: &Arc<dyn Clock>) -> Result<(), Error> {
    let device_id = config.device_id(number);
    let failed = |source| Error::Enrol { device_id: device_id.clone(), source };
    let store = identity::Store::open(config.state.join(&device_id)).map_err(failed)?;
    let enrolment = Enrolment {
        url: config.enrol_url.clone(),
        token: config.token.clone(),
        claim: None,
        organization: None,
        trust: config.trust.clone(),
        device_id: device_id.clone(),
        device_type: config.device_type.clone(),
        hardware: life::hardware(config, number),
        attributes: Config::attributes(number),
        key: Some(config.key),
    };
    let mut attempts = 0;
    loop {
        match identity::enrol(&store, &enrolment, Arc::clone(clock)).await {
            Ok(_) => return Ok(()),
            Err(identity::Error::Http(e)) if e.passing() && attempts < 60 => {
                attempts += 1;
                tracing::debug!(device = device_id, error = %e, "not enrolled yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(e) => return Err(failed(e)),
        }
    }
}

/// How fast the simulated devices download.
fn rate(config: &Config) -> Rate {
    Rate::Spread(config.pace)
}

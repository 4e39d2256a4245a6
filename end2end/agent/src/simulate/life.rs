//! The life of one simulated device: start after start, with misfortunes in between.

use super::{Config, Error, machine::Machine, model::Model, rate};
use crate::{
    clock::Clock,
    device::{self, Carrier, Device, Ending, Parts, View},
    entropy::Entropy,
    files::Folder,
    platform::Platform,
    update::{Facts, Updates},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wire::states::UpdateState;

/// Most time that a flaky device is away.
const AWAY: Duration = Duration::from_secs(12);

/// The hardware revision of the device with this number.
pub fn hardware(config: &Config, number: usize) -> String {
    config.hardware.get(number % config.hardware.len().max(1)).cloned().unwrap_or_default()
}

/// One device.
pub struct Life {
    /// The fleet's.
    pub config: Arc<Config>,
    /// Counted from 0.
    pub number: usize,
    /// Its own chance.
    pub entropy: Arc<Entropy>,
    /// The fleet's.
    pub clock: Arc<dyn Clock>,
    /// For whoever watches.
    pub view: watch::Sender<View>,
}

impl Life {
    /// Runs the device until `cancel`, over all its restarts.
    pub async fn live(self, cancel: CancellationToken) -> Result<(), Error> {
        let device_id = self.config.device_id(self.number);
        let machine = Machine::new(self.config.seed, &device_id, self.config.pace, Arc::clone(&self.entropy));
        let machine = Arc::new(machine);
        let mut cut_a_download = self.number < self.config.flaky;
        loop {
            let (plug, carrier) = Carrier::switched();
            let parts = Parts {
                source: Box::new(Model::new(Arc::clone(&self.entropy))),
                platform: Arc::clone(&machine) as Arc<dyn Platform>,
                clock: Arc::clone(&self.clock),
                entropy: Arc::clone(&self.entropy),
                carrier,
            };
            let device = Device::open(self.device_config(&device_id), parts)?;
            let watched = device.view();
            let ending = tokio::select! {
                ending = device.run(cancel.clone()) => ending?,
                () = self.show(watched.clone()) => Ending::Stopped,
                () = self.misfortunes(&plug, watched, &mut cut_a_download) => Ending::Stopped,
            };
            self.view.send_modify(|view| view.connected = false);
            if ending == Ending::Stopped {
                return Ok(());
            }
            tokio::select! {
                started = self.start(&machine, &device_id) => started?,
                () = cancel.cancelled() => return Ok(()),
            }
        }
    }

    fn device_config(&self, device_id: &str) -> device::Config {
        let keys = self.config.keys.said().into_iter().filter(|_| self.config.says_keys);
        device::Config {
            facts: self.facts(),
            attributes: Config::attributes(self.number).into_iter().chain(keys).collect(),
            keys: self.config.keys.clone(),
            interval: self.config.interval,
            buffer_bytes: self.config.buffer_bytes,
            rate: rate(&self.config),
            enrol_url: Some(self.config.enrol_url.clone()),
            ..device::Config::new(self.config.state.join(device_id), self.config.device_type.clone())
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            device_type: self.config.device_type.clone(),
            hardware: hardware(&self.config, self.number),
            factory_version: self.config.factory_version.clone(),
        }
    }

    /// Starts the machine from its current slot. Firmware that does not start has had its trial: the next start finds that out and goes back,
    /// exactly as after a crash of the real one.
    async fn start(&self, machine: &Machine, device_id: &str) -> Result<(), Error> {
        let state = Folder::open(self.config.state.join(device_id))?;
        let updates = Updates::open(state, self.facts(), self.config.keys.clone()).map_err(device::Error::from)?;
        let slot = updates.slots().active().map_err(|e| device::Error::Update(e.into()))?;
        if !machine.start(updates.slots().path(slot)).await? {
            updates.boot().map_err(device::Error::from)?;
            tracing::info!(device = device_id, %slot, "the firmware does not start; the watchdog resets");
        }
        Ok(())
    }

    async fn show(&self, mut watched: watch::Receiver<View>) {
        loop {
            let now = watched.borrow_and_update().clone();
            self.view.send_replace(now);
            if watched.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Pulls the plug of a flaky device at random, and once in the middle of a download.
    async fn misfortunes(&self, plug: &watch::Sender<bool>, mut watched: watch::Receiver<View>, cut_a_download: &mut bool) {
        if self.number >= self.config.flaky {
            return std::future::pending().await;
        }
        loop {
            let until = self.config.cut_every.mul_f64(self.entropy.between(0.3, 1.7));
            let cut = *cut_a_download;
            let found = async { watched.wait_for(|view| cut && downloading(view)).await.is_ok() };
            tokio::select! {
                () = tokio::time::sleep(until) => {}
                seen = found => if seen {
                    *cut_a_download = false;
                } else {
                    return std::future::pending().await;
                },
            }
            plug.send_replace(false);
            tokio::time::sleep(AWAY.mul_f64(self.entropy.between(0.2, 1.0))).await;
            plug.send_replace(true);
        }
    }
}

/// Well into a download.
fn downloading(view: &View) -> bool {
    view.update.as_ref().is_some_and(|r| r.state == UpdateState::Downloading && r.progress >= Some(20))
}

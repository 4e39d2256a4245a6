//! Presence: who is connected, since when, from where. Written in batches, so that ten thousand devices that come back at once cost a few
//! commits. Presence is never acknowledged to anybody; a crash loses at most the last batch, and the next start closes what it left open.

use super::{DeviceNo, Devices, Error, store};
use crate::{
    bus::{Bus, Event},
    db::{Db, Tx, exec, rows},
};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::Notify;
use wire::{Timestamp, device::Hello, ids::OrgId};

/// A connection that has said who it is.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Whose.
    pub org: OrgId,
    /// Which device.
    pub device: DeviceNo,
    /// From where.
    pub address: String,
    /// What it said.
    pub hello: Hello,
}

enum Change {
    Up(Box<Connected>, Timestamp),
    Down { org: OrgId, device: DeviceNo, reason: &'static str, at: Timestamp },
}

pub(super) struct Presence {
    db: Db,
    bus: Bus,
    changes: Mutex<Vec<Change>>,
    seen: Mutex<HashMap<DeviceNo, Timestamp>>,
    // How many channels a device has open: while a new one is up, the end of an old one doesn't make it offline.
    open: Mutex<HashMap<DeviceNo, u32>>,
    wake: Notify,
}

impl Presence {
    pub(super) fn new(db: Db, bus: Bus) -> Self {
        Self { db, bus, changes: Mutex::default(), seen: Mutex::default(), open: Mutex::default(), wake: Notify::new() }
    }

    async fn write(&self, batch: Vec<Change>) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        let mut touched = Vec::with_capacity(batch.len());
        for change in batch {
            match change {
                Change::Up(c, at) => {
                    connect(&mut tx, &c, at).await?;
                    touched.push((c.org, c.device));
                }
                Change::Down { org, device, reason, at } => {
                    exec!(&mut tx, store::DISCONNECTED, device, at.0)?;
                    exec!(&mut tx, store::CONNECTION_CLOSE, device, at.0, reason)?;
                    touched.push((org, device));
                }
            }
        }
        tx.commit().await?;
        for (org, device) in touched {
            self.bus.tell(Event::Device { org, device });
        }
        Ok(())
    }
}

async fn connect(tx: &mut Tx, c: &Connected, at: Timestamp) -> Result<(), Error> {
    let org = c.org.as_str();
    let firmware = &c.hello.firmware;
    exec!(tx, store::CONNECTION_CLOSE, c.device, at.0, "replaced by a new connection")?;
    exec!(
        tx,
        store::CONNECTED,
        c.device,
        at.0,
        c.address.as_str(),
        clean(&c.hello.agent),
        clean(&c.hello.boot_id),
        clean(&firmware.version),
        i64::try_from(firmware.sequence).unwrap_or(i64::MAX),
        clean(&firmware.device_type),
        clean(&firmware.hardware)
    )?;
    exec!(tx, store::CONNECTION_OPEN, org, c.device, at.0, c.address.as_str())?;
    let said: BTreeMap<String, String> = c
        .hello
        .attributes
        .iter()
        .take(wire::device::MAX_ATTRIBUTES)
        .map(|(name, value)| (clean(name), clean(value)))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    let known: BTreeMap<String, String> = rows!(tx, (String, String), store::ATTRIBUTES, c.device)?.into_iter().collect();
    for name in known.keys().filter(|n| !said.contains_key(*n)) {
        exec!(tx, store::ATTRIBUTE_DROP, c.device, name.as_str())?;
    }
    for (name, value) in said.iter().filter(|(n, v)| known.get(*n) != Some(*v)) {
        exec!(tx, store::ATTRIBUTE_SET, c.device, org, name.as_str(), value.as_str())?;
    }
    Ok(())
}

/// A device's word as we keep it: without control characters, at most [`wire::device::MAX_ATTRIBUTE`] bytes.
pub(super) fn clean(word: &str) -> String {
    let mut kept: String = word.chars().filter(|c| !c.is_control()).collect();
    while kept.len() > wire::device::MAX_ATTRIBUTE {
        kept.pop();
    }
    kept.trim().to_owned()
}

impl Devices {
    /// A channel is open and has said hello.
    pub fn connected(&self, connection: Connected) {
        let now = self.clock.now();
        *self.presence.open.lock().entry(connection.device).or_default() += 1;
        self.presence.changes.lock().push(Change::Up(Box::new(connection), now));
        self.presence.wake.notify_one();
    }

    /// A channel that had said hello is closed.
    pub fn disconnected(&self, org: &OrgId, device: DeviceNo, reason: &'static str) {
        let mut open = self.presence.open.lock();
        let left = open.get(&device).map_or(0, |n| n.saturating_sub(1));
        if left > 0 {
            open.insert(device, left);
            return;
        }
        open.remove(&device);
        drop(open);
        let at = self.clock.now();
        self.presence.changes.lock().push(Change::Down { org: org.clone(), device, reason, at });
        self.presence.wake.notify_one();
    }

    /// The device was heard of; written every few seconds.
    pub fn seen(&self, device: DeviceNo) {
        self.presence.seen.lock().insert(device, self.clock.now());
    }

    /// Closes what a server that died left open. Once, before the device listener opens.
    pub async fn reset_presence(&self) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::ALL_OFFLINE)?;
        exec!(&mut tx, store::ALL_CLOSED, self.clock.now().0, "the server was restarted")?;
        // A month of connections is what the pages show.
        exec!(&mut tx, store::CONNECTIONS_FORGET, self.clock.now().plus(-31 * 24 * 3600 * 1000).0)?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes what has piled up: changes at once, last-seen times when `seen` is set. Called by a worker and at the end.
    pub async fn flush_presence(&self, seen: bool) -> Result<(), Error> {
        loop {
            let batch: Vec<Change> = {
                let mut changes = self.presence.changes.lock();
                let n = changes.len().min(512);
                changes.drain(..n).collect()
            };
            if batch.is_empty() {
                break;
            }
            self.presence.write(batch).await?;
        }
        if seen {
            let times = std::mem::take(&mut *self.presence.seen.lock());
            if !times.is_empty() {
                let mut tx = self.db.write().await?;
                for (device, at) in times {
                    exec!(&mut tx, store::SEEN, device, at.0)?;
                }
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Waits until somebody came or went.
    pub async fn presence_changed(&self) {
        self.presence.wake.notified().await;
    }
}

//! Presence: who is connected, since when, from where. Written in batches, so that ten thousand devices that come back at once cost a few
//! commits. Presence is never acknowledged to anybody; a crash loses at most the last batch, and the next start closes what it left open.

use super::{DeviceNo, Devices, Error, slots, store};
use crate::{
    bus::{Bus, Event},
    db::{self, Conn, Db, Tx, exec, list, rows},
    text::unseen,
};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use tokio::sync::Notify;
use wire::{
    Timestamp,
    device::{Hello, Telling},
    ids::OrgId,
    selector::order_of,
    slots::Slots,
};

/// The attribute in which a device without a channel says its firmware's version, as in the manifest.
pub const FIRMWARE_VERSION: &str = "firmware_version";
/// The same for its sequence. One without the other says nothing.
pub const FIRMWARE_SEQUENCE: &str = "firmware_sequence";
/// The same for its hardware revision; taken once.
pub const HARDWARE: &str = "hardware";

/// Last-seen times of one statement.
const SEEN_AT_ONCE: usize = 1000;

#[derive(Serialize)]
struct Seen {
    device: DeviceNo,
    at: i64,
}

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

#[derive(Clone)]
enum Change {
    Up(Box<Connected>, Timestamp),
    Down { org: OrgId, device: DeviceNo, reason: &'static str, at: Timestamp },
    Slots { org: OrgId, device: DeviceNo, slots: Slots, at: Timestamp },
}

pub(super) struct Presence {
    db: Db,
    bus: Bus,
    heard: Mutex<Heard>,
    // One at a time writes: what it writes stays in front of the queue until it is committed.
    writing: tokio::sync::Mutex<()>,
    wake: Notify,
}

/// What is known and not yet written. Under one lock, so that changes stand in the order the channels came and went.
#[derive(Default)]
struct Heard {
    changes: VecDeque<Change>,
    seen: BTreeMap<DeviceNo, Timestamp>,
    // How many channels a device has open: while a new one is up, the end of an old one doesn't make it offline.
    open: HashMap<DeviceNo, u32>,
}

impl Change {
    const fn device(&self) -> DeviceNo {
        match self {
            Self::Up(c, _) => c.device,
            Self::Down { device, .. } | Self::Slots { device, .. } => *device,
        }
    }
}

impl Presence {
    pub(super) fn new(db: Db, bus: Bus) -> Self {
        Self { db, bus, heard: Mutex::default(), writing: tokio::sync::Mutex::default(), wake: Notify::new() }
    }

    async fn write(&self, mut batch: Vec<Change>) -> Result<(), Error> {
        // Rows are locked in the order of devices by everybody who locks many; each device's own changes keep their order.
        batch.sort_by_key(Change::device);
        let mut tx = self.db.write().await?;
        // Asked once of all: they come with every hello, and are seldom others.
        let say: Vec<DeviceNo> = batch.iter().filter(|change| !matches!(change, Change::Down { .. })).map(Change::device).collect();
        let mut kept = slots::of_many(&mut tx, &say).await?;
        let mut touched = Vec::with_capacity(batch.len());
        for change in batch {
            match change {
                Change::Up(c, at) => {
                    connect(&mut tx, &c, at).await?;
                    let said = c.hello.slots.as_ref().map_or(&[][..], Slots::as_slice);
                    slots::keep(&mut tx, (&c.org, c.device), said, at, &mut kept).await?;
                    touched.push((c.org, c.device));
                }
                Change::Down { org, device, reason, at } => {
                    exec!(&mut tx, store::DISCONNECTED, device, at.0)?;
                    exec!(&mut tx, store::CONNECTION_CLOSE, device, at.0, reason)?;
                    touched.push((org, device));
                }
                Change::Slots { org, device, slots, at } => {
                    if slots::keep(&mut tx, (&org, device), slots.as_slice(), at, &mut kept).await? {
                        touched.push((org, device));
                    }
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
        clean(&firmware.hardware),
        c.hello.trust_bundle.max(0),
        order_of(&clean(&firmware.version))
    )?;
    exec!(tx, store::CONNECTION_OPEN, org, c.device, at.0, c.address.as_str())?;
    set_attributes(tx, &c.org, c.device, Telling::Replace, &c.hello.attributes).await
}

/// Keeps what a device says of itself.
pub(super) async fn set_attributes(
    tx: &mut Tx,
    org: &OrgId,
    device: DeviceNo,
    telling: Telling,
    attributes: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let known: BTreeMap<String, String> = rows!(tx, (String, String), store::ATTRIBUTES, device)?.into_iter().collect();
    let kept = facts(&told(telling, known.clone(), facts(attributes)));
    for name in known.keys().filter(|n| !kept.contains_key(*n)) {
        exec!(tx, store::ATTRIBUTE_DROP, device, name.as_str())?;
    }
    for (name, value) in kept.iter().filter(|(n, v)| known.get(*n) != Some(*v)) {
        exec!(tx, store::ATTRIBUTE_SET, device, org.as_str(), name.as_str(), value.as_str())?;
    }
    Ok(())
}

/// What is known after a device said more.
fn told(telling: Telling, mut known: BTreeMap<String, String>, said: BTreeMap<String, String>) -> BTreeMap<String, String> {
    match telling {
        Telling::Replace => return said,
        Telling::Merge => known.extend(said),
        Telling::Remove => known.retain(|name, _| !said.contains_key(name)),
    }
    known
}

/// The firmware that a device says it runs in its attributes, if it says all of it.
fn runs(own: &BTreeMap<String, String>) -> Option<(&str, i64)> {
    let version = own.get(FIRMWARE_VERSION).filter(|version| !version.trim().is_empty())?;
    let sequence = own.get(FIRMWARE_SEQUENCE)?.trim().parse().ok().filter(|sequence| *sequence >= 0)?;
    Some((version.trim(), sequence))
}

/// The firmware that a device without a channel says it runs, by one message and what it has told before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its version.
    pub version: String,
    /// Its sequence; none when it has never told one.
    pub sequence: Option<i64>,
    /// Whether this message tells the version.
    pub fresh: bool,
    /// Whether it tells both.
    pub whole: bool,
}

/// Whether a message of a device without a channel tells anything of what it runs.
pub(crate) fn tells_firmware(telling: Telling, said: &BTreeMap<String, String>) -> bool {
    telling != Telling::Remove && said.keys().any(|name| matches!(clean(name).as_str(), FIRMWARE_VERSION | FIRMWARE_SEQUENCE))
}

/// What a message of a device without a channel tells of what it runs, with what is kept of it and stays; none when that is no version, or no number as
/// its sequence. To be asked of one that [tells of its firmware](tells_firmware), before it is kept.
pub(crate) async fn said_to_run(
    on: &mut impl Conn,
    device: DeviceNo,
    telling: Telling,
    said: &BTreeMap<String, String>,
) -> Result<Option<Told>, db::Error> {
    let known = rows!(on, (String, String), store::ATTRIBUTES, device)?.into_iter().collect();
    Ok(merged(telling, known, facts(said)))
}

/// Pure: the same of what was known and is said.
fn merged(telling: Telling, known: BTreeMap<String, String>, said: BTreeMap<String, String>) -> Option<Told> {
    let says = |name: &str| said.get(name).is_some_and(|value| !value.trim().is_empty());
    let (fresh, numbered) = (says(FIRMWARE_VERSION), says(FIRMWARE_SEQUENCE));
    let all = told(telling, known, said);
    let word = |name: &str| all.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let version = word(FIRMWARE_VERSION)?;
    let sequence = match word(FIRMWARE_SEQUENCE) {
        Some(sequence) => Some(sequence.parse::<i64>().ok().filter(|sequence| *sequence >= 0)?),
        None => None,
    };
    (fresh || numbered).then_some(Told { version, sequence, fresh, whole: fresh && numbered })
}

/// What a device says of itself as we keep it, at most [`wire::device::MAX_ATTRIBUTES`] of it.
pub(super) fn facts(attributes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let said = attributes.iter().take(wire::device::MAX_ATTRIBUTES).map(|(name, value)| (clean(name), clean(value)));
    said.filter(|(name, _)| !name.is_empty()).collect()
}

/// A device's word as we keep it: without characters that control or reorder what is shown, at most [`wire::device::MAX_ATTRIBUTE`] bytes.
pub(super) fn clean(word: &str) -> String {
    let mut kept: String = word.chars().filter(|c| !unseen(*c)).collect();
    while kept.len() > wire::device::MAX_ATTRIBUTE {
        kept.pop();
    }
    kept.trim().to_owned()
}

impl Devices {
    /// A channel is open and has said hello.
    pub fn connected(&self, connection: Connected) {
        let now = self.clock.now();
        let mut heard = self.presence.heard.lock();
        *heard.open.entry(connection.device).or_default() += 1;
        heard.changes.push_back(Change::Up(Box::new(connection), now));
        drop(heard);
        self.presence.wake.notify_one();
    }

    /// A channel that had said hello is closed.
    pub fn disconnected(&self, org: &OrgId, device: DeviceNo, reason: &'static str) {
        let at = self.clock.now();
        let mut heard = self.presence.heard.lock();
        let left = heard.open.get(&device).map_or(0, |n| n.saturating_sub(1));
        if left > 0 {
            heard.open.insert(device, left);
            return;
        }
        heard.open.remove(&device);
        heard.changes.push_back(Change::Down { org: org.clone(), device, reason, at });
        drop(heard);
        self.presence.wake.notify_one();
    }

    /// A device says its slots other than in a hello. Written with what came before it, so that its newest word stands.
    pub fn says_slots(&self, org: &OrgId, device: DeviceNo, slots: Slots) {
        let at = self.clock.now();
        self.presence.heard.lock().changes.push_back(Change::Slots { org: org.clone(), device, slots, at });
        self.presence.wake.notify_one();
    }

    /// The device was heard of; written every few seconds.
    pub fn seen(&self, device: DeviceNo) {
        let now = self.clock.now();
        self.presence.heard.lock().seen.insert(device, now);
    }

    /// A device without a channel says what it is. Kept as a hello's attributes are; of these [`FIRMWARE_VERSION`] with [`FIRMWARE_SEQUENCE`] is
    /// what it runs and [`HARDWARE`] its revision, as in a hello.
    pub async fn described(&self, org: &OrgId, device: DeviceNo, telling: Telling, said: &BTreeMap<String, String>) -> Result<(), Error> {
        let own = if telling == Telling::Remove { BTreeMap::new() } else { facts(said) };
        let hardware = own.get(HARDWARE).map(String::as_str).unwrap_or_default();
        let mut tx = self.db.write().await?;
        set_attributes(&mut tx, org, device, telling, said).await?;
        exec!(&mut tx, store::DESCRIBED, device, self.clock.now().0, hardware)?;
        if let Some((version, sequence)) = runs(&own) {
            store::set_firmware(&mut tx, device, version, sequence).await?;
        }
        tx.commit().await?;
        self.bus.tell(Event::Device { org: org.clone(), device });
        Ok(())
    }

    /// Whether a device has said what it is, other than in a hello, since it last changed itself.
    pub async fn is_described(&self, device: DeviceNo) -> Result<bool, Error> {
        Ok(store::is_described(&mut self.db.read().await?, device).await?)
    }

    /// Closes what a server that died left open: every device's, because one server at a time serves a database. Once, before the device
    /// listener opens.
    pub async fn reset_presence(&self) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::ALL_OFFLINE)?;
        exec!(&mut tx, store::ALL_CLOSED, self.clock.now().0, "the server was restarted")?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets connections that ended more than a month ago; a month is what the pages show. Called every hour.
    pub async fn forget_connections(&self) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::CONNECTIONS_FORGET, self.clock.now().plus(-31 * 24 * 3600 * 1000).0)?;
        tx.commit().await?;
        // The largest of what is forgotten in this store, so here is where its pages go back to the disk.
        self.db.shrink().await?;
        Ok(())
    }

    /// Writes what has piled up: changes at once, last-seen times when `seen` is set. Called by a worker and at the end. What could not be
    /// written, or was being written when the caller gave up, is written by the next call.
    pub async fn flush_presence(&self, seen: bool) -> Result<(), Error> {
        let presence = &self.presence;
        let _alone = presence.writing.lock().await;
        loop {
            let batch: Vec<Change> = presence.heard.lock().changes.iter().take(512).cloned().collect();
            if batch.is_empty() {
                break;
            }
            let written = batch.len();
            presence.write(batch).await?;
            presence.heard.lock().changes.drain(..written);
        }
        let times = if seen { presence.heard.lock().seen.clone() } else { BTreeMap::new() };
        if !times.is_empty() {
            let heard: Vec<Seen> = times.iter().map(|(device, at)| Seen { device: *device, at: at.0 }).collect();
            let mut tx = self.db.write().await?;
            for some in heard.chunks(SEEN_AT_ONCE) {
                exec!(&mut tx, store::SEEN, list(some)?)?;
            }
            tx.commit().await?;
            // Whoever was heard of again meanwhile stays for the next time.
            presence.heard.lock().seen.retain(|device, at| times.get(device) != Some(at));
        }
        Ok(())
    }

    /// Waits until somebody came or went.
    pub async fn presence_changed(&self) {
        self.presence.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[(&str, &str)]) -> BTreeMap<String, String> {
        words.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_runs_is_told_in_one_message_or_in_halves_and_by_what_was_told_before() {
        let (version, sequence) = (FIRMWARE_VERSION, FIRMWARE_SEQUENCE);
        let old = [(version, "1.0"), (sequence, "1"), ("site", "hall-3")];
        let merges = |known: &[(&str, &str)], said: &[(&str, &str)]| merged(Telling::Merge, words(known), words(said));
        let told = |version: &str, sequence, fresh, whole| Some(Told { version: version.to_owned(), sequence, fresh, whole });
        assert_eq!(merges(&old, &[(version, " 2.0 "), (sequence, "2")]), told("2.0", Some(2), true, true));
        assert_eq!(merges(&old, &[(version, "2.0")]), told("2.0", Some(1), true, false));
        assert_eq!(merges(&old, &[(sequence, "2")]), told("1.0", Some(2), false, false));
        assert_eq!(merges(&[], &[(version, "2.0")]), told("2.0", None, true, false));
        assert_eq!(merged(Telling::Replace, words(&old), words(&[(version, "2.0")])), told("2.0", None, true, false), "the rest is gone");
        for nothing in
            [&[("site", "hall-4")][..], &[(version, " ")][..], &[(version, "2.0"), (sequence, "two")][..], &[(sequence, "-2")][..]]
        {
            assert_eq!(merges(&old, nothing), None, "{nothing:?}");
        }
        assert_eq!(merges(&[], &[(sequence, "2")]), None, "a sequence of nothing");
        let said = words(&[(version, "1.0")]);
        assert!(tells_firmware(Telling::Replace, &said) && !tells_firmware(Telling::Remove, &said));
    }
}

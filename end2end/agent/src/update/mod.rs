//! The device's updates: judged here, fetched, put into the other slot, tried, confirmed or taken back (U-3).
//!
//! Owns `updates.json` (the [`Journal`]) and the order of things; every note is on disk before the step that it announces. Refuses to know how
//! reports travel.

pub mod assignment;
pub mod consent;
mod delta;
mod execute;
pub mod fetch;
mod following;
pub mod journal;
pub mod keys;
pub mod rules;
pub mod trust;

pub use execute::Means;

use crate::{
    files::Folder,
    slots::{self, Slot, Slots},
};
use assignment::{Director, Problem};
use journal::{Journal, Offered, Phase, Start};
use keys::TrustedKeys;
use parking_lot::Mutex;
use std::io;
use tokio::sync::{Notify, watch};
use trust::Trust;
use wire::{
    Timestamp,
    device::{Offer, Running, StatusReport},
    ids::UpdateId,
    slots::{self as told, SlotState},
    states::UpdateState,
};

const JOURNAL: &str = "updates.json";

/// Why an update cannot go on. What is wrong with an *offer* is not an error but a report to the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The slots.
    #[error(transparent)]
    Slots(#[from] slots::Error),
    /// The journal.
    #[error("updates.json: {0}")]
    Journal(#[from] io::Error),
}

/// What this device is, as manifests ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its type.
    pub device_type: String,
    /// Its hardware revision.
    pub hardware: String,
    /// The version it came with.
    pub factory_version: String,
}

/// How the agent started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// As it ended.
    Normal,
    /// In a slot on trial.
    Trial,
    /// In a slot that had its trial; the old slot is current again and the machine has to be restarted into it.
    WentBack,
}

/// The updates of one device. Shared by its channel and its executor.
#[derive(Debug)]
pub struct Updates {
    folder: Folder,
    slots: Slots,
    facts: Facts,
    trust: Mutex<Trust>,
    journal: Mutex<Journal>,
    /// The executor has something to look at.
    work: Notify,
    /// The newest report, for whoever watches.
    latest: watch::Sender<Option<StatusReport>>,
}

impl Updates {
    /// The updates in the state folder.
    pub fn open(folder: Folder, facts: Facts, keys: TrustedKeys) -> Result<Self, Error> {
        let journal: Journal = match folder.read(JOURNAL)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from)?,
            None => Journal::default(),
        };
        let slots = Slots::open(folder.clone(), &facts.factory_version)?;
        let latest = watch::Sender::new(journal.latest().cloned());
        let trust = Mutex::new(Trust::open(&folder, keys)?);
        Ok(Self { folder, slots, facts, trust, journal: Mutex::new(journal), work: Notify::new(), latest })
    }

    /// To be called once when the agent starts, before anything else.
    pub fn boot(&self) -> Result<Boot, Error> {
        let active = self.slots.active()?;
        match self.change(|journal| journal.start(active))? {
            Start::Normal => Ok(Boot::Normal),
            Start::Prove => Ok(Boot::Trial),
            Start::GoBack { .. } => {
                self.go_back("boot_failed", "the new firmware started and did not prove its health")?;
                Ok(Boot::WentBack)
            }
        }
    }

    /// What is installed in the slot that runs.
    pub fn running(&self) -> Result<Running, Error> {
        let active = self.slots.active()?;
        let seal = self.slots.seal(active)?.ok_or(slots::Error::Unsealed(active))?;
        Ok(Running {
            version: seal.version,
            sequence: seal.sequence,
            device_type: self.facts.device_type.clone(),
            hardware: self.facts.hardware.clone(),
        })
    }

    /// Every slot and how it stands; none where that can't be told, because a version is too long.
    pub fn told_slots(&self) -> Result<Option<told::Slots>, Error> {
        let active = self.slots.active()?;
        let (runs, how) = match self.journal.lock().phase() {
            // Until the restart, what ran before runs on.
            Phase::Trial { from, boots: 0, .. } => (*from, SlotState::Running),
            Phase::Trial { to, .. } if *to == active => (active, SlotState::Trying),
            _ => (active, SlotState::Running),
        };
        let mut all = Vec::with_capacity(2);
        for slot in [Slot::A, Slot::B] {
            let seal = self.slots.seal(slot)?;
            let state = match &seal {
                _ if slot == runs => how,
                None => SlotState::Empty,
                Some(seal) if seal.bad => SlotState::Bad,
                Some(_) => SlotState::Good,
            };
            all.push(told::Slot { name: slot.to_string(), version: seal.map(|seal| seal.version), state });
        }
        Ok(told::Slots::try_from(all).ok())
    }

    /// The sequence below which nothing is installed any more.
    pub fn floor(&self) -> u64 {
        self.journal.lock().floor
    }

    /// Whose firmware it installs by now, and how many of them must have signed it.
    pub fn trusted(&self) -> TrustedKeys {
        self.trust.lock().keys(&self.facts.device_type)
    }

    /// The slots.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The newest report, acknowledged or not, and whenever it changes.
    pub fn latest(&self) -> watch::Receiver<Option<StatusReport>> {
        self.latest.subscribe()
    }

    /// The server offers an update. Taken is what is meant for this device and for now (U-2).
    pub fn offered(&self, offer: &Offer, director: &Director, now: Timestamp) -> Result<(), Error> {
        let taken = self.change(|journal| match assignment::judge(offer, director, journal.assigned(), now) {
            Ok(seen) => {
                journal.assigned_by(seen);
                journal.offered(offer)
            }
            Err(Problem::Passing(why)) => Offered::Later(why),
            Err(Problem::Stale(refusal) | Problem::Wrong(refusal)) => {
                let code = refusal.code;
                journal.turned_down(&offer.update_id, refusal);
                Offered::Refused(code)
            }
        })?;
        match taken {
            Offered::Begin => tracing::info!(update = %offer.update_id, "an update is offered"),
            Offered::Known => tracing::debug!(update = %offer.update_id, "offered again"),
            Offered::Later(why) => tracing::warn!(update = %offer.update_id, why, "not taken yet"),
            Offered::Refused(code) => tracing::warn!(update = %offer.update_id, code, "the offer is refused"),
            Offered::Busy => tracing::info!(update = %offer.update_id, "offered while another one is on trial; not taken"),
        }
        Ok(())
    }

    /// The server takes an update back.
    pub fn cancelled(&self, update_id: &UpdateId) -> Result<(), Error> {
        let stopped = self.change(|journal| journal.cancel(update_id))?;
        tracing::info!(update = %update_id, stopped, "the update was taken back");
        Ok(())
    }

    /// The oldest report that the server does not have.
    pub fn report(&self) -> Option<StatusReport> {
        self.journal.lock().report().cloned()
    }

    /// The server has recorded the report and holds the update at `state`. Where it takes what was only to be fetched for not delivered, the file goes:
    /// another offer of it is then fetched anew, and not found here once more.
    pub fn acknowledged(&self, sent: &StatusReport, state: UpdateState) -> Result<(), Error> {
        if (sent.state, state) == (UpdateState::Downloaded, UpdateState::Failed) {
            // An offer that comes meanwhile waits for this: its first bytes are not among those that go.
            let journal = self.journal.lock();
            if journal.under_way().is_none() && journal.only_fetched(&sent.update_id) {
                self.slots.clear(self.slots.active()?.other())?;
            }
        }
        self.change(|journal| journal.acknowledged(sent, state))
    }

    /// Whether `update_id` is being worked on, before anything is at stake.
    fn working_on(&self, update_id: &UpdateId) -> bool {
        matches!(self.journal.lock().phase(), Phase::Working { offer } if offer.update_id == *update_id)
    }

    fn go_back(&self, code: &str, detail: &str) -> Result<(), Error> {
        if let Some(from) = self.journal.lock().fallback() {
            self.slots.activate(from)?;
            self.slots.condemn(from.other())?;
        }
        let firmware = self.running()?;
        self.change(|journal| journal.reverted(code, detail, firmware))
    }

    /// Changes the journal on disk, then in memory.
    fn change<R>(&self, change: impl FnOnce(&mut Journal) -> R) -> Result<R, Error> {
        let mut journal = self.journal.lock();
        let mut next = journal.clone();
        let result = change(&mut next);
        if next != *journal {
            self.folder.write(JOURNAL, &serde_json::to_vec(&next).map_err(io::Error::from)?)?;
            *journal = next;
            self.told(&journal);
        }
        Ok(result)
    }

    /// Changes the journal in memory only: progress, which may be lost.
    fn note(&self, change: impl FnOnce(&mut Journal)) {
        let mut journal = self.journal.lock();
        change(&mut journal);
        self.told(&journal);
    }

    fn told(&self, journal: &Journal) {
        self.latest.send_replace(journal.latest().cloned());
        self.work.notify_waiters();
    }
}

#[cfg(test)]
mod tests;

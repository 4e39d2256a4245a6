//! A success whose protocol has no word for what runs, as hawkBit's: it counts for what its device fetched here, or for what it says of itself. Until
//! then the update is verifying, the device is asked what it is, and the time-out of that step ends it. Owns what speaks for such a success, and the words
//! for people; refuses to know how bytes go and how the protocol asks.

use super::{
    Rollouts,
    ddi::Action,
    hearing::{Proof, RUNS_OLD_VERSION, belies, proves, proves_by_half},
    reporting::{Word, brings, moves},
    store::{
        ddi,
        log::{self, NewLine},
        records, sent,
        updates::{self, Update},
    },
};
use crate::{
    Result,
    bus::Event,
    db::{self, Tx},
    devices::{DeviceNo, FIRMWARE_SEQUENCE, FIRMWARE_VERSION, Told, said_to_run, store as devices, tells_firmware},
    releases,
};
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    device::Telling,
    ids::{OrgId, RolloutId},
    states::{RolloutState, StageState, UpdateState},
};

/// What is kept of such a success for people. Nothing moves that time.
pub(super) fn owes(version: &str, sequence: i64, until: Timestamp) -> String {
    format!(
        "It says success and has not fetched the release from here. It counts once its attributes say {FIRMWARE_VERSION} = {version} and \
         {FIRMWARE_SEQUENCE} = {sequence}, or fails on {}.",
        until.readable()
    )
}

/// What is kept when that time has come.
pub(super) fn never(version: &str) -> String {
    format!("it said success, had not fetched the release from here, and did not describe itself as running {version} in time")
}

/// What speaks for a success of an action. One that comes behind a newer action's is worth what its device is known to run.
pub(super) async fn proof(tx: &mut Tx, action: &Action, rollout: &RolloutId) -> Result<Proof, db::Error> {
    if !action.newest {
        return Ok(Proof::Running);
    }
    let fetched = sent::shipment(tx, action.device, rollout).await?.was_fetched();
    Ok(if fetched { Proof::Fetched } else { Proof::Owed })
}

impl Rollouts {
    /// What a device without a channel says of itself when it names the release that it runs (hawkBit: its assigned version): its own type, and a version that
    /// was published for that; and whether that is news. None where there is no such release. To be heard and kept as any word of a device on itself.
    pub async fn names_release(
        &self,
        org: &OrgId,
        device: DeviceNo,
        (name, version): (&str, &str),
    ) -> Result<Option<(BTreeMap<String, String>, bool)>> {
        let mut on = self.db.read().await?;
        let facts = devices::facts(&mut on, device, self.clock.now()).await?.unwrap_or_default();
        if facts.device_type != name {
            return Ok(None);
        }
        let Some(sequence) = releases::sequence_of(&mut on, org, name, version).await? else { return Ok(None) };
        let news = facts.version != version || facts.sequence != sequence;
        let said = [(FIRMWARE_VERSION, version.to_owned()), (FIRMWARE_SEQUENCE, sequence.to_string())];
        Ok(Some((said.map(|(field, word)| (field.to_owned(), word)).into(), news)))
    }

    /// Hears a device without a channel say what it is. That proves a success which waits for its proof, or belies one: one that waits, and one that was
    /// believed with its first word of that after its success, and later as long as the stage that its update belongs to is not over. To be called before
    /// the devices' room keeps what it says: whether this is its first word is known only until then.
    pub async fn described(&self, device: DeviceNo, telling: Telling, said: &BTreeMap<String, String>) -> Result<()> {
        if !tells_firmware(telling, said) {
            return Ok(());
        }
        let newest = ddi::actions(&mut self.db.read().await?, device).await?.into_iter().next();
        let Some(action) = newest.filter(|action| action.state == UpdateState::Succeeded || action.claims()) else { return Ok(()) };
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let found = updates::update(&mut tx, &action.update).await?;
        let Some(update) = found.filter(|u| u.latest && u.state == action.state) else { return Ok(()) };
        let Some(told) = said_to_run(&mut tx, device, telling, said).await? else { return Ok(()) };
        let Some((to, detail)) = shows(&update, &told) else { return Ok(()) };
        if update.state == UpdateState::Succeeded && devices::is_described(&mut tx, device).await? && !is_watched(&mut tx, &update).await? {
            return Ok(());
        }
        let code = if to == UpdateState::Failed { RUNS_OLD_VERSION } else { "" };
        let deadline = now.plus(update.timeout_ms);
        moves(&mut tx, &update, Word { to, progress: None, code, detail: &detail, deadline, unproven: false }, now).await?;
        if to == UpdateState::Succeeded {
            devices::set_firmware(&mut tx, device, &update.version, update.sequence).await?;
        }
        let line = NewLine { code, ..NewLine::new(&update.org, &update.id, now, &detail) };
        log::say(&mut tx, &[line]).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: update.org.clone(), id: update.rollout });
        self.bus.tell(Event::Device { org: update.org, device });
        Ok(())
    }
}

/// What becomes of an update whose device says that it runs this: to which state, and a line for people; none when it shows nothing new.
fn shows(update: &Update, told: &Told) -> Option<(UpdateState, String)> {
    let (brings, version) = (brings(update), told.version.as_str());
    // Only one message that says both takes a success back: newer firmware is no contradiction, and is known by its sequence.
    let whole = told.sequence.filter(|_| told.whole);
    if update.state == UpdateState::Succeeded {
        return belies(version, whole?, brings).map(|detail| (UpdateState::Failed, detail));
    }
    let shown = match whole {
        Some(sequence) => proves(version, sequence, brings),
        None => proves_by_half(version, told.sequence, told.fresh, brings)?,
    };
    match shown {
        Ok(()) => Some((UpdateState::Succeeded, format!("it describes itself as running {version}"))),
        // What has timed out before it claimed anything has ended already.
        Err(detail) => update.unproven.then_some((UpdateState::Failed, detail)),
    }
}

/// Whether the stage that an update belongs to is not over, so that what becomes of the update still counts for its gate.
async fn is_watched(tx: &mut Tx, update: &Update) -> Result<bool> {
    let Some((_, course)) = records::course(tx, &update.org, &update.rollout).await? else { return Ok(false) };
    let stage = usize::try_from(update.stage).ok().and_then(|number| course.stages.get(number.checked_sub(1)?));
    let over = stage.is_none_or(|stage| matches!(stage.state, StageState::Succeeded | StageState::Skipped));
    Ok(!over && matches!(course.state, RolloutState::Running | RolloutState::Paused | RolloutState::Halted))
}

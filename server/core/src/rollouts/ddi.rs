//! Updates for devices that speak hawkBit's protocol (DDI): a number for each, and cancellations that wait for an answer. Owns
//! what that protocol remembers and ours doesn't need; refuses to know its words, and moves updates only by [`Rollouts::report`].

use super::{
    Rollouts,
    course::may_install,
    idle::Rest,
    offering::Speaks,
    sending,
    stand::{Owed, Owes},
    store::{ddi, log, sent, updates},
    timing::{Terms, Timing},
};
use crate::{
    Result,
    devices::{DeviceNo, store as devices},
    releases::{self, RolloutRelease},
};
use wire::{
    Timestamp,
    ids::{OrgId, ReleaseId, UpdateId},
    states::UpdateState,
    time::DAY_MS,
};

mod word;

pub use word::{Taken, Word};

/// How long lines are kept, and what was sent: as long as connections are.
const KEPT_MS: i64 = 31 * DAY_MS;
/// How long a device that has the file finds its update, after that has timed out: some restart days later, at night or by hand, and take
/// whatever they find then for what they installed.
const RESTART_MS: i64 = 30 * DAY_MS;
/// How long a cancellation waits after the update's deadline: who was away that long has nothing running that could be stopped, and who never
/// answers would be offered nothing for ever.
const UNANSWERED_MS: i64 = 7 * DAY_MS;

/// What an update is among the attempts of its device in its rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The newest: what comes of it counts.
    Stands,
    /// The newest, to be tried again.
    Again,
    /// A newer one has taken its place.
    Replaced,
}

impl Attempt {
    pub(super) fn read(word: &str) -> Option<Self> {
        [("stands", Self::Stands), ("again", Self::Again), ("replaced", Self::Replaced)]
            .into_iter()
            .find_map(|(w, a)| (w == word).then_some(a))
    }
}

/// A device's answer to a cancellation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// None yet.
    #[default]
    Awaited,
    /// It has stopped.
    Accepted,
    /// It goes on.
    Refused,
}

impl Answer {
    pub(super) fn read(word: &str) -> Option<Self> {
        [Self::Awaited, Self::Accepted, Self::Refused].into_iter().find(|answer| answer.word() == word)
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Awaited => "",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

/// An update under its number (hawkBit: action).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Action {
    /// Its number, from 1; never given twice.
    pub number: i64,
    /// Its organization.
    pub org: OrgId,
    /// Whose.
    pub device: DeviceNo,
    /// The update.
    pub update: UpdateId,
    /// What the device said to its cancellation.
    pub cancel: Answer,
    /// Whether the device has said its last word.
    pub closed: bool,
    /// Whether the device has the file.
    pub fetched: bool,
    /// Whether somebody at the device has to agree before it begins.
    pub asks: bool,
    /// Whether somebody has, for this one or for whatever comes.
    pub confirmed: bool,
    /// Whether it is the device's newest action.
    pub newest: bool,
    /// Where the update is.
    pub state: UpdateState,
    /// What this attempt is in its rollout.
    pub attempt: Attempt,
    /// When silence becomes a time-out.
    pub deadline: Timestamp,
    /// After how many milliseconds of it.
    pub timeout_ms: i64,
    /// What its plan says of time.
    pub timing: Timing,
    /// The rollout's name.
    pub rollout: String,
    /// The release.
    pub release: ReleaseId,
    /// Its version.
    pub version: String,
    /// Its sequence.
    pub sequence: u64,
    /// The device type it is for.
    pub device_type: String,
}

/// What an action is to its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// To be installed, or being installed.
    Active,
    /// Closed by the device with a success that it has to prove: it is told to do nothing, and heard.
    Proving,
    /// Taken back; the device has not answered.
    Cancelling,
    /// Over.
    Ended,
}

impl Action {
    /// Whether the update goes on.
    pub const fn open(&self) -> bool {
        !self.state.finished()
    }

    /// What it is to its device now.
    pub fn phase(&self, now: Timestamp) -> Phase {
        match self.lasts() {
            _ if self.open() && self.claims() => Phase::Proving,
            _ if self.open() => Phase::Active,
            Some((phase, until)) if now < until => phase,
            _ => Phase::Ended,
        }
    }

    /// Whether the device says that it succeeded, and what it says of itself decides on that. No other last word leaves an update in these states.
    pub(super) const fn claims(&self) -> bool {
        self.closed && matches!(self.state, UpdateState::Verifying | UpdateState::TimedOut)
    }

    /// What an update that goes on no more still is to its device, and until when: one that the device may have installed before it fell
    /// silent, and one that was taken back and that it has not stopped.
    fn lasts(&self) -> Option<(Phase, Timestamp)> {
        let (phase, after) = match (self.state, self.cancel) {
            _ if self.open() || self.closed => return None,
            (UpdateState::TimedOut, _) if self.fetched && self.attempt == Attempt::Stands => (Phase::Active, RESTART_MS),
            (UpdateState::Cancelled | UpdateState::Superseded, Answer::Awaited) => (Phase::Cancelling, UNANSWERED_MS),
            (UpdateState::Cancelled | UpdateState::Superseded, Answer::Refused) if self.fetched => (Phase::Active, RESTART_MS),
            (UpdateState::Cancelled | UpdateState::Superseded, Answer::Refused) => (Phase::Active, 0),
            _ => return None,
        };
        Some((phase, self.deadline.plus(after)))
    }

    /// What the device owes by it, and is offered nothing else before.
    fn owes(&self, now: Timestamp) -> Option<Owes> {
        let (phase, until) = self.lasts().filter(|(_, until)| now < *until)?;
        let what = match phase {
            Phase::Cancelling => Owed::Answer,
            _ if self.state == UpdateState::TimedOut => Owed::Ending,
            _ => Owed::Stopping,
        };
        Some(Owes { rollout: self.rollout.clone(), version: self.version.clone(), what, until })
    }

    /// Whether it ended because nothing was heard, and the device may still say how.
    pub const fn fell_silent(&self) -> bool {
        !matches!(self.attempt, Attempt::Replaced) && !self.closed && matches!(self.state, UpdateState::TimedOut)
    }

    /// Whether the device may fetch the files of what [`Rollouts::content`] gave: as long as it is to install them, and never after a recall.
    pub fn may_fetch(&self, release: &RolloutRelease, now: Timestamp) -> bool {
        self.phase(now) == Phase::Active && !self.waits_for_person() && may_install(release.state)
    }

    /// Whether what it is about is told also after a recall: the device may have begun to change itself, and has to find it to say how it ended.
    const fn told_always(&self) -> bool {
        self.installing() || matches!(self.state, UpdateState::Succeeded | UpdateState::TimedOut) || matches!(self.cancel, Answer::Refused)
    }

    /// Whether the device changes itself already: from here on it can only go on.
    const fn installing(&self) -> bool {
        matches!(self.state, UpdateState::Installing | UpdateState::Rebooting | UpdateState::Verifying)
    }
}

/// What a device is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Nothing.
    Nothing,
    /// To install this.
    Install(i64),
    /// To ask somebody there whether it may install this.
    Confirm(i64),
    /// To stop this, and to say so.
    Cancel(i64),
}

/// What one message of a device leaves behind, beside the state it moves.
#[derive(Debug, Default, Clone, Copy)]
pub struct Notes<'a> {
    /// Lines for people, the oldest first.
    pub lines: &'a [String],
    /// Whether it was the last word on the action.
    pub last: bool,
    /// Whether the device has the file.
    pub fetched: bool,
    /// Its answer to a cancellation.
    pub answer: Answer,
}

/// What a device is to do, and what it installed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// What to do.
    pub task: Task,
    /// The last action that succeeded.
    pub installed: Option<i64>,
    /// What it is to do waits for its window.
    pub waits: bool,
    /// Whether it has said what it is since it last changed itself.
    pub described: bool,
}

impl Rollouts {
    /// What a device is to do now. A cancellation comes first; what was begun is repeated until the device's last word, because some clients
    /// report a success only after they found it once more; only then is there something new. One that has nothing to do costs no question to the
    /// database until something changes for it.
    pub async fn ask_ddi(&self, org: &OrgId, device: DeviceNo) -> Result<Ask> {
        let now = self.clock.now();
        if let Some(Rest { installed, described }) = self.idle.rest(device, now) {
            return Ok(Ask { task: Task::Nothing, installed, waits: false, described });
        }
        let look = self.idle.look(device, now);
        let (actions, described) = {
            let mut on = self.db.read().await?;
            (ddi::actions(&mut on, device).await?, devices::is_described(&mut on, device).await?)
        };
        let installed = actions.iter().find(|a| a.state == UpdateState::Succeeded && !a.timing.download_only).map(|a| a.number);
        let told = |task: Task| Ask { task, installed, waits: false, described };
        let oldest = |phase: Phase| actions.iter().rev().filter(move |a| a.phase(now) == phase);
        if let Some(cancelled) = oldest(Phase::Cancelling).next() {
            return Ok(told(Task::Cancel(cancelled.number)));
        }
        // One that goes on against its cancellation, or installs what was recalled meanwhile.
        if let Some(begun) = oldest(Phase::Active).find(|a| !a.open() || a.installing()) {
            return Ok(told(Task::Install(begun.number)));
        }
        // What it says it has done it is not told to do again.
        if oldest(Phase::Proving).next().is_some() {
            return Ok(told(Task::Nothing));
        }
        let Some(offer) = self.offered(device, Speaks::Hawkbit).await? else {
            self.idle.rests(device, look, Rest { installed, described });
            return Ok(told(Task::Nothing));
        };
        let known = actions.iter().find(|a| a.update == offer.update_id).map(|a| a.number);
        // What a newer one has just taken over from is stopped first.
        if known.is_none()
            && let Some(cancelled) =
                ddi::actions(&mut self.db.read().await?, device).await?.iter().rev().find(|a| a.phase(now) == Phase::Cancelling)
        {
            return Ok(told(Task::Cancel(cancelled.number)));
        }
        let number = match known {
            Some(number) => number,
            None => self.number(org, device, &offer.update_id).await?,
        };
        if offer.needs_confirmation
            && let Some(action) = self.asked_for(device, number).await?
            && self.waits_for_person(&action).await?
        {
            return Ok(told(Task::Confirm(number)));
        }
        let waits = offer.install_from.is_some_and(|from| from > now);
        Ok(Ask { waits, ..told(Task::Install(number)) })
    }

    async fn number(&self, org: &OrgId, device: DeviceNo, update: &UpdateId) -> Result<i64> {
        let mut tx = self.db.write().await?;
        let (number, new) = ddi::number(&mut tx, org, device, update).await?;
        if new {
            sending::begins_anew(&mut tx, device, update).await?;
        }
        tx.commit().await?;
        Ok(number)
    }

    /// A device's own action of this number.
    pub async fn action(&self, device: DeviceNo, number: i64) -> Result<Option<Action>> {
        Ok(ddi::action(&mut self.db.read().await?, device, number).await?)
    }

    /// How the times of an action's plan stand for its device.
    pub async fn terms(&self, action: &Action) -> Result<Terms> {
        let mut on = self.db.read().await?;
        Ok(self.terms_of(&mut on, &action.org, action.device, &action.timing).await?)
    }

    /// What an action installs; none when that was recalled before the device began.
    pub async fn content(&self, action: &Action) -> Result<Option<RolloutRelease>> {
        let release = releases::for_rollout(&mut self.db.read().await?, &action.org, &action.release).await?;
        Ok(release.filter(|release| may_install(release.state) || action.told_always()))
    }

    /// Bytes flow to the device: its silence begins anew.
    pub async fn flows(&self, action: &Action) -> Result<()> {
        if action.open() {
            let mut tx = self.db.write().await?;
            updates::alive(&mut tx, &action.update, self.clock.now().plus(action.timeout_ms)).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// What a device owes before it is offered anything else, by what it was told first.
    pub(super) fn owed(actions: &[Action], now: Timestamp) -> Option<Owes> {
        let oldest = |phase| actions.iter().rev().filter(move |a| a.phase(now) == phase).find_map(|a| a.owes(now));
        oldest(Phase::Cancelling).or_else(|| oldest(Phase::Active))
    }

    /// Forgets what devices said, and were sent, more than a month ago; what one was sent not before its actions are over. Called every hour.
    pub async fn forget_said(&self) -> Result<()> {
        let mut tx = self.db.write().await?;
        let now = self.clock.now();
        log::forget(&mut tx, now.plus(-KEPT_MS)).await?;
        sent::forget(&mut tx, now.plus(-KEPT_MS), now.plus(-RESTART_MS)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets what these devices said and were sent.
    pub(crate) async fn forget_said_by(&self, devices: &[DeviceNo]) -> Result<()> {
        let mut tx = self.db.write().await?;
        log::forget_of(&mut tx, devices).await?;
        sent::forget_to(&mut tx, devices).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What a device said of an action, the newest first, at most so many lines.
    pub async fn said_ddi(&self, action: &Action, most: u32) -> Result<Vec<String>> {
        Ok(log::lines(&mut self.db.read().await?, &action.update, most).await?)
    }
}

#[cfg(test)]
mod tests;

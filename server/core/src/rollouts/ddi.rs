//! Updates for devices that speak hawkBit's protocol (DDI): a number for each, what was said of it, and cancellations that wait for an answer. Owns
//! what that protocol remembers and ours doesn't need; refuses to know its words, and moves updates only by [`Rollouts::report`].

use super::{Rollouts, course::may_install, store::ddi};
use crate::{
    Result,
    devices::DeviceNo,
    releases::{self, RolloutRelease},
    text::unseen,
};
use wire::{
    Timestamp,
    ids::{OrgId, ReleaseId, UpdateId},
    states::UpdateState,
};

/// Most lines that are kept of what a device says of one update.
const KEPT: i64 = 200;
/// Most characters of one line.
const LONGEST: usize = 1000;

/// A device's answer to a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// None yet.
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
    /// Where the update is.
    pub state: UpdateState,
    /// Whether it is the device's newest attempt in its rollout.
    pub latest: bool,
    /// Whether the update goes on.
    pub open: bool,
    /// When silence becomes a time-out.
    pub deadline: Timestamp,
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
    /// Taken back; the device has not answered.
    Cancelling,
    /// Over.
    Ended,
}

impl Action {
    /// What it is to its device now. A cancellation that the device refused leaves it active until its last word, at the longest until it would
    /// have timed out.
    pub fn phase(&self, now: Timestamp) -> Phase {
        let taken_back = matches!(self.state, UpdateState::Cancelled | UpdateState::Superseded);
        match self.cancel {
            _ if self.open => Phase::Active,
            _ if self.closed || !taken_back => Phase::Ended,
            Answer::Awaited => Phase::Cancelling,
            Answer::Refused if now < self.deadline => Phase::Active,
            Answer::Refused | Answer::Accepted => Phase::Ended,
        }
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
    /// To stop this, and to say so.
    Cancel(i64),
}

/// What a device is to do, and what it installed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// What to do.
    pub task: Task,
    /// The last action that succeeded.
    pub installed: Option<i64>,
}

impl Rollouts {
    /// What a device is to do now. A cancellation comes first; what was begun is repeated until the device's last word, because some clients
    /// report a success only after they found it once more; only then is there something new.
    pub async fn ask_ddi(&self, org: &OrgId, device: DeviceNo) -> Result<Ask> {
        let now = self.clock.now();
        let actions = ddi::actions(&mut self.db.read().await?, device).await?;
        let installed = actions.iter().find(|a| a.state == UpdateState::Succeeded).map(|a| a.number);
        let oldest = |phase: Phase| actions.iter().rev().filter(move |a| a.phase(now) == phase);
        if let Some(cancelled) = oldest(Phase::Cancelling).next() {
            return Ok(Ask { task: Task::Cancel(cancelled.number), installed });
        }
        // One that goes on against its cancellation, or installs what was recalled meanwhile.
        if let Some(begun) = oldest(Phase::Active).find(|a| !a.open || a.installing()) {
            return Ok(Ask { task: Task::Install(begun.number), installed });
        }
        let Some(offer) = self.poll(device).await? else { return Ok(Ask { task: Task::Nothing, installed }) };
        let known = actions.iter().find(|a| a.update == offer.update_id).map(|a| a.number);
        let number = match known {
            Some(number) => number,
            None => self.number(org, device, &offer.update_id).await?,
        };
        Ok(Ask { task: Task::Install(number), installed })
    }

    async fn number(&self, org: &OrgId, device: DeviceNo, update: &UpdateId) -> Result<i64> {
        let mut tx = self.db.write().await?;
        let number = ddi::number(&mut tx, org, device, update).await?;
        tx.commit().await?;
        Ok(number)
    }

    /// A device's own action of this number.
    pub async fn action(&self, device: DeviceNo, number: i64) -> Result<Option<Action>> {
        Ok(ddi::action(&mut self.db.read().await?, device, number).await?)
    }

    /// What an action installs; none when that was recalled before the device began.
    pub async fn content(&self, action: &Action) -> Result<Option<RolloutRelease>> {
        let release = releases::for_rollout(&mut self.db.read().await?, &action.org, &action.release).await?;
        Ok(release.filter(|release| may_install(release.state) || action.installing() || action.state == UpdateState::Succeeded))
    }

    /// Keeps what a device said of an action, without characters that control what is shown; `last` when it was its last word.
    pub async fn heard_ddi(&self, action: &Action, lines: &[String], last: bool) -> Result<()> {
        let lines: Vec<String> = lines.iter().map(|line| readable(line)).collect();
        let mut tx = self.db.write().await?;
        if !lines.is_empty() {
            ddi::say(&mut tx, action, &lines, self.clock.now(), KEPT).await?;
        }
        if last {
            ddi::close(&mut tx, action.number).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Keeps a device's answer to a cancellation; its first one stands.
    pub async fn answer_cancel(&self, action: &Action, answer: Answer) -> Result<()> {
        let mut tx = self.db.write().await?;
        ddi::answer(&mut tx, action.number, answer).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What a device said of an action, the newest first, at most so many lines.
    pub async fn said_ddi(&self, action: &Action, most: u32) -> Result<Vec<String>> {
        Ok(ddi::said(&mut self.db.read().await?, action.number, i64::from(most)).await?)
    }
}

fn readable(line: &str) -> String {
    let shown = line.chars().map(|c| if unseen(c) { ' ' } else { c }).take(LONGEST);
    shown.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ids::Id;

    fn id<T: Id>() -> T {
        T::try_from(format!("{}_{}", T::PREFIX, "0".repeat(32))).unwrap()
    }

    fn action(state: UpdateState, cancel: Answer, closed: bool) -> Action {
        Action {
            number: 1,
            org: id(),
            device: 1,
            update: id(),
            cancel,
            closed,
            state,
            latest: true,
            open: !state.finished(),
            deadline: Timestamp(100),
            release: id(),
            version: "2.0".into(),
            sequence: 2,
            device_type: "gateway".into(),
        }
    }

    #[test]
    fn a_cancellation_waits_for_its_answer_and_gives_way_to_a_refusal() {
        use {Answer as A, Phase as P, UpdateState as U};
        let cases = [
            (U::Offered, A::Awaited, false, 0, P::Active),
            (U::Verifying, A::Awaited, false, 0, P::Active),
            (U::Cancelled, A::Awaited, false, 0, P::Cancelling),
            (U::Cancelled, A::Awaited, true, 0, P::Ended),
            (U::Cancelled, A::Accepted, false, 0, P::Ended),
            (U::Cancelled, A::Refused, false, 99, P::Active),
            (U::Cancelled, A::Refused, true, 99, P::Ended),
            (U::Cancelled, A::Refused, false, 100, P::Ended),
            (U::Succeeded, A::Awaited, false, 0, P::Ended),
            (U::TimedOut, A::Awaited, false, 0, P::Ended),
        ];
        for (state, cancel, closed, now, phase) in cases {
            assert_eq!(action(state, cancel, closed).phase(Timestamp(now)), phase, "{state} {cancel:?} {closed}");
        }
    }

    #[test]
    fn answers_are_kept_as_words() {
        for answer in [Answer::Awaited, Answer::Accepted, Answer::Refused] {
            assert_eq!(Answer::read(answer.word()), Some(answer));
        }
        assert_eq!(Answer::read("x"), None);
    }
}

//! Pure: why a device is, or is not, updating, from the rules of each rollout that concerns it ([`why`]): the answer in words, and the rules behind it.

use super::{
    admission::{Doors, Had, Known, Rank, Taken, Time},
    confirming::Agreement,
    course::Stage,
    plan::devices_of,
    stand::Stand,
    survey::{Miss, Target},
    why,
};
use crate::devices::Facts;
use std::fmt::Write as _;
use wire::{
    Timestamp,
    ids::RolloutId,
    rollouts::{Call, Outlook, Rule, Says, Why, WhyRollout},
    states::{DeviceState, ReleaseState, StageState, UpdateState},
};

/// A rollout as far as one device is concerned.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Concern {
    /// Its id.
    pub id: RolloutId,
    /// Its name.
    pub name: String,
    /// How urgent it is.
    pub priority: u32,
    /// What it asks of a device.
    pub target: Target,
    /// How far it is open.
    pub doors: Doors,
    /// Its latest sentence.
    pub summary: String,
    /// The state of the stage that runs.
    pub stage_state: Option<StageState>,
    /// Whether no stage follows it.
    pub last: bool,
    /// The stage that takes the device, from 1; none before the draw, and when no stage does.
    pub device_stage: Option<u32>,
    /// The device's place.
    pub place: i64,
    /// Where its release is in its life.
    pub release: ReleaseState,
    /// A file of its release is damaged.
    pub damaged: bool,
    /// It limits how many update at the same time.
    pub limited: bool,
    /// Why there is no room beside them: what [`throttle`](super::throttle) says, and [`holding`](super::holding) of those that hold the places.
    pub full: Option<String>,
    /// By when it is estimated to have its turn all the same, or before when it does not: what [`holding`](super::holding) says.
    pub turn: Option<Timestamp>,
    /// When a place is free, in words, where one device decides that; empty otherwise.
    pub frees: String,
    /// There is a data budget, and the plan keeps to it.
    pub budgeted: bool,
    /// That the device has used it up, and until when.
    pub over_budget: Option<(String, Option<Timestamp>)>,
    /// It has a window.
    pub windowed: bool,
    /// Why it still has to wait for its window or the end of a freeze: what [`timing`](super::timing) says.
    pub held: Option<String>,
    /// Whether it has to.
    pub time: Time,
    /// Who has to agree.
    pub agreement: Agreement,
    /// Its devices only fetch.
    pub download_only: bool,
    /// When it begins, if that is set.
    pub begin_at: Option<Timestamp>,
    /// How the device's own update in it went, if there was one and nobody has it tried again.
    pub ended: Option<(UpdateState, String)>,
    /// How its newest attempt stands.
    pub had: Had,
    /// How many there were.
    pub attempts: i64,
}

/// Why the device is or isn't updating; the answer is empty when no rollout concerns it. `concerns` newest first.
pub fn explain(facts: &Facts, stand: &Stand, concerns: &[Concern], now: Timestamp) -> Why {
    if let Some(update) = &stand.under_way {
        return update.explained(stand.held.as_ref(), now);
    }
    // A device that is out of the fleet for good waits for nothing.
    if facts.state == DeviceState::Decommissioned.as_str() {
        return Why::default();
    }
    let all: Vec<WhyRollout> = concerns.iter().map(|concern| concern.explained(facts, stand, now)).collect();
    let first = first(facts, concerns, &all);
    let answer = match (&stand.owes, first) {
        (Some(owes), _) => owes.words(now),
        (None, Some(at)) => {
            format!("“{}” brings {}: {}", all[at].name, all[at].version, why::answer(&all[at].rules, all[at].outlook, facts.online))
        }
        (None, None) => String::new(),
    };
    let outlook = first.map_or(if stand.owes.is_some() { Outlook::Blocked } else { Outlook::Nothing }, |at| all[at].outlook);
    // A rollout that never meant the device says nothing, unless there is nothing else to say.
    let told = |at: usize| Some(at) == first || concerns[at].means(facts);
    let mut rollouts: Vec<(usize, WhyRollout)> = all.into_iter().enumerate().filter(|(at, _)| told(*at)).collect();
    rollouts.sort_by_key(|(at, _)| Some(*at) != first);
    Why { outlook, answer, rollouts: rollouts.into_iter().map(|(_, rollout)| rollout).collect() }
}

/// Which rollout the answer is about: the one whose offer the device gets, or the newest that means it, or else the newest for its type.
fn first(facts: &Facts, concerns: &[Concern], all: &[WhyRollout]) -> Option<usize> {
    let gets = |at: &usize| matches!(all[*at].outlook, Outlook::Now | Outlook::WhenItAsks);
    (0..all.len())
        .filter(gets)
        .min_by(|a, b| concerns[*a].order().cmp(&concerns[*b].order()))
        .or_else(|| concerns.iter().position(|concern| concern.means(facts)))
        .or_else(|| concerns.iter().position(|concern| concern.target.device_type == facts.device_type))
}

impl Concern {
    /// In which offers are looked for.
    fn order(&self) -> impl Ord {
        Rank { priority: self.priority, sequence: self.target.sequence }.order(&self.id)
    }

    /// Whether the rollout was ever meant for such a device, whatever keeps it back.
    pub fn means(&self, facts: &Facts) -> bool {
        facts.device_type == self.target.device_type && self.target.check(facts, false) != Err(Miss::NotSelected)
    }

    /// What is known of the device, for [`admission`](super::admission). Only those that had a part in it are concerned by what a rollout takes back.
    pub(super) fn known(&self, facts: &Facts) -> Known {
        Known {
            doors: Some(self.doors),
            place: Some(self.place),
            taken: Some(Taken::By(self.device_stage)),
            had: Some(self.had),
            part: Some(true),
            fits: Some(self.target.check(facts, false)),
            agreement: Some(self.agreement),
            release: Some((self.release, self.damaged)),
            time: Some(self.time),
            room: Some(self.full.is_none()),
            over_budget: Some(self.over_budget.is_some()),
        }
    }

    fn explained(&self, facts: &Facts, stand: &Stand, now: Timestamp) -> WhyRollout {
        let rules = self.rules(facts, stand, now);
        let outlook = if self.is_done(stand) { Outlook::Done } else { why::outlook(&rules, facts.online) };
        let (id, name, version) = (self.id.clone(), self.name.clone(), self.target.version.clone());
        let may_confirm = rules.iter().find(|r| r.says == Says::Blocks).is_some_and(|first| first.rule == Rule::Agreed);
        // Of a device that waits to be tried again nothing counts as under way: that can be cancelled at any time.
        let may_cancel = matches!(self.had, Had::Turn(Some(_))) && self.never().is_none();
        WhyRollout { id, name, version, outlook, rules, may_confirm, may_cancel }
    }
}

/// An update's state in words.
pub const fn words(state: UpdateState) -> &'static str {
    use UpdateState as U;
    match state {
        U::Queued => "waits for its turn",
        U::Offered => "offered to the device",
        U::AwaitingWindow => "the device waits for its maintenance window",
        U::AwaitingConfirmation => "somebody at the device has to confirm",
        U::Downloading => "downloading",
        U::Downloaded => "downloaded",
        U::Installing => "installing",
        U::Rebooting => "restarting",
        U::Verifying => "proving its health",
        U::Succeeded => "the device runs it",
        U::Failed => "it could not be installed",
        U::Rejected => "the device refused it",
        U::TimedOut => "the device fell silent",
        U::Reverted => "the device went back to its old version by itself",
        U::Cancelled => "it was taken back",
        U::Superseded => "a newer rollout took over",
        U::NotApplicable => "not for this device",
    }
}

/// One sentence on a rollout of so many stages in its stage of this number; `retries` where its plan has some tried again by themselves.
pub fn progress(number: u32, stages: usize, stage: &Stage, retries: bool) -> String {
    let counts = &stage.counts;
    let what = match (stage.state, stage.verdict.as_ref().map(|v| v.call)) {
        (StageState::Soaking, _) => "is being watched",
        (StageState::AwaitingPromotion, Some(Call::Pass)) => "passed and waits for a person to go on",
        (StageState::AwaitingPromotion, _) => "waits for a person",
        // Everybody has ended, and it has not.
        (StageState::Running, _) if retries && counts.errors() > 0 && counts.waiting + counts.updating == 0 => "waits for retries",
        _ => "is running",
    };
    let mut text = format!("Stage {number} of {stages} {what}: {} of {} finished", counts.finished(), devices_of(counts.total));
    for (n, what) in [(counts.errors(), "failed"), (counts.left_out, "left out")] {
        if n > 0 {
            let _ = write!(text, ", {n} {what}");
        }
    }
    text
}

#[cfg(test)]
mod tests;

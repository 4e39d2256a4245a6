//! Pure: how a device stands beside its facts: what is going on with it, and what it owes before it is offered anything else.

use super::{
    explain::words,
    state::cancellable,
    why::{blocks, met},
};
use wire::{
    Timestamp,
    ids::RolloutId,
    rollouts::{Outlook, Reason, Rule, Why, WhyRollout},
    states::UpdateState,
    time::duration,
};

/// What is going on with a device right now.
#[derive(Debug, Clone)]
pub struct UnderWay {
    /// The rollout.
    pub id: RolloutId,
    /// The rollout's name.
    pub rollout: String,
    /// To which version.
    pub version: String,
    /// How far.
    pub state: UpdateState,
    /// When it counts as timed out.
    pub deadline: Option<Timestamp>,
    /// Somebody in the console may agree for somebody there.
    pub confirmable: bool,
    /// Until when somebody at the device has put it off.
    pub put_off: Option<Timestamp>,
    /// When somebody at the device said no, and what they said to that.
    pub denied: Option<(Timestamp, String)>,
    /// What a success waits for that the device has to prove.
    pub unproven: Option<String>,
}

/// What a device that speaks hawkBit's protocol has to say before it is offered anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owes {
    /// The rollout's name.
    pub rollout: String,
    /// To which version.
    pub version: String,
    /// What it has to say.
    pub what: Owed,
    /// Until when that is waited for.
    pub until: Timestamp,
}

/// What a device has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// That it has stopped.
    Answer,
    /// How it ended with what it did not want to stop.
    Stopping,
    /// How it ended with what it had fetched when it fell silent.
    Ending,
}

/// How a device stands, beside its facts.
#[derive(Debug, Clone, Default)]
pub struct Stand {
    /// What is going on with it.
    pub under_way: Option<UnderWay>,
    /// What its update waits for, of time.
    pub held: Option<String>,
    /// What it owes.
    pub owes: Option<Owes>,
    /// Whether it asks again and again instead of being connected.
    pub polls: bool,
}

impl UnderWay {
    /// The explanation of a device that is updating.
    pub(super) fn explained(&self, held: Option<&String>, now: Timestamp) -> Why {
        let answer = self.answer(held, now);
        let time = match held {
            Some(held) => blocks(Rule::Time, held.clone(), "When its window opens, or the freeze ends."),
            None => met(Rule::Time, "nothing of time holds it."),
        };
        let agreed = if self.state == UpdateState::AwaitingConfirmation || self.put_off.is_some() {
            Reason { again_at: self.put_off, ..blocks(Rule::Agreed, format!("{}.", self.told()), "When somebody there answers.") }
        } else {
            met(Rule::Agreed, "nobody is waited for.")
        };
        let again = if self.deadline.is_some() { "If it stays silent, it counts as timed out." } else { "" };
        let reports = match &self.unproven {
            Some(unproven) => blocks(Rule::Reports, unproven.clone(), "When it describes itself. Otherwise it has failed."),
            None => Reason { again: again.to_owned(), ..met(Rule::Reports, format!("{}.", words(self.state))) },
        };
        let reports = Reason { again_at: self.deadline, ..reports };
        let (id, name, version) = (self.id.clone(), self.rollout.clone(), self.version.clone());
        let rules = vec![time, agreed, reports];
        let (may_confirm, may_cancel) = (self.confirmable, cancellable(self.state));
        let rollout = WhyRollout { id, name, version, outlook: Outlook::UnderWay, rules, may_confirm, may_cancel };
        Why { outlook: Outlook::UnderWay, answer, rollouts: vec![rollout] }
    }

    /// How far it is in a line, and what becomes of it.
    fn answer(&self, held: Option<&String>, now: Timestamp) -> String {
        let Self { version, rollout, .. } = self;
        if let Some(unproven) = &self.unproven {
            return format!("Updating to {version} by “{rollout}”. {unproven}");
        }
        let silence = self
            .deadline
            .map_or_else(String::new, |at| format!(" If it stays silent, it counts as timed out in {}.", duration(at.since(now))));
        let waits = held.map_or_else(String::new, |held| format!(" It waits: {held}"));
        format!("Updating to {version} by “{rollout}”: {}.{waits}{silence}", self.told())
    }

    /// How far it is, or what somebody at the device has decided.
    fn told(&self) -> String {
        match (&self.denied, self.put_off) {
            (Some((at, remark)), _) => {
                let remark = if remark.is_empty() { String::new() } else { format!(" (“{remark}”)") };
                format!("somebody at the device said no on {}{remark}; it is asked there again", at.readable())
            }
            (None, Some(until)) => format!("somebody at the device has put it off until {}", until.readable()),
            (None, None) => words(self.state).to_owned(),
        }
    }
}

impl Owes {
    /// Why the device is offered nothing else.
    pub fn words(&self, now: Timestamp) -> String {
        let Self { rollout, version, .. } = self;
        let (what, before) = match self.what {
            Owed::Answer => (format!("“{rollout}” was taken back, and the device has not answered that."), "it does"),
            Owed::Stopping => (format!("“{rollout}” was taken back, but the device goes on to {version}."), "that has ended"),
            Owed::Ending => (format!("The device has fetched {version} by “{rollout}” and fell silent."), "it says how that ended"),
        };
        format!("{what} It is offered nothing else before {before}, for {} at the longest.", duration(self.until.since(now)))
    }
}

//! Pure: what the devices wait for that hold the places in a limit, and what follows for whoever waits behind them. A device that waits for its window or
//! for a person may install at any moment by itself, so it keeps its place meanwhile; then it is no average update, and nobody is told a time that
//! goes on with the clock.

use super::{
    throttle::{Crowd, Full},
    timing::{self, Terms, Timing},
    turn::last_turn,
};
use crate::devices::Facts;
use std::collections::BTreeMap;
use wire::{Timestamp, rollouts::RolloutSpec, states::UpdateState};

/// Devices that are named of those that keep others back.
const NAMED: usize = 3;

/// A device that holds a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub device_id: String,
    /// What it waits for.
    pub waits: Waits,
}

/// What the update of a device waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waits {
    /// Nothing: it goes on, since then.
    Nothing(Timestamp),
    /// Its window or the end of a freeze: which, as a sentence, and when that is, where it is known.
    Time(String, Option<Timestamp>),
    /// Somebody at the device, for as long as it does not stay silent until then.
    Person(Timestamp),
    /// Somebody at the device, who has put it off until then.
    PutOff(Timestamp),
}

/// An open update, as far as it says what its device waits for.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// How far it is.
    pub state: UpdateState,
    /// When it was offered.
    pub offered_at: Timestamp,
    /// When it counts as timed out.
    pub deadline: Timestamp,
    /// How long its plan waits for a silent device, in milliseconds.
    pub timeout_ms: i64,
}

/// When a device that waits for a place has its turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turn {
    /// By when at the latest, as an estimate; where `holders` says who keeps it back, the instant before which it does not come. None where nobody knows.
    pub at: Option<Timestamp>,
    /// Sentences about the devices that keep it back; empty where the places go on by themselves.
    pub holders: String,
    /// When that is looked at again, in words; empty where it is when there is room.
    pub again: String,
}

impl Turn {
    /// Why a device waits that this limit keeps back, and when it has its turn.
    pub fn words(&self, full: &Full<'_>, facts: &Facts) -> String {
        if self.holders.is_empty() { full.words(facts, self.at) } else { format!("{} {}", full.words(facts, None), self.holders) }
    }
}

impl Waits {
    /// What an open update waits for, by its plan's times as they stand for its device with these attributes.
    pub fn of(place: Place, (timing, terms, attributes): (&Timing, &Terms, &BTreeMap<String, String>)) -> Self {
        use UpdateState as U;
        if let Some(until) = put_off(place.state, place.deadline.plus(-place.timeout_ms), terms) {
            return Self::PutOff(until);
        }
        if place.state == U::AwaitingConfirmation {
            return Self::Person(place.deadline);
        }
        let begun = place.state > U::AwaitingConfirmation;
        // What a device has begun goes on, but for one that has fetched it early and waits for its window by itself.
        let waits = !begun || place.state == U::Downloaded && terms.early();
        let opens = terms.opening.map(|opening| opening.from);
        match timing::words(terms, timing, attributes).filter(|_| waits) {
            Some(held) if timing.window.is_some() => Self::Time(held, opens),
            Some(held) => Self::Time(held, terms.frozen.as_ref().map(|frost| frost.until)),
            None if place.state == U::AwaitingWindow && !terms.windowed() => {
                Self::Time("it waits for a window of its own.".to_owned(), None)
            }
            // Before its window opened it did not go on.
            None => Self::Nothing(opens.filter(|_| terms.open()).map_or(place.offered_at, |from| from.max(place.offered_at))),
        }
    }

    /// Since when it goes on by itself; none while it does not.
    const fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Nothing(since) => Some(*since),
            Self::Time(..) | Self::Person(_) | Self::PutOff(_) => None,
        }
    }

    /// When what it waits for comes by itself, where that is known.
    const fn comes(&self) -> Option<Timestamp> {
        match self {
            Self::Time(_, at) => *at,
            Self::Nothing(_) | Self::Person(_) | Self::PutOff(_) => None,
        }
    }
}

impl Holder {
    /// What it waits for, for whoever waits behind it.
    fn words(&self, place: &str) -> String {
        let id = &self.device_id;
        match &self.waits {
            Waits::Nothing(_) => format!("{id} holds {place}."),
            Waits::Time(held, _) => format!("{id} holds {place} and waits: {held}"),
            Waits::Person(deadline) => {
                let deadline = deadline.readable();
                format!(
                    "{id} holds {place} and waits for somebody there to confirm; if it stays silent, it counts as timed out {deadline}."
                )
            }
            Waits::PutOff(until) => format!("{id} holds {place}, and somebody there has put it off until {}.", until.readable()),
        }
    }

    /// When it is looked at again whether it holds its place.
    fn again(&self, others: bool) -> String {
        let id = &self.device_id;
        let other = if others { ", or another that holds a place is done" } else { "" };
        match &self.waits {
            Waits::Person(_) | Waits::PutOff(_) => format!("When somebody at {id} answers{other}."),
            Waits::Nothing(_) | Waits::Time(..) => format!("When {id} is done{other}."),
        }
    }
}

/// Until when somebody at the device has put an update off, where that is later than silence would count from: from now, or from the next window, on. `silent_from` is
/// its deadline less the time-out of its plan.
pub fn put_off(state: UpdateState, silent_from: Timestamp, terms: &Terms) -> Option<Timestamp> {
    let waits = matches!(state, UpdateState::AwaitingConfirmation | UpdateState::AwaitingWindow);
    (waits && silent_from > terms.waits_from(state)).then_some(silent_from)
}

/// When a device has its turn that this limit keeps back. `waiting` devices of its stage wait as well, and an update takes `took_ms` on average, where
/// anybody knows. An estimate counts from when the updates before it began: while nothing happens it stays what it is.
pub fn turn(
    spec: &RolloutSpec,
    full: &Full<'_>,
    crowd: Crowd,
    (waiting, took_ms): (i64, Option<i64>),
    holders: &[Holder],
    now: Timestamp,
) -> Turn {
    let places = match full {
        Full::Rate(_) => {
            let at = last_turn(spec, full, crowd, waiting, took_ms).map(|ms| now.plus(ms));
            return Turn { at, ..Turn::default() };
        }
        Full::AtOnce(most) => i64::from(*most),
        Full::Budget(_, most) => *most,
    };
    let (going, mut long): (Vec<&Holder>, Vec<&Holder>) = holders.iter().partition(|holder| holder.waits.since().is_some());
    let free = places.saturating_sub(count(&long));
    if free < 1 && !long.is_empty() {
        long.sort_by(|a, b| (a.waits.comes(), &a.device_id).cmp(&(b.waits.comes(), &b.device_id)));
        return behind(&long, usize::try_from(free.unsigned_abs()).unwrap_or(usize::MAX));
    }
    // Without a history nobody knows how long anything takes.
    let Some(took) = took_ms else { return Turn::default() };
    let (usual, slow): (Vec<&Holder>, Vec<&Holder>) =
        going.into_iter().partition(|holder| holder.waits.since().is_some_and(|since| since.plus(took) > now));
    // A place that is held for longer than usual is none that is reckoned with.
    let free = free.saturating_sub(count(&slow));
    if free < 1
        && let Some(holder) = slow.first()
    {
        let holders = format!(
            "{} has held its place for longer than updates usually take: nobody can tell by when its turn comes.",
            holder.device_id
        );
        return Turn { holders, ..Turn::default() };
    }
    let narrowed = match full {
        Full::AtOnce(_) => Full::AtOnce(u32::try_from(free).unwrap_or(u32::MAX)),
        Full::Budget(budget, _) => Full::Budget(budget, free),
        Full::Rate(most) => Full::Rate(*most),
    };
    let newest = usual.iter().filter_map(|holder| holder.waits.since()).max();
    let at = newest.and_then(|since| Some(since.plus(last_turn(spec, &narrowed, crowd, waiting, took_ms)?)));
    Turn { at, ..Turn::default() }
}

/// What is told where devices hold all places that wait for something, the first of them to go on first. So many of them have to be done before the one that frees
/// a place.
fn behind(long: &[&Holder], before: usize) -> Turn {
    let place = if long.len() == 1 { "the place" } else { "a place" };
    let mut said: Vec<String> = long.iter().take(NAMED).map(|holder| holder.words(place)).collect();
    match long.len().saturating_sub(NAMED) {
        0 => {}
        1 => said.push("So does 1 more.".to_owned()),
        more => said.push(format!("So do {more} more.")),
    }
    // Where one may go on at any moment, no instant of another says anything.
    let known = long.iter().all(|holder| holder.waits.comes().is_some());
    let (at, again) = match long.get(before).filter(|_| known) {
        Some(holder) => (holder.waits.comes(), format!("When {} may install, and is done.", holder.device_id)),
        None => (None, long.first().map_or_else(String::new, |first| first.again(long.len() > 1))),
    };
    said.push(at.map_or_else(
        || "Nobody can tell by when its turn comes.".to_owned(),
        |at| format!("Its turn does not come before {}.", at.readable()),
    ));
    Turn { at, holders: said.join(" "), again }
}

fn count(holders: &[&Holder]) -> i64 {
    i64::try_from(holders.len()).unwrap_or(i64::MAX)
}

/// What a plan is warned of that limits how many devices update at the same time, and has them wait for a window or for somebody; none where it does not do both.
pub fn warning(spec: &RolloutSpec) -> Option<String> {
    let waits = match (spec.window.is_some() && !spec.download_only, spec.confirm_at_device) {
        (true, true) => "their window or for somebody to confirm",
        (true, false) => "their window",
        (false, true) => "somebody to confirm",
        (false, false) => return None,
    };
    let holds_up = |most: u32| if most == 1 { "one of them holds up".to_owned() } else { format!("{most} of them hold up") };
    let of_budget = spec.budget.as_ref().map(|budget| {
        let held = budget.at_most.map_or_else(|| "as many of them as the budget allows hold up".to_owned(), holds_up);
        format!("{held} the others with the same {}", budget.attribute)
    });
    let of_rollout = spec.at_once.filter(|most| *most > 0).map(|most| format!("{} the whole rollout", holds_up(most)));
    let held: Vec<String> = of_budget.into_iter().chain(of_rollout).collect();
    (!held.is_empty()).then(|| format!("Devices that wait for {waits} hold their place meanwhile: {}.", held.join(", and ")))
}

#[cfg(test)]
mod tests;

//! Pure: whether a rollout lets a device have its release now: every rule, each decided here and nowhere else. It is asked before an offer and in the offer's
//! transaction, by the explanation of why a device waits, and by the simulation. Refuses to know how a fact is found out and in which words it is told.

use super::{confirming::Agreement, course::may_install, state::begun, survey::Miss};
use std::cmp::Reverse;
use wire::{
    Timestamp,
    ids::RolloutId,
    states::{ReleaseState, RolloutState, UpdateState},
};

/// A rule of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The rollout goes out.
    GoesOut,
    /// The device's place is within what its stages reach by now.
    Place,
    /// It had no turn in the rollout, or has another one.
    OwnTurn,
    /// Of a way back: it had a part in what is taken back.
    Part,
    /// The release and the plan are for it.
    Fits,
    /// Whoever has to agree has, or is asked at the device.
    Agreed,
    /// A stage takes it whose turn has come, and that still takes devices.
    Stage,
    /// The release may be installed, and its files are whole.
    Release,
    /// Neither its window nor a freeze holds it.
    Time,
    /// There is room beside those that update at the same time.
    Room,
    /// It has not used up its data budget, or the plan passes over that.
    DataBudget,
}

impl Check {
    /// All of them, those first that cost least to find out.
    pub const ALL: [Self; 11] = [
        Self::Place,
        Self::OwnTurn,
        Self::GoesOut,
        Self::Part,
        Self::Fits,
        Self::Agreed,
        Self::Stage,
        Self::Release,
        Self::Time,
        Self::Room,
        Self::DataBudget,
    ];
    /// Those that others may have changed by the time of an offer's transaction, and that its locks keep as they are: asked again in it.
    pub const HELD: [Self; 6] = [Self::GoesOut, Self::Place, Self::Stage, Self::OwnTurn, Self::Time, Self::Room];
}

/// How far a rollout is open to devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doors {
    /// Where it is in its life.
    pub state: RolloutState,
    /// The stage that runs or ran last, from 1; 0 before the first.
    pub stage: u32,
    /// Devices at or before this place may be offered it.
    pub cut: i64,
    /// Until when.
    pub until: Timestamp,
}

/// Which stage takes a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The one within whose cut its place is: nothing else decides it.
    ByPlace,
    /// This one, from 1; none where no stage takes it.
    By(Option<u32>),
}

/// How a device's newest attempt in a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Had {
    /// There was none.
    Nothing,
    /// It was taken back before the device began, or a person has it tried again.
    Again,
    /// It goes on or has ended; it is offered once more by itself from then on, or never.
    Turn(Option<Timestamp>),
}

impl Had {
    /// Whether the device may be offered the release now, as far as its turn goes.
    pub fn may_come(self, now: Timestamp) -> bool {
        match self {
            Self::Nothing | Self::Again => true,
            Self::Turn(again) => again.is_some_and(|at| at <= now),
        }
    }
}

/// Whether time lets a device begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// It does.
    Open,
    /// Not before then; none where that is not known.
    Shut(Option<Timestamp>),
}

/// What was found out of a rollout and a device. A fact that nobody has found out keeps the device back: see [`Bar::NotKnown`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// Of [`Check::GoesOut`], [`Check::Place`] and [`Check::Stage`].
    pub doors: Option<Doors>,
    /// The device's place, as [`draw`](super::draw) says.
    pub place: Option<i64>,
    /// The stage that takes it.
    pub taken: Option<Taken>,
    /// Its newest attempt.
    pub had: Option<Had>,
    /// Whether it had a part in what is taken back; true of a rollout that takes nothing back.
    pub part: Option<bool>,
    /// Whether the release and the plan are for it: what [`Target::check`](super::survey::Target::check) says.
    pub fits: Option<Result<(), Miss>>,
    /// Who has to agree.
    pub agreement: Option<Agreement>,
    /// Where the release is in its life, and whether a file of it is damaged.
    pub release: Option<(ReleaseState, bool)>,
    /// What [`timing`](super::timing) says.
    pub time: Option<Time>,
    /// Whether [`throttle`](super::throttle) finds room.
    pub room: Option<bool>,
    /// Whether its data budget is used up, and counts.
    pub over_budget: Option<bool>,
}

/// What keeps a device back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// What this rule looks at was not found out.
    NotKnown(Check),
    /// The rollout does not go out: it is in this state.
    NotOut(RolloutState),
    /// Its place is behind what the stages reach.
    NotReached,
    /// It had its turn; it has another one from then on, or none.
    HadItsTurn(Option<Timestamp>),
    /// It had no part in what is taken back.
    NoPart,
    /// This speaks against it.
    Misses(Miss),
    /// Somebody in the console has to confirm it first.
    NotAgreed,
    /// No stage takes it.
    NoStage,
    /// This stage takes it, from 1, and its turn comes later.
    Later(u32),
    /// The stage that runs takes no more devices.
    Closed,
    /// The release may not be installed any more.
    NotInstallable,
    /// A file of the release is damaged.
    Damaged,
    /// Its window or a freeze holds it, until then where that is known.
    Shut(Option<Timestamp>),
    /// As many update at the same time as may.
    NoRoom,
    /// It has used up its data budget.
    OverBudget,
}

/// What a rule says.
enum Answer {
    LetsIn,
    Keeps(Bar),
}

/// What ends that a device is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// A change of the device, the rollout or its release, of which everybody is told.
    ByChange,
    /// This instant.
    At(Timestamp),
    /// Any moment: whoever wants to know has to ask again.
    AnyMoment,
}

impl Known {
    /// Whether a rule keeps the device back, and what does.
    pub fn bar(&self, check: Check, now: Timestamp) -> Option<Bar> {
        match self.asked(check, now) {
            Some(Answer::LetsIn) => None,
            Some(Answer::Keeps(bar)) => Some(bar),
            None => Some(Bar::NotKnown(check)),
        }
    }

    /// Whether these rules let the device in; an error is the first that does not.
    pub fn let_in(&self, checks: &[Check], now: Timestamp) -> Result<(), Bar> {
        checks.iter().find_map(|check| self.bar(*check, now)).map_or(Ok(()), Err)
    }

    /// Whether all rules let the device in whose facts were found out until now: whoever finds out more asks again.
    pub fn let_in_so_far(&self, now: Timestamp) -> Result<(), Bar> {
        let keeps = |check: &Check| match self.asked(*check, now) {
            Some(Answer::Keeps(bar)) => Some(bar),
            Some(Answer::LetsIn) | None => None,
        };
        Check::ALL.iter().find_map(keeps).map_or(Ok(()), Err)
    }

    /// None where what the rule looks at is not known.
    fn asked(&self, check: Check, now: Timestamp) -> Option<Answer> {
        let when = |keeps: bool, bar: Bar| if keeps { Answer::Keeps(bar) } else { Answer::LetsIn };
        Some(match check {
            Check::GoesOut => {
                let state = self.doors?.state;
                when(state != RolloutState::Running, Bar::NotOut(state))
            }
            Check::Place => when(self.place? > self.doors?.cut, Bar::NotReached),
            Check::OwnTurn => match self.had? {
                had @ Had::Turn(again) => when(!had.may_come(now), Bar::HadItsTurn(again)),
                Had::Nothing | Had::Again => Answer::LetsIn,
            },
            Check::Part => when(!self.part?, Bar::NoPart),
            Check::Fits => match self.fits? {
                Ok(()) => Answer::LetsIn,
                Err(miss) => Answer::Keeps(Bar::Misses(miss)),
            },
            Check::Agreed => when(!self.agreement?.lets_offer(), Bar::NotAgreed),
            Check::Stage => match (self.taken?, self.doors?) {
                (Taken::By(None), _) => Answer::Keeps(Bar::NoStage),
                (Taken::By(Some(own)), doors) if own > doors.stage => Answer::Keeps(Bar::Later(own)),
                (_, doors) => when(now >= doors.until, Bar::Closed),
            },
            Check::Release => match self.release? {
                (state, _) if !may_install(state) => Answer::Keeps(Bar::NotInstallable),
                (_, damaged) => when(damaged, Bar::Damaged),
            },
            Check::Time => match self.time? {
                Time::Open => Answer::LetsIn,
                Time::Shut(until) => Answer::Keeps(Bar::Shut(until)),
            },
            Check::Room => when(!self.room?, Bar::NoRoom),
            Check::DataBudget => when(self.over_budget?, Bar::OverBudget),
        })
    }
}

impl Bar {
    /// What ends it.
    pub fn ends(self) -> Ends {
        match self {
            // Who asks somebody else for it may be let in where this one is not.
            Self::NotAgreed | Self::NoRoom | Self::OverBudget | Self::NotKnown(_) => Ends::AnyMoment,
            Self::HadItsTurn(Some(at)) | Self::Shut(Some(at)) => Ends::At(at),
            Self::NotOut(_)
            | Self::NotReached
            | Self::HadItsTurn(None)
            | Self::NoPart
            | Self::Misses(_)
            | Self::NoStage
            | Self::Later(_)
            | Self::Closed
            | Self::NotInstallable
            | Self::Damaged
            | Self::Shut(None) => Ends::ByChange,
        }
    }
}

/// How a rollout stands to others that mean the same device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// How urgent its plan is.
    pub priority: u32,
    /// The sequence that its release brings.
    pub sequence: i64,
}

impl Rank {
    /// For sorting: the more urgent one is asked first whether it has something for a device, of those the newer one, and then the one that was there before. The
    /// statement that reads them has the same order.
    pub const fn order(self, id: &RolloutId) -> (Reverse<Self>, &RolloutId) {
        (Reverse(self), id)
    }

    /// Whether it takes a device over from another one's open update in this state: the device has not begun that, and its release is older and no more urgent.
    pub const fn takes_over(self, other: Self, state: UpdateState) -> bool {
        !begun(state) && self.sequence > other.sequence && self.priority >= other.priority
    }
}

#[cfg(test)]
mod tests;

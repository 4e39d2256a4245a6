//! What this room refuses, and what of it may leave.

use wire::{
    Fault, FaultKind,
    ids::RolloutId,
    rollouts::{MOST_SORTED, Problem},
    states::UpdateState,
};

/// Why something about a rollout was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such rollout or update in this organization, or not this device's.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The plan can't be used as it is.
    #[error("the plan has problems: {0:?}")]
    Problems(Vec<Problem>),
    /// The author can't decide on their own rollout.
    #[error("the author can't decide")]
    OwnRollout,
    /// Whoever edited it or sent it can't approve it.
    #[error("whoever edited or sent it can't approve it")]
    OwnPart,
    /// An approval without saying of what.
    #[error("an approval needs a digest")]
    NoDigest,
    /// What was decided on is not what would run any more.
    #[error("the plan has changed since it was read")]
    OtherDigest,
    /// Somebody else changed it in the meantime.
    #[error("changed since it was read")]
    Stale,
    /// An order for a stage that is not the current one any more.
    #[error("stage {saw} is not the current one")]
    MovedOn {
        /// The stage that it was given for.
        saw: u32,
        /// How far the rollout is.
        now: String,
    },
    /// Its state does not allow this.
    #[error("{0}")]
    NotNow(String),
    /// The draw of a preview that a rollout has already.
    #[error("{id} has this draw")]
    DrawUsed {
        /// The rollout, which has the draw's own id.
        id: RolloutId,
        /// Its name.
        name: String,
    },
    /// A draw that nothing can be drafted with any more, or never could.
    #[error("nothing can be drafted with this draw")]
    DrawGone,
    /// An input that can't be taken.
    #[error("{field}: {message}")]
    Invalid {
        /// The input.
        field: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// Another order was asked of a list for which too many devices would have to be looked at.
    #[error("a list for which more than {MOST_SORTED} devices are looked at is not sorted")]
    TooManyToSort,
    /// A state that is not a device's to report.
    #[error("a device can't report {0}")]
    NotYours(UpdateState),
}

impl Error {
    pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    pub(super) fn not_a_cursor() -> Self {
        Self::invalid("cursor", wire::page::NOT_A_CURSOR)
    }

    /// Whether a plan with so many stages has the one that is asked for. 0 is none of them, and what it asks for the list says.
    pub(super) fn unless_stage(asked: Option<u32>, stages: usize) -> Result<(), Self> {
        if asked.is_none_or(|stage| usize::try_from(stage).is_ok_and(|stage| stage <= stages)) {
            return Ok(());
        }
        let have = match stages {
            1 => "It has one stage: choose 1".to_owned(),
            many => format!("It has {many} stages: choose 1 to {many}"),
        };
        Err(Self::invalid("stage", format!("{have}, or leave the stage out.")))
    }

    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        use FaultKind as K;
        match self {
            Self::NotFound(what) => Fault::new(K::NotFound, "not_found", format!("There is no such {what}.")),
            Self::Problems(problems) => {
                // One says where by the fault's field; of several each says it itself.
                let one = problems.len() == 1;
                let told = |p: &Problem| if one { p.message.clone() } else { format!("{}: {}", p.field, p.message) };
                let text: Vec<String> = problems.iter().map(told).collect();
                let fault = Fault::new(K::Invalid, "plan_has_problems", text.join(" "));
                match problems.first() {
                    Some(first) => fault.at(first.field.clone()),
                    None => fault,
                }
            }
            Self::OwnRollout => Fault::new(K::Forbidden, "own_rollout", "You asked for this, someone else must decide."),
            Self::OwnPart => {
                let why = "You edited this plan or sent it for approval since it was approved last, so somebody else must approve it.";
                Fault::new(K::Forbidden, "own_rollout", why)
            }
            Self::OtherDigest => Fault::new(
                K::Conflict,
                "other_digest",
                "The plan has changed since you read it. Read it again, then decide on what it is now.",
            ),
            Self::Stale => Fault::new(K::Conflict, "changed", "Somebody changed it in the meantime. Load it again and look."),
            Self::MovedOn { saw, now } => {
                let then = if *saw == 0 { "no stage had begun".to_owned() } else { format!("stage {saw} was the current one") };
                let text = format!(
                    "It has moved on: {then} when you looked. By now: {}. Look at that, then decide again.",
                    now.trim_end_matches('.')
                );
                Fault::new(K::Conflict, "moved_on", text)
            }
            Self::NotNow(why) => Fault::new(K::Conflict, "not_now", why.clone()),
            Self::DrawUsed { id, name } => {
                let why = format!("“{name}” ({id}) has this draw already. Another rollout takes a preview of its own, which draws anew.");
                Fault::new(K::Conflict, "draw_used", why).about(id.as_str())
            }
            Self::DrawGone => {
                let why = "The preview is over a day old, or none made this draw. Preview the plan again: it is drawn anew.";
                Fault::new(K::Conflict, "draw_gone", why)
            }
            Self::NoDigest => Fault::new(K::Invalid, "no_digest", "Say which plan you approve: send its digest.").at("digest"),
            Self::Invalid { field, message } => Fault::new(K::Invalid, "invalid", message.clone()).at(*field),
            Self::TooManyToSort => {
                let why = "Too many devices would have to be looked at to put them in another order. Narrow the list to how they fare or how their updates ended, or search for a few by id, tag or group, or leave the order out.";
                Fault::new(K::Invalid, "too_many_to_sort", why).at("sort")
            }
            Self::NotYours(state) => {
                Fault::new(K::Invalid, "not_a_devices_state", format!("{state} is the server's to say; report what the device does."))
            }
        }
    }
}

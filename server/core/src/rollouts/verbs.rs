//! What may be done with a rollout now, by whoever asks, and why not. Refuses to know how it is shown, and how it is done.

use super::{
    approval_standing::Standing,
    control::{order, retry},
    course::Course,
    deciding::{Word, not_decidable},
    drafting::not_editable,
    glass::not_breakable,
    moving::not_by,
    store::records::Record,
};
use crate::access::{Act, Actor, allowed};
use wire::{
    Timestamp,
    rollouts::{Action, EndClass, GlassBreak, Verb},
    states::RolloutState,
};

/// What stands around a rollout's course when it is asked who may do what.
pub(super) struct Around<'a> {
    /// How its approval stands, while it waits for that.
    pub standing: Option<&'a Standing>,
    /// Its newest start without approval.
    pub glass: Option<&'a GlassBreak>,
    /// Whether the organization lets the glass be broken.
    pub breakable: bool,
    /// How many of its updates people have cancelled.
    pub cancelled: i64,
}

/// What the caller may do now, and where not, why. Verbs that their role can never use are left out.
pub(super) fn actions(actor: &Actor, record: &Record, course: &Course, around: &Around<'_>, now: Timestamp) -> Vec<Action> {
    use Verb as V;
    let mut out = Vec::new();
    for (verb, act) in [
        (V::Edit, Act::Draft),
        (V::Submit, Act::Draft),
        (V::Approve, Act::Approve),
        (V::Reject, Act::Approve),
        (V::BreakGlass, Act::BreakGlass),
        (V::Start, Act::Control),
        (V::Pause, Act::Control),
        (V::Resume, Act::Control),
        (V::Promote, Act::Control),
        (V::Retry, Act::Control),
        (V::RollBack, Act::Control),
        (V::Stop, Act::Control),
    ] {
        if !allowed(actor, act) {
            continue;
        }
        let decidable = |word| not_decidable(record, actor, around.standing, word, now).map(|e| e.fault().message);
        let blocked = match verb {
            V::Edit => not_editable(record),
            V::Submit => (record.state() != RolloutState::Draft).then(|| "Only a draft can be sent for approval.".to_owned()),
            V::Approve => decidable(Word::Yes),
            V::Reject => decidable(Word::No),
            V::BreakGlass => not_breakable(record, around.breakable, now),
            // Whoever does it chooses of whom.
            V::Retry => retry(course, EndClass::ALL, around.cancelled, now).err(),
            _ => {
                not_by(verb, record, actor, around.glass, now).map(|e| e.fault().message).or_else(|| order(verb, course, "", "", now).err())
            }
        };
        out.push(Action { verb, blocked });
    }
    out
}

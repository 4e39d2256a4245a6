//! Pure: why a step of an authority's life is not possible from the state it is in, and what to do first. One set of words for whoever refuses it and for
//! pages that only show it.

use crate::states::{AuthorityState, AuthorityStep};

/// Claims' authorities are made as they are needed.
pub const CLAIMS_FOLLOW: &str = "The authority of claims is followed by itself, with the next claim that is made.";
/// There can be one at a time.
pub const ONE_STAGED: &str = "There is a staged authority for this use already. Activate or retire it first.";
/// What issues already, or no longer, is not activated.
pub const ONLY_STAGED: &str = "Only a staged authority can be activated.";
/// Somebody has to issue.
pub const SUCCESSOR_FIRST: &str = "Only a retiring or staged authority can be retired. Activate its successor first.";
/// Somebody has to be believed.
pub const ROOT_SUCCESSOR_FIRST: &str = "Only a retiring or staged root can be retired. Activate its successor first.";
/// Nobody would find back.
pub const ROOT_IS_BELIEVED: &str =
    "Devices believe in this root. Stage the next one, activate it, by force if need be, then give this one up.";

/// Why this step is not possible for an authority of this kind (`root`, `device`, `server` or `claim`) in this state; none where it is possible, or
/// where it depends on more than that.
pub fn not_from(step: AuthorityStep, kind: &str, state: AuthorityState) -> Option<&'static str> {
    use AuthorityState as S;
    match (step, kind, state) {
        (AuthorityStep::Stage, "claim", _) => Some(CLAIMS_FOLLOW),
        (AuthorityStep::Stage, _, S::Staged) => Some(ONE_STAGED),
        (AuthorityStep::Activate, _, S::Active | S::Retiring | S::Retired | S::Compromised) => Some(ONLY_STAGED),
        (AuthorityStep::Retire, "root", S::Active | S::Retired | S::Compromised) => Some(ROOT_SUCCESSOR_FIRST),
        (AuthorityStep::Retire, _, S::Active | S::Retired | S::Compromised) => Some(SUCCESSOR_FIRST),
        (AuthorityStep::Compromise, "root", S::Active) => Some(ROOT_IS_BELIEVED),
        (AuthorityStep::Compromise, _, S::Compromised) => Some("It is given up already."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_state_does_not_allow_says_what_to_do_first() {
        let why = |step, kind, state| not_from(step, kind, state).unwrap_or_default();
        assert!(why(AuthorityStep::Retire, "device", AuthorityState::Active).contains("Activate its successor first"));
        assert!(why(AuthorityStep::Compromise, "root", AuthorityState::Active).contains("Stage the next one"));
        assert_eq!(why(AuthorityStep::Retire, "device", AuthorityState::Retiring), "");
        for state in AuthorityState::ALL {
            let possible = not_from(AuthorityStep::Activate, "server", *state).is_none();
            assert_eq!(possible, *state == AuthorityState::Staged, "{state}");
        }
    }
}

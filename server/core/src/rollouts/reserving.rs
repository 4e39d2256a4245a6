//! The id of a draft before there is one: who is in which stage follows from the id, so a plan that is not kept yet is previewed under an id, and
//! drafted under it later. Owns which ids can be had so, and for how long; refuses to know what is drawn.

use super::{Rollouts, store::records};
use crate::{
    Result,
    db::{Conn, Error as DbError, Read},
};
use wire::{
    Timestamp,
    ids::{Id, RolloutId},
};

/// How long a draft can be made under the id of its preview: a day.
const HELD_MS: i64 = 24 * 3_600_000;
/// How far the clock of another server may be ahead.
const AHEAD_MS: i64 = 60_000;

impl Rollouts {
    /// The id to preview a plan under: the one of its preview before, where a draft can still be made under it, and otherwise a new one.
    pub(super) async fn reserved(&self, on: &mut Read, before: Option<&RolloutId>) -> Result<RolloutId> {
        let now = self.clock.now();
        match before {
            Some(id) if free(on, id, now).await? => Ok(id.clone()),
            Some(_) | None => Ok(self.entropy.id(now)),
        }
    }
}

/// Whether a draft can be made under an id: it was made by a preview lately, and no rollout has it.
pub(super) async fn free(on: &mut impl Conn, id: &RolloutId, now: Timestamp) -> Result<bool, DbError> {
    Ok(recent(id, now) && !records::taken(on, id).await?)
}

/// Pure: whether an id was made within [`HELD_MS`]. Rollouts are listed by their ids, newest first, so one out of its time would stand in a wrong place.
fn recent(id: &RolloutId, now: Timestamp) -> bool {
    // The first 48 bits of a UUID of version 7 are its Unix milliseconds (RFC 9562, section 5.7).
    let digits = id.as_str().get(RolloutId::PREFIX.len() + 1..).and_then(|hex| hex.get(..12));
    let made = digits.and_then(|hex| i64::from_str_radix(hex, 16).ok());
    made.is_some_and(|at| at > now.0.saturating_sub(HELD_MS) && at <= now.0.saturating_add(AHEAD_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::rollout_id;

    #[test]
    fn an_id_can_be_had_for_a_day_and_not_from_the_future() {
        // That of the tests is made at this instant.
        let (id, made) = (rollout_id(1), 1_700_000_000_000);
        let recent = |ms: i64| recent(&id, Timestamp(made + ms));
        assert_eq!([0, HELD_MS - 1, HELD_MS, -AHEAD_MS, -AHEAD_MS - 1].map(recent), [true, true, false, true, false]);
        let zero: RolloutId = "rol_00000000000000000000000000000000".parse().unwrap();
        assert!(!super::recent(&zero, Timestamp(made)));
    }
}

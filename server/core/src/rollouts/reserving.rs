//! The id of a draft before there is one: who is in which stage follows from the id, so a plan that is not kept yet is previewed under an id, and
//! drafted under it later. Owns which ids can be had so, and for how long; refuses to know what is drawn.
//!
//! An id that could be chosen would choose the devices that come first. So those of previews carry a tag that only instances of this fleet can make,
//! over the rest of the id and its organization; nothing is kept of them until there is a draft.

use super::{Rollouts, store::records};
use crate::{
    Result,
    db::{Conn, Error as DbError, Read},
    entropy::id_of,
};
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use wire::{
    Timestamp,
    ids::{Id, OrgId, RolloutId},
};

/// How long a draft can be made under the id of its preview: a day.
const HELD_MS: i64 = 24 * 3_600_000;
/// How far the clock of another server may be ahead.
const AHEAD_MS: i64 = 60_000;
/// Bytes of a tag, the last ones of the id. Whoever guesses at them has to ask for each guess.
const TAG: usize = 6;

impl Rollouts {
    /// The id to preview a plan under: the one of its preview before, where a draft can still be made under it, and otherwise a new one.
    pub(super) async fn reserved(&self, on: &mut Read, org: &OrgId, before: Option<&RolloutId>) -> Result<RolloutId> {
        let now = self.clock.now();
        match before {
            Some(id) if self.free(on, org, id, now).await? => Ok(id.clone()),
            Some(_) | None => Ok(drawn(&self.draws, org, now, self.entropy.bytes())),
        }
    }

    /// Whether a draft can be made under an id: a preview of this organization made it lately, and no rollout has it.
    pub(super) async fn free(&self, on: &mut impl Conn, org: &OrgId, id: &RolloutId, now: Timestamp) -> Result<bool, DbError> {
        Ok(recent(id, now) && is_ours(&self.draws, org, id) && !records::taken(on, id).await?)
    }
}

/// Pure: the id of a new draw. The last of the random bytes give way to the tag.
fn drawn(key: &hmac::Key, org: &OrgId, now: Timestamp, mut bytes: [u8; 10]) -> RolloutId {
    let untagged: RolloutId = id_of(now, &bytes);
    let (_, last) = bytes.split_at_mut(10 - TAG);
    last.copy_from_slice(&tag(key, org, split(&untagged).0));
    id_of(now, &bytes)
}

/// Pure: whether an id is one of [`drawn`], for this organization and by this key.
fn is_ours(key: &hmac::Key, org: &OrgId, id: &RolloutId) -> bool {
    let (before, told) = split(id);
    verify_slices_are_equal(hex::encode(tag(key, org, before)).as_bytes(), told.as_bytes()).is_ok()
}

/// An id up to its tag, and the tag.
fn split(id: &RolloutId) -> (&str, &str) {
    let text = id.as_str();
    text.split_at_checked(text.len().saturating_sub(2 * TAG)).unwrap_or((text, ""))
}

/// HMAC-SHA-256 (RFC 2104), cut to 48 bits.
fn tag(key: &hmac::Key, org: &OrgId, before: &str) -> [u8; TAG] {
    let whole = hmac::sign(key, [org.as_str(), "/", before].concat().as_bytes());
    let mut tag = [0; TAG];
    tag.copy_from_slice(&whole.as_ref()[..TAG]);
    tag
}

/// Pure: whether an id was made within [`HELD_MS`]. Rollouts are listed by their ids, newest first: a draft stands where its preview was made, which is
/// not long before it.
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

    #[test]
    fn only_what_a_preview_of_this_organization_has_made_can_be_had() {
        let key = |n: u8| hmac::Key::new(hmac::HMAC_SHA256, &[n; 32]);
        let org = |n: u8| -> OrgId { format!("org_{n:032x}").parse().unwrap() };
        let now = Timestamp(1_700_000_000_000);
        let id = drawn(&key(1), &org(1), now, [7; 10]);
        assert!(is_ours(&key(1), &org(1), &id) && recent(&id, now));
        assert!(!is_ours(&key(2), &org(1), &id), "of another fleet");
        assert!(!is_ours(&key(1), &org(2), &id), "of another organization");
        assert!(!is_ours(&key(1), &org(1), &rollout_id(1)), "made by whoever asks");
        // None of its digits can be another one.
        for at in RolloutId::PREFIX.len() + 1..id.as_str().len() {
            let (before, rest) = id.as_str().split_at(at);
            let other = if rest.starts_with('0') { "1" } else { "0" };
            let changed: RolloutId = format!("{before}{other}{}", &rest[1..]).parse().unwrap();
            assert!(!is_ours(&key(1), &org(1), &changed), "{changed}");
        }
        assert_ne!(drawn(&key(1), &org(1), now, [8; 10]), id, "each preview has its own");
    }
}

//! Who may review a start without approval, how far that is, and what an objection may stop.

use crate::{
    Result, access,
    access::{Act, Actor, may},
    db::Conn,
    rollouts::{
        Error,
        store::glass::{self as store, Break},
    },
};
use std::collections::HashMap;
use wire::{
    ids::{GlassId, OrgId, UserId},
    rollouts::{GLASS_REVIEWS, GlassBreak, GlassReview, GlassStop},
    states::RolloutState,
};

/// Who may review a break, and what was said.
pub(super) struct Reviewing {
    pub made: Break,
    /// Those who can as of now.
    able: Vec<UserId>,
    reviews: Vec<GlassReview>,
}

impl Reviewing {
    /// Of one.
    pub(super) async fn read(on: &mut impl Conn, org: &OrgId, made: Break) -> Result<Self> {
        let (mut reviews, then) = (store::reviews(on, &[&made.id]).await?, store::reviewers(on, &[&made.id]).await?);
        let admins = access::admins(on, org).await?;
        let said = reviews.remove(&made.id).unwrap_or_default();
        Ok(Self::of(made, &admins, (said, &then)))
    }

    /// Of each, in their order, in as many readings as for one.
    pub(super) async fn of_each(on: &mut impl Conn, org: &OrgId, all: Vec<Break>) -> Result<Vec<Self>> {
        let ids: Vec<&GlassId> = all.iter().map(|made| &made.id).collect();
        let open: Vec<&GlassId> = all.iter().filter(|made| made.settled_at.is_none()).map(|made| &made.id).collect();
        let (mut reviews, then) = (store::reviews(on, &ids).await?, store::reviewers(on, &open).await?);
        let admins = access::admins(on, org).await?;
        let one = |made: Break| {
            let said = reviews.remove(&made.id).unwrap_or_default();
            Self::of(made, &admins, (said, &then))
        };
        Ok(all.into_iter().map(one).collect())
    }

    /// Pure: who is able to, of the admins there are and of those who were when it was made.
    fn of(made: Break, admins: &[(UserId, String)], (reviews, then): (Vec<GlassReview>, &HashMap<GlassId, Vec<UserId>>)) -> Self {
        if made.settled_at.is_some() {
            return Self { made, able: Vec::new(), reviews };
        }
        let then = then.get(&made.id).map_or(&[][..], Vec::as_slice);
        let others = || admins.iter().map(|(user, _)| user).filter(|user| **user != made.by && user.as_str() != made.author);
        let mut able: Vec<UserId> = others().filter(|user| then.contains(user)).cloned().collect();
        if able.len() < GLASS_REVIEWS as usize {
            able = others().cloned().collect();
        }
        Self { made, able, reviews }
    }

    /// How many more people have to review it. What somebody said who is not an admin any more does not count.
    pub(super) fn missing(&self) -> u32 {
        let counted = self.reviews.iter().filter(|r| self.able.contains(&r.by)).count();
        let left = GLASS_REVIEWS.saturating_sub(u32::try_from(counted).unwrap_or(u32::MAX));
        if self.made.settled_at.is_some() { 0 } else { left }
    }

    /// Why this person can't review it, though their role may.
    pub(super) fn not_by(&self, actor: &Actor) -> Option<Error> {
        let Some(user) = actor.user() else { return Some(Error::NotNow("Only a person can decide.".to_owned())) };
        let why = if self.made.settled_at.is_some() {
            "It has been reviewed."
        } else if *user == self.made.by {
            "You broke the glass: two other people review that."
        } else if user.as_str() == self.made.author {
            "It is your plan: two other people review that it went without approval."
        } else if self.reviews.iter().any(|r| r.by == *user) {
            "You have reviewed it; it waits for somebody else."
        } else if !self.able.contains(user) {
            "You became an admin after the glass was broken; those who were admins then review it."
        } else {
            return None;
        };
        Some(Error::NotNow(why.to_owned()))
    }

    pub(super) fn shown(self, actor: &Actor) -> GlassBreak {
        let blocked = match may(actor, Act::Approve) {
            Ok(()) => self.not_by(actor).map(|e| e.fault().message),
            Err(_) => Some("Reviewing needs the role admin.".to_owned()),
        };
        let missing = self.missing();
        let Self { made, reviews, .. } = self;
        GlassBreak {
            stops: stops(&made),
            id: made.id,
            rollout: made.rollout,
            rollout_name: made.rollout_name,
            rollout_state: made.rollout_state,
            by: made.by,
            by_name: made.by_name,
            reason: made.reason,
            digest: made.digest,
            given: made.given,
            needed: made.needed,
            from: made.from,
            release: made.release,
            selector: made.selector,
            devices: made.devices,
            at: made.at,
            review_by: made.review_by,
            overdue: made.overdue,
            settled_at: made.settled_at,
            reviews,
            missing,
            holds: made.holds,
            blocked,
        }
    }
}

/// What an objection may do at once.
pub(super) fn stops(made: &Break) -> Option<GlassStop> {
    match made.rollout_state {
        RolloutState::Running | RolloutState::Paused if made.holds => Some(GlassStop::Halt),
        RolloutState::Approved | RolloutState::Scheduled if made.holds => Some(GlassStop::Draft),
        _ => None,
    }
}

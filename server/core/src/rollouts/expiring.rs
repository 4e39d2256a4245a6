//! For how long an approval is waited for, and for how long it holds. Owns the organization's terms and the end of what has outlived them, and of requests
//! whose release was recalled: it is a draft again, with the reason. Refuses to touch what has begun.
//!
//! Each rollout keeps the instants that the terms gave when it was sent and when it was approved. Whether the glass may be broken is one of the terms,
//! off at first: a fleet begins with one admin, and an organization that has not thought about emergencies has four eyes that nobody goes around.
//! Switching it on counts a day later, as everything does that makes fewer eyes enough.

use super::{
    Error, Rollouts,
    course::{Change, Course, may_install},
    rule::NOTICE_MS,
    store::{
        approvers::{self as store, Terms},
        courses, lists, quorum,
        records::Record,
    },
};
use crate::{
    Result,
    access::{self, Act, Actor, audit, may},
    bus::Event,
    db::Conn,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::OrgId,
    rollouts::{ApprovalTerms, GLASS_REVIEWS, MAX_APPROVAL_DAYS, MAX_REVIEW_HOURS, NewApprovalTerms},
    states::RolloutState,
    time::DAY_MS,
};

const HOUR_MS: i64 = 3_600_000;

/// Where nobody has changed them: a week to decide, a month to begin, a day to review.
const FIRST: Terms = Terms { request_days: 7, start_days: 30, review_hours: 24, break_glass_from: None };

impl Terms {
    /// Until when something is decided on that is sent now; none is for ever.
    pub(super) fn decide_by(&self, now: Timestamp) -> Option<Timestamp> {
        (self.request_days > 0).then(|| now.plus(i64::from(self.request_days) * DAY_MS))
    }

    /// Until when something has to begin that is approved now; none is for ever.
    pub(super) fn start_by(&self, now: Timestamp) -> Option<Timestamp> {
        (self.start_days > 0).then(|| now.plus(i64::from(self.start_days) * DAY_MS))
    }

    /// By when a break is to be reviewed that is made now.
    pub(super) fn review_by(&self, now: Timestamp) -> Timestamp {
        now.plus(i64::from(self.review_hours) * HOUR_MS)
    }

    /// Whether the glass may be broken at this instant.
    pub(super) fn breakable(&self, now: Timestamp) -> bool {
        self.break_glass_from.is_some_and(|from| from <= now)
    }

    pub(super) fn shown(&self, now: Timestamp) -> ApprovalTerms {
        ApprovalTerms {
            request_days: self.request_days,
            start_days: self.start_days,
            review_hours: self.review_hours,
            break_glass: self.breakable(now),
            break_glass_from: self.break_glass_from.filter(|from| *from > now),
        }
    }
}

/// The organization's terms.
pub(super) async fn terms(on: &mut impl Conn, org: &OrgId) -> Result<Terms> {
    Ok(store::terms(on, org).await?.unwrap_or(FIRST))
}

/// What a rollout has outlived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// Its request: nobody, or too few, decided.
    Request,
    /// Its approval: it has not begun.
    Approval,
    /// Its release: nobody decides any more on what nobody may install.
    Release,
}

/// Whether a rollout has outlived its request or its approval, or waits for the approval of a release that was recalled. What is approved stops by that.
pub(super) fn late(record: &Record, now: Timestamp) -> Option<Late> {
    let over = |until: Option<Timestamp>| until.is_some_and(|until| until <= now);
    match record.state() {
        RolloutState::WaitingForApproval if !may_install(record.release_state()) => Some(Late::Release),
        RolloutState::WaitingForApproval if over(record.decide_by) => Some(Late::Request),
        RolloutState::Approved | RolloutState::Scheduled if over(record.start_by) => Some(Late::Approval),
        _ => None,
    }
}

impl Late {
    /// What is refused because of it.
    pub(super) fn refusal(self) -> Error {
        Error::NotNow(match self {
            Self::Request => "The time to decide on it is over. Its author can send it again.".to_owned(),
            Self::Approval => "Its approval has expired: it did not begin in time. Send it for approval again.".to_owned(),
            Self::Release => "The release was recalled, so it can't go out any more. Its author can choose another release.".to_owned(),
        })
    }
}

impl Rollouts {
    /// For how long approvals are waited for and hold, and whether the glass may be broken.
    pub async fn approval_terms(&self, actor: &Actor) -> Result<ApprovalTerms> {
        may(actor, Act::Read)?;
        Ok(terms(&mut self.db.read().await?, &actor.org).await?.shown(self.clock.now()))
    }

    /// Changes them for what is sent, approved or broken from now on. Break glass is switched on a day later, and only where there are enough people
    /// to review it; off at once. What [`Rollouts::approval_terms`] gave changes nothing when it is sent back.
    pub async fn set_approval_terms(&self, actor: &Actor, new: NewApprovalTerms) -> Result<ApprovalTerms> {
        may(actor, Act::People)?;
        for (field, days) in [("request_days", new.request_days), ("start_days", new.start_days)] {
            if days > MAX_APPROVAL_DAYS {
                return Err(Error::invalid(field, format!("Choose 0 to {MAX_APPROVAL_DAYS} days; 0 is never.")).into());
            }
        }
        if !(1..=MAX_REVIEW_HOURS).contains(&new.review_hours) {
            return Err(Error::invalid("review_hours", format!("Choose 1 to {MAX_REVIEW_HOURS} hours.")).into());
        }
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        let before = terms(&mut tx, &actor.org).await?;
        if new.break_glass_from.is_some() && new.break_glass_from != before.break_glass_from {
            let why = "Nobody chooses from when on the glass may be broken: send what was read, or leave it out.";
            return Err(Error::invalid("break_glass_from", why).into());
        }
        let admins = access::admins_beside(&mut tx, &actor.org, "").await?;
        // What was read while it was still to come says that it is off, and does not mean to switch it off.
        let on = new.break_glass || new.break_glass_from.is_some();
        let break_glass_from = match (on, before.break_glass_from) {
            (false, _) => None,
            (true, Some(from)) => Some(from),
            (true, None) if admins > i64::from(GLASS_REVIEWS) => Some(now.plus(NOTICE_MS)),
            (true, None) => {
                let why = format!(
                    "{GLASS_REVIEWS} admins other than the one who did it review it afterwards, so it takes {}; there are {admins}.",
                    GLASS_REVIEWS + 1
                );
                return Err(Error::NotNow(why).into());
            }
        };
        let NewApprovalTerms { request_days, start_days, review_hours, .. } = new;
        let after = Terms { request_days, start_days, review_hours, break_glass_from };
        if after != before {
            store::keep_terms(&mut tx, &actor.org, &after).await?;
            let told = |t: &Terms| json!({ "request_days": t.request_days, "start_days": t.start_days, "review_hours": t.review_hours, "break_glass_from": t.break_glass_from });
            let detail = json!({ "before": told(&before), "after": told(&after) });
            audit::append(&mut tx, actor, now, "rollout.approval_terms", actor.org.as_str(), &detail).await?;
            tx.commit().await?;
        }
        Ok(after.shown(now))
    }

    /// Makes a rollout that has outlived its request, its approval or its release a draft again. Nothing happens when it has moved in the meantime.
    pub(super) async fn expire(&self, record: &Record, course: &Course, late: Late) -> Result<()> {
        let now = self.clock.now();
        let (action, what) = match late {
            Late::Request => ("rollout.request_expired", "The request for approval has expired: it was not decided in time"),
            Late::Approval => ("rollout.approval_expired", "The approval has expired: it did not begin in time"),
            Late::Release => ("rollout.request_void", "The request for approval is void: the release was recalled"),
        };
        let mut tx = self.db.write().await?;
        let back = Change::Enter { to: RolloutState::Draft, summary: what.to_owned() };
        if courses::apply(&mut tx, record, course, &[back], None, now).await?.is_none() {
            return Ok(());
        }
        quorum::void(&mut tx, &record.id).await?;
        lists::add_event(&mut tx, &record.org, &record.id, what, "automatic", "warn", now).await?;
        let detail = match late {
            Late::Request => json!({ "rollout": record.spec.name, "digest": record.digest, "until": record.decide_by }),
            Late::Approval => json!({ "rollout": record.spec.name, "digest": record.digest, "until": record.start_by }),
            Late::Release => json!({ "rollout": record.spec.name, "digest": record.digest, "release": record.release }),
        };
        let system = Actor::system(record.org.clone());
        audit::append(&mut tx, &system, now, action, record.id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: record.org.clone(), id: record.id.clone() });
        Ok(())
    }
}

//! Four eyes: somebody who is not the author says yes or no to the digest of exactly what would run.

use super::{
    Error, Rollouts,
    course::{Change, Course},
    drafting::digest_of,
    moving::said,
    state::{ROLLOUT, step},
    store::{
        courses,
        lists::{self, Decision},
        records::{self, Record},
    },
    validate::MAX_REMARK,
};
use crate::{
    Result,
    access::{Act, Actor, Who, audit, may},
    bus::Event,
    releases,
};
use serde_json::json;
use wire::{
    ids::{ApprovalId, Digest, RolloutId, UserId},
    states::RolloutState,
};

/// A decision to be kept beside the change of state.
pub(super) struct Choice<'a> {
    by: &'a UserId,
    by_name: &'a str,
    approved: bool,
    remark: &'a str,
}

/// A change of state before the start.
pub(super) struct Turn<'a> {
    /// The word in the audit log.
    pub action: &'a str,
    pub to: RolloutState,
    /// The rollout's sentence from now on.
    pub summary: String,
    /// The line in its history.
    pub text: String,
    /// How that is meant.
    pub tone: &'a str,
}

impl Rollouts {
    /// Says yes to this digest: the plan runs as it was read, at once or at its time. The author of the plan can't, also not through an API
    /// token, and a remark is required. When somebody else decided or edited in the meantime, nothing happens.
    pub async fn approve(&self, actor: &Actor, id: &RolloutId, digest: &Digest, remark: &str) -> Result<()> {
        let (record, course) = self.decidable(actor, id).await?;
        let release =
            releases::for_rollout(&mut self.db.read().await?, &actor.org, &record.release).await?.ok_or(Error::NotFound("release"))?;
        if record.digest != *digest || digest_of(&actor.org, id, &record.spec, &release) != *digest {
            return Err(Error::OtherDigest.into());
        }
        self.decision(actor, &record, &course, true, remark).await?;
        if let Err(e) = self.advance(&actor.org, id).await {
            tracing::warn!(rollout = %id, error = %e, "advancing after the approval failed; the next tick tries again");
        }
        Ok(())
    }

    /// Says no. The author can edit it and ask again. A remark is required.
    pub async fn reject(&self, actor: &Actor, id: &RolloutId, remark: &str) -> Result<()> {
        let (record, course) = self.decidable(actor, id).await?;
        self.decision(actor, &record, &course, false, remark).await
    }

    async fn decidable(&self, actor: &Actor, id: &RolloutId) -> Result<(Record, Course)> {
        may(actor, Act::Approve)?;
        let found = records::course(&mut self.db.read().await?, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        match not_decidable(&found.0, actor) {
            Some(e) => Err(e.into()),
            None => Ok(found),
        }
    }

    async fn decision(&self, actor: &Actor, record: &Record, course: &Course, approved: bool, remark: &str) -> Result<()> {
        let remark = remark.trim();
        if remark.is_empty() || remark.chars().count() > MAX_REMARK {
            return Err(Error::invalid("reason", "Say why, in 1 to 500 characters: it is kept with the decision.").into());
        }
        let (Some(by), Who::Session { name, .. } | Who::Token { person: name, .. }) = (actor.user(), &actor.who) else {
            return Err(Error::NotNow("Only a person can decide.".to_owned()).into());
        };
        let text = said(if approved { "Approved" } else { "Rejected" }, &actor.label(), remark);
        let turn = Turn {
            action: if approved { "rollout.approve" } else { "rollout.reject" },
            to: if approved { RolloutState::Approved } else { RolloutState::Rejected },
            summary: text.clone(),
            text,
            tone: if approved { "ok" } else { "bad" },
        };
        self.decide(actor, record, course, turn, Some(Choice { by, by_name: name, approved, remark })).await
    }

    /// A change of state before the start, with its history, audit entry and, where there is one, the decision. One generation, one decision:
    /// the second of two gets a conflict.
    pub(super) async fn decide(
        &self,
        actor: &Actor,
        record: &Record,
        course: &Course,
        turn: Turn<'_>,
        choice: Option<Choice<'_>>,
    ) -> Result<()> {
        let Turn { action, to, summary, text, tone } = turn;
        step(ROLLOUT, course.state, to).map_err(|e| Error::NotNow(e.to_string()))?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let changes = [Change::Enter { to, summary }];
        if courses::apply(&mut tx, record, course, &changes, None, now).await?.is_none() {
            return Err(Error::Stale.into());
        }
        let remark = choice.as_ref().map(|v| v.remark.to_owned());
        if let Some(v) = choice {
            let id: ApprovalId = self.entropy.id(now);
            let decision = Decision {
                id: &id,
                by: v.by,
                by_name: v.by_name,
                approved: v.approved,
                remark: v.remark,
                digest: &record.digest,
                generation: course.generation,
            };
            lists::add_decision(&mut tx, &record.org, &record.id, &decision, now).await?;
        }
        lists::add_event(&mut tx, &record.org, &record.id, &text, &actor.label(), tone, now).await?;
        let detail = json!({ "rollout": record.spec.name, "digest": record.digest, "generation": course.generation, "remark": remark });
        audit::append(&mut tx, actor, now, action, record.id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: record.org.clone(), id: record.id.clone() });
        Ok(())
    }
}

/// Why this person can't decide on a rollout, though their role may.
pub(super) fn not_decidable(record: &Record, actor: &Actor) -> Option<Error> {
    match record.state() {
        RolloutState::WaitingForApproval => {
            let own = actor.user().is_some_and(|u| u.as_str() == record.author);
            own.then_some(Error::OwnRollout)
        }
        RolloutState::Draft => Some(Error::NotNow("It has not been sent for approval yet.".to_owned())),
        RolloutState::Rejected => Some(Error::NotNow("It was rejected; its author has to edit it first.".to_owned())),
        _ => Some(Error::NotNow("It was decided already.".to_owned())),
    }
}

//! Four eyes: somebody who is not the author says yes or no to the digest of exactly what would run.

use super::{
    Error, Rollouts,
    course::{Change, Course},
    drafting::{digest_of, release_back},
    going_back::known,
    moving::said,
    state::{ROLLOUT, step},
    store::{
        courses,
        lists::{self, Decision},
        quorum,
        records::{self, Record},
    },
    validate::{Chosen, MAX_REMARK, readable_text},
    way_back,
};
use crate::{
    Result,
    access::{self, Act, Actor, Who, audit, may},
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

/// What somebody says.
#[derive(Clone, Copy)]
enum Word {
    /// Yes; so many others have to say so, too.
    Yes {
        missing: u32,
    },
    No,
}

/// What is kept beside a change before the start.
pub(super) enum Beside<'a> {
    /// A decision.
    Decision(Choice<'a>),
    /// How many people have to approve it.
    Needs(u32),
}

/// A change before the start.
pub(super) struct Turn<'a> {
    /// The word in the audit log.
    pub action: &'a str,
    /// The state it leads to; none when it stays.
    pub to: Option<RolloutState>,
    /// The rollout's sentence from now on.
    pub summary: String,
    /// The line in its history.
    pub text: String,
    /// How that is meant.
    pub tone: &'a str,
}

impl Rollouts {
    /// Says yes to this digest: when as many people as it needs have said so, the plan runs as it was read, at once or at its time. The author of the
    /// plan can't, also not through an API token, nobody can twice, and a remark is required. When somebody else decided or edited in the meantime,
    /// nothing happens.
    pub async fn approve(&self, actor: &Actor, id: &RolloutId, digest: &Digest, remark: &str) -> Result<()> {
        let (record, course, given) = self.decidable(actor, id).await?;
        let mut on = self.db.read().await?;
        let release = releases::for_rollout(&mut on, &actor.org, &record.release).await?.ok_or(Error::NotFound("release"))?;
        let back = release_back(&mut on, &actor.org, &record.spec).await?;
        drop(on);
        if record.digest != *digest || digest_of(&actor.org, id, &record.spec, &release, back.as_ref()) != *digest {
            return Err(Error::OtherDigest.into());
        }
        if let Some(why) = Chosen::from(&release).expired(self.clock.now()) {
            return Err(Error::NotNow(why).into());
        }
        let problems = way_back::problems(&record.spec, Some(known(&release)), back.as_ref().map(known), self.clock.now());
        if !problems.is_empty() {
            return Err(Error::Problems(problems).into());
        }
        let missing = record.needed.saturating_sub(given + 1);
        self.decision(actor, &record, &course, Word::Yes { missing }, remark).await?;
        if missing > 0 {
            return Ok(());
        }
        if let Err(e) = self.advance(&actor.org, id).await {
            tracing::warn!(rollout = %id, error = %e, "advancing after the approval failed; the next tick tries again");
        }
        Ok(())
    }

    /// Says no. The author can edit it and ask again. A remark is required.
    pub async fn reject(&self, actor: &Actor, id: &RolloutId, remark: &str) -> Result<()> {
        let (record, course, _) = self.decidable(actor, id).await?;
        self.decision(actor, &record, &course, Word::No, remark).await
    }

    /// With how many people have approved it who still may. They are read after the course: every approval raises its generation, so one that comes
    /// later makes this one a conflict.
    async fn decidable(&self, actor: &Actor, id: &RolloutId) -> Result<(Record, Course, u32)> {
        may(actor, Act::Approve)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let given = quorum::given(&mut on, id).await?;
        if let Some(e) = not_decidable(&record, actor, &given) {
            return Err(e.into());
        }
        let mut counts = 0;
        for person in &given {
            counts += u32::from(access::is_admin(&mut on, &actor.org, person).await?);
        }
        Ok((record, course, counts))
    }

    async fn decision(&self, actor: &Actor, record: &Record, course: &Course, word: Word, remark: &str) -> Result<()> {
        let remark = remark.trim();
        if remark.is_empty() || remark.chars().count() > MAX_REMARK || !readable_text(remark) {
            let why = "Say why, in 1 to 500 characters without control characters: it is kept with the decision.";
            return Err(Error::invalid("reason", why).into());
        }
        let (Some(by), Who::Session { name, .. } | Who::Token { person: name, .. }) = (actor.user(), &actor.who) else {
            return Err(Error::NotNow("Only a person can decide.".to_owned()).into());
        };
        let approved = matches!(word, Word::Yes { .. });
        let text = said(if approved { "Approved" } else { "Rejected" }, &actor.label(), remark);
        let (to, summary) = match word {
            Word::Yes { missing: 0 } => (Some(RolloutState::Approved), text.clone()),
            Word::Yes { missing } => (None, format!("{text}; waits for {}", people(missing))),
            Word::No => (Some(RolloutState::Rejected), text.clone()),
        };
        let turn = Turn {
            action: if approved { "rollout.approve" } else { "rollout.reject" },
            to,
            summary,
            text,
            tone: if approved { "ok" } else { "bad" },
        };
        self.decide(actor, record, course, turn, Beside::Decision(Choice { by, by_name: name, approved, remark })).await
    }

    /// A change before the start, with its history, audit entry and what is kept beside it. One generation, one decision: the second of two gets a
    /// conflict.
    pub(super) async fn decide(&self, actor: &Actor, record: &Record, course: &Course, turn: Turn<'_>, beside: Beside<'_>) -> Result<()> {
        let Turn { action, to, summary, text, tone } = turn;
        let change = match to {
            Some(to) => {
                step(ROLLOUT, course.state, to).map_err(|e| Error::NotNow(e.to_string()))?;
                Change::Enter { to, summary }
            }
            None => Change::Say { summary },
        };
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        if courses::apply(&mut tx, record, course, &[change], None, now).await?.is_none() {
            return Err(Error::Stale.into());
        }
        let mut detail = json!({ "rollout": record.spec.name, "digest": record.digest, "generation": course.generation });
        match beside {
            Beside::Needs(needed) => {
                quorum::ask(&mut tx, &record.id, needed).await?;
                detail["approvals_needed"] = json!(needed);
            }
            Beside::Decision(v) => {
                detail["remark"] = json!(v.remark);
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
        }
        lists::add_event(&mut tx, &record.org, &record.id, &text, &actor.label(), tone, now).await?;
        audit::append(&mut tx, actor, now, action, record.id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: record.org.clone(), id: record.id.clone() });
        Ok(())
    }
}

/// So many people, and not the author.
pub(super) fn people(count: u32) -> String {
    match count {
        1 => "somebody else".to_owned(),
        n => format!("{n} other people"),
    }
}

/// Why this person can't decide on a rollout, though their role may.
pub(super) fn not_decidable(record: &Record, actor: &Actor, given: &[UserId]) -> Option<Error> {
    match record.state() {
        RolloutState::WaitingForApproval => match actor.user() {
            Some(user) if user.as_str() == record.author => Some(Error::OwnRollout),
            Some(user) if given.contains(user) => {
                Some(Error::NotNow("You have approved it; it waits for somebody else's word.".to_owned()))
            }
            _ => None,
        },
        RolloutState::Draft => Some(Error::NotNow("It has not been sent for approval yet.".to_owned())),
        RolloutState::Rejected => Some(Error::NotNow("It was rejected; its author has to edit it first.".to_owned())),
        _ => Some(Error::NotNow("It was decided already.".to_owned())),
    }
}

//! Four eyes: somebody who is not the author says yes or no to the digest of exactly what would run.

use super::{
    Error, Rollouts,
    approval_standing::Standing,
    control::over,
    course::{Change, Course},
    drafting::{digest_of, release_back},
    expiring::{late, terms},
    going_back::known,
    moving::said,
    previewing::unsigned,
    state::{ROLLOUT, step},
    store::{
        courses,
        lists::{self, Decision},
        quorum,
        records::{self, Record},
    },
    validate::{Chosen, MAX_REMARK},
    way_back,
};
use crate::{
    Result,
    access::{Act, Actor, Who, audit, may},
    bus::Event,
    db::Tx,
    releases,
    text::readable_text,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{ApprovalId, Digest, OrgId, RolloutId, UserId},
    states::RolloutState,
};

/// What somebody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// What a decision is about.
#[derive(Debug, Clone, Copy)]
enum About<'a> {
    /// A yes: exactly what this digest binds, whoever else has said yes to it meanwhile.
    Digest(&'a Digest),
    /// A no: the rollout as it was looked at.
    Generation(i64),
}

/// A change before the start.
pub(super) struct Turn<'a> {
    /// The word in the audit log.
    pub action: &'a str,
    /// The states it leads through; none when it stays.
    pub through: &'a [RolloutState],
    /// The rollout's sentence from now on.
    pub summary: String,
    /// The line in its history.
    pub text: String,
    /// How that is meant.
    pub tone: &'a str,
    /// More for the audit log.
    pub detail: serde_json::Value,
}

impl Rollouts {
    /// Says yes to this digest: when all have said so whom its rule asks for, the plan runs as it was read, at once or at its time. Whoever
    /// wrote any of the plan or sent it can't, also not through an API token, nobody can twice, and a remark is required. Another yes to the same digest
    /// in the meantime is no matter; when somebody edited it or said no, nothing happens.
    pub async fn approve(&self, actor: &Actor, id: &RolloutId, digest: &Digest, remark: &str) -> Result<()> {
        self.decidable(actor, id, Word::Yes).await?;
        self.intact(actor, id, digest).await?;
        let missing = self.decision(actor, id, About::Digest(digest), remark).await?;
        if missing == 0 {
            self.go_on(&actor.org, id).await;
        }
        Ok(())
    }

    /// Says no. The author can edit it and ask again. A remark is required.
    pub async fn reject(&self, actor: &Actor, id: &RolloutId, remark: &str) -> Result<()> {
        let generation = self.decidable(actor, id, Word::No).await?;
        self.decision(actor, id, About::Generation(generation), remark).await.map(drop)
    }

    /// What follows at once is seen at once; if this fails, the next tick does it.
    pub(super) async fn go_on(&self, org: &OrgId, id: &RolloutId) {
        if let Err(e) = self.advance(org, id).await {
            tracing::warn!(rollout = %id, error = %e, "advancing after a decision failed; the next tick tries again");
        }
    }

    /// An error where this person can't decide; the generation that was looked at.
    async fn decidable(&self, actor: &Actor, id: &RolloutId, word: Word) -> Result<i64> {
        may(actor, Act::Approve)?;
        let (mut on, now) = (self.db.read().await?, self.clock.now());
        let record = records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let standing = Standing::read(&mut on, &record, now).await?;
        match not_decidable(&record, actor, Some(&standing), word, now) {
            Some(e) => Err(e.into()),
            None => Ok(record.generation()),
        }
    }

    /// An error unless this digest is what would run, and it still may.
    pub(super) async fn intact(&self, actor: &Actor, id: &RolloutId, digest: &Digest) -> Result<()> {
        let mut on = self.db.read().await?;
        let record = records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let release = releases::for_rollout(&mut on, &actor.org, &record.release).await?.ok_or(Error::NotFound("release"))?;
        let back = release_back(&mut on, &actor.org, &record.spec).await?;
        if record.digest != *digest || digest_of(&actor.org, id, &record.spec, &release, back.as_ref()) != *digest {
            return Err(Error::OtherDigest.into());
        }
        if let Some(why) = Chosen::from(&release).expired(self.clock.now()) {
            return Err(Error::NotNow(why).into());
        }
        let mut problems = way_back::problems(&record.spec, Some(known(&release)), back.as_ref().map(known), self.clock.now());
        problems.extend(unsigned(&mut on, &actor.org, &release).await?);
        if problems.is_empty() { Ok(()) } else { Err(Error::Problems(problems).into()) }
    }

    /// Keeps a decision, counted with the people as they are in its own transaction; how many approvals are missing then.
    async fn decision(&self, actor: &Actor, id: &RolloutId, about: About<'_>, remark: &str) -> Result<u32> {
        let remark = remark_of("reason", remark)?;
        let (by, by_name) = person(actor)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let (word, seen) = match about {
            About::Digest(_) => (Word::Yes, None),
            About::Generation(generation) => (Word::No, Some(generation)),
        };
        let (record, course) = held(&mut tx, &actor.org, id, seen).await?;
        if let About::Digest(digest) = about
            && record.digest != *digest
        {
            return Err(Error::OtherDigest.into());
        }
        let standing = Standing::read(&mut tx, &record, now).await?;
        if let Some(e) = not_decidable(&record, actor, Some(&standing), word, now) {
            return Err(e.into());
        }
        let yes = word == Word::Yes;
        let missing = if yes { standing.tally(Some(by)).missing } else { 0 };
        let text = said(if yes { "Approved" } else { "Rejected" }, &actor.label(), remark);
        let through: &[RolloutState] = match (word, missing) {
            (Word::No, _) => &[RolloutState::Rejected],
            (Word::Yes, 0) => &[RolloutState::Approved],
            (Word::Yes, _) => &[],
        };
        let turn = Turn {
            action: if yes { "rollout.approve" } else { "rollout.reject" },
            through,
            summary: if missing > 0 { format!("{text}; waits for {}", people(missing)) } else { text.clone() },
            text,
            tone: if yes { "ok" } else { "bad" },
            detail: json!({ "remark": remark, "missing": missing }),
        };
        self.turn(&mut tx, actor, &record, &course, turn).await?;
        let approval: ApprovalId = self.entropy.id(now);
        let decision =
            Decision { id: &approval, by, by_name, approved: yes, remark, digest: &record.digest, generation: course.generation };
        lists::add_decision(&mut tx, &record.org, id, &decision, now).await?;
        if through == [RolloutState::Approved] {
            let start_by = terms(&mut tx, &record.org).await?.start_by(now);
            quorum::may_start(&mut tx, id, start_by, None).await?;
        }
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: record.org.clone(), id: id.clone() });
        Ok(missing)
    }

    /// A change before the start, with its history and audit entry. One generation, one change: the second of two gets a conflict.
    pub(super) async fn turn(&self, tx: &mut Tx, actor: &Actor, record: &Record, course: &Course, turn: Turn<'_>) -> Result<()> {
        let Turn { action, through, summary, text, tone, detail } = turn;
        let (mut changes, mut from) = (Vec::new(), course.state);
        for to in through {
            from = step(ROLLOUT, from, *to).map_err(|e| Error::NotNow(e.to_string()))?;
            changes.push(Change::Enter { to: *to, summary: summary.clone() });
        }
        if changes.is_empty() {
            changes.push(Change::Say { summary });
        }
        let now = self.clock.now();
        if courses::apply(tx, record, course, &changes, None, now).await?.is_none() {
            return Err(Error::Stale.into());
        }
        lists::add_event(tx, &record.org, &record.id, &text, &actor.label(), tone, now).await?;
        let mut all = json!({ "rollout": record.spec.name, "digest": record.digest, "generation": course.generation });
        if let (Some(all), serde_json::Value::Object(more)) = (all.as_object_mut(), detail) {
            all.extend(more);
        }
        audit::append(tx, actor, now, action, record.id.as_str(), &all).await?;
        Ok(())
    }
}

/// Takes a rollout and the organization's people until the transaction ends, so that who is counted stays who they are; the rollout as it is now. An
/// error when it is not at this generation any more.
pub(super) async fn held(tx: &mut Tx, org: &OrgId, id: &RolloutId, generation: Option<i64>) -> Result<(Record, Course)> {
    let now = quorum::hold(tx, org, id).await?.ok_or(Error::NotFound("rollout"))?;
    if generation.is_some_and(|seen| seen != now) {
        return Err(Error::Stale.into());
    }
    // Roles, groups and rules are changed by whoever holds this.
    audit::hold(tx, org).await?;
    Ok(records::course(tx, org, id).await?.ok_or(Error::NotFound("rollout"))?)
}

/// A remark that is kept with a decision.
pub(super) fn remark_of<'a>(field: &'static str, remark: &'a str) -> Result<&'a str> {
    let remark = remark.trim();
    if remark.is_empty() || remark.chars().count() > MAX_REMARK || !readable_text(remark) {
        let why = "Say why, in 1 to 500 characters without control characters: it is kept with the decision.";
        return Err(Error::invalid(field, why).into());
    }
    Ok(remark)
}

/// Why something is done that is no decision: it may be left out.
pub(super) fn reason_of(text: &str) -> Result<&str> {
    let text = text.trim();
    if text.chars().count() > MAX_REMARK || !readable_text(text) {
        return Err(Error::invalid("reason", "Use at most 500 characters, and no control characters.").into());
    }
    Ok(text)
}

/// The person who decides, also through a token of theirs.
pub(super) fn person(actor: &Actor) -> Result<(&UserId, &str)> {
    match (actor.user(), &actor.who) {
        (Some(by), Who::Session { name, .. } | Who::Token { person: name, .. }) => Ok((by, name)),
        _ => Err(Error::NotNow("Only a person can decide.".to_owned()).into()),
    }
}

/// So many people, and not the author.
pub(super) fn people(count: u32) -> String {
    match count {
        1 => "somebody else".to_owned(),
        n => format!("{n} other people"),
    }
}

/// Why this person can't decide on a rollout, though their role may. Of one that waits it takes how its approval stands.
pub(super) fn not_decidable(record: &Record, actor: &Actor, standing: Option<&Standing>, word: Word, now: Timestamp) -> Option<Error> {
    match record.state() {
        RolloutState::WaitingForApproval => match actor.user() {
            Some(user) if user.as_str() == record.author => Some(Error::OwnRollout),
            Some(user) if word == Word::Yes && record.wrote(user) => Some(Error::OwnPart),
            _ if late(record, now).is_some() => late(record, now).map(super::expiring::Late::refusal),
            Some(user) if standing.is_some_and(|s| s.approved_by(user)) => {
                Some(Error::NotNow("You have approved it; it waits for somebody else's word.".to_owned()))
            }
            // A no needs no standing: it takes nothing from anybody.
            Some(user) if word == Word::Yes => standing.and_then(|s| s.not_of(user)),
            _ => None,
        },
        RolloutState::Draft => Some(Error::NotNow("It has not been sent for approval yet.".to_owned())),
        RolloutState::Rejected => Some(Error::NotNow("It was rejected; its author has to edit it first.".to_owned())),
        RolloutState::Stopping | RolloutState::Stopped if record.stage() == 0 => Some(Error::NotNow(over(record.state(), 0))),
        _ => Some(Error::NotNow("It was decided already.".to_owned())),
    }
}

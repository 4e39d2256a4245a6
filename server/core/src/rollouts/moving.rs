//! Moving a rollout: changes applied in one transaction with their history, and the orders of people who control it.

use super::{
    Error, Rollouts,
    control::{self, order},
    course::{Change, Course},
    deciding::reason_of,
    expiring::late,
    glass::{not_resumed_by, objected},
    plan::{SILENT, devices_of},
    reading::summary,
    retry,
    store::{
        courses, lists,
        records::{self, Record},
        turns,
    },
};
use crate::{
    Result,
    access::{Act, Actor, Who, allowed, audit, may},
    bus::Event,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{Digest, RolloutId},
    rollouts::{EndClass, GlassBreak, Verb, Verdict},
    states::{RolloutState, StageState},
};

/// How often an order is tried again when the planner was faster.
const TRIES: usize = 8;
/// Events in a row.
const TOLD_AT_ONCE: usize = 500;

/// Changes with what goes into the history and the audit log beside them.
pub(super) struct Move<'a> {
    pub changes: &'a [Change],
    /// Stage and tally it rests on.
    pub evidence: Option<(u32, i64)>,
    /// Lines of the history.
    pub reasons: &'a [String],
    /// Who did it; none for the planner.
    pub order: Option<(&'a Actor, Verb, &'a str)>,
    /// The start without approval that it goes on in spite of an objection to.
    pub objected: Option<&'a GlassBreak>,
}

/// What somebody saw who does something to a rollout, and what they chose.
#[derive(Debug, Clone, Copy, Default)]
pub struct Saw<'a> {
    /// The plan that a decision is about.
    pub digest: Option<&'a Digest>,
    /// The stage that was the current one, 0 before the first; none where the order is meant whichever it is by now.
    pub stage: Option<u32>,
    /// For a retry: of the devices whose updates ended like this, in whichever order; none for the [usual](EndClass::USUAL) ones.
    pub classes: Option<&'a [EndClass]>,
}

impl Rollouts {
    /// Applies a step to a course as it was read. False, and nothing is changed, when it has moved in the meantime.
    pub(super) async fn apply(&self, record: &Record, before: &Course, step: &Move<'_>) -> Result<bool> {
        self.notice(record, before);
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let Some(applied) = courses::apply(&mut tx, record, before, step.changes, step.evidence, now).await? else { return Ok(false) };
        let by = step.order.map_or_else(|| "automatic".to_owned(), |(actor, ..)| actor.label());
        let tried_again = step.changes.iter().find_map(tries_again);
        if let Some(classes) = tried_again.filter(|_| applied.requeued == 0) {
            // The last of them said something better meanwhile.
            return Err(Error::NotNow(retry::nobody(classes)).into());
        }
        for reason in step.reasons {
            // How many there were is known only now.
            let text = match (step.order, tried_again) {
                (Some((_, Verb::Retry, why)), Some(classes)) => said(&requeued(applied.requeued, classes), &by, why),
                (None, _) if reason == SILENT => overdue(applied.timed_out, applied.unproven),
                _ => reason.clone(),
            };
            lists::add_event(&mut tx, &record.org, &record.id, &text, &by, tone(step.changes), now).await?;
        }
        if let Some((actor, verb, reason)) = step.order {
            let mut detail = json!({ "rollout": record.spec.name, "reason": reason });
            if let Some(classes) = tried_again {
                detail["classes"] = json!(classes);
                detail["devices"] = json!(applied.requeued);
            }
            let gates = control::in_spite_of(verb, before).into_iter().map(|(gate, v)| passed_over(&gate, v));
            let over: Vec<_> = gates.chain(step.objected.into_iter().flat_map(overridden)).collect();
            if !over.is_empty() {
                detail["in_spite_of"] = over.into();
            }
            audit::append(&mut tx, actor, now, &format!("rollout.{}", verb.as_str()), record.id.as_str(), &detail).await?;
        }
        let mut made = None;
        if let Some(devices) = step.changes.iter().find_map(sets_out) {
            made = Some(self.set_out(&mut tx, record, devices, now).await?);
        }
        #[cfg(debug_assertions)]
        if let Some((_, after)) = records::course(&mut tx, &record.org, &record.id).await? {
            debug_assert_eq!(super::course::sound(&after), Ok(()), "after {:?}", step.changes);
        }
        tx.commit().await?;
        self.own_move(record, before, step.changes);
        self.bus.tell(Event::Rollout { org: record.org.clone(), id: record.id.clone() });
        if let Some(id) = made {
            self.bus.tell(Event::Rollout { org: record.org.clone(), id });
        }
        // The bus holds so many and no more: those who follow it get their turn in between.
        for some in applied.cancelled.chunks(TOLD_AT_ONCE) {
            for (device, update) in some {
                self.bus.tell(Event::Cancelled { org: record.org.clone(), device: *device, update: update.clone() });
            }
            tokio::task::yield_now().await;
        }
        if step.changes.iter().any(opens) {
            self.bus.tell(Event::OffersOpen { org: record.org.clone(), id: record.id.clone() });
        }
        Ok(true)
    }

    /// Does this to a rollout. `digest` is what an approval is of; `reason` is a decision's remark, otherwise why. A start before its time is what only
    /// somebody can do who may approve it: its approval was for another time. A promotion goes without the rest of the soak, or without devices that don't
    /// come; a retry offers it again to devices that failed or timed out, or to those that were chosen by how their updates ended.
    pub async fn act(&self, actor: &Actor, id: &RolloutId, verb: Verb, digest: Option<&Digest>, reason: &str) -> Result<()> {
        self.act_on(actor, id, verb, Saw { digest, ..Saw::default() }, reason).await
    }

    /// The same of somebody who saw this. An order for a stage is refused when another one is the current stage by now: to go on means to start the next
    /// stage or to end a watch, and which of them it was is not known of an order that comes late.
    pub async fn act_on(&self, actor: &Actor, id: &RolloutId, verb: Verb, saw: Saw<'_>, reason: &str) -> Result<()> {
        let digest = saw.digest;
        if saw.classes.is_some() && verb != Verb::Retry {
            return Err(
                Error::invalid("classes", "Only a retry is of those whose updates ended in a certain way: leave the classes out.").into()
            );
        }
        match verb {
            Verb::Submit | Verb::Approve | Verb::Reject | Verb::BreakGlass if saw.stage.is_some() => {
                Err(Error::invalid("stage", "That is decided before the first stage: leave it out.").into())
            }
            Verb::Edit => Err(Error::NotNow("A plan is changed by sending the new one.".to_owned()).into()),
            Verb::Submit => self.submit(actor, id).await,
            Verb::Approve => self.approve(actor, id, digest.ok_or(Error::NoDigest)?, reason).await,
            Verb::Reject => self.reject(actor, id, reason).await,
            Verb::Start | Verb::Promote | Verb::Retry | Verb::Pause | Verb::Resume | Verb::Stop | Verb::RollBack => {
                self.give(actor, id, (verb, saw), reason).await
            }
            Verb::BreakGlass => self.break_glass(actor, id, digest.ok_or(Error::NoDigest)?, reason).await.map(drop),
        }
    }

    /// No new offers for now; what is not yet downloading is taken back.
    pub async fn pause(&self, actor: &Actor, id: &RolloutId, reason: &str) -> Result<()> {
        self.give(actor, id, (Verb::Pause, Saw::default()), reason).await
    }

    /// Goes on, also after a gate said no: what is known by now is not held against it by that gate again.
    pub async fn resume(&self, actor: &Actor, id: &RolloutId, reason: &str) -> Result<()> {
        self.give(actor, id, (Verb::Resume, Saw::default()), reason).await
    }

    /// Ends it before its end, for a reason that has to be given. Updates under way go on to theirs.
    pub async fn stop(&self, actor: &Actor, id: &RolloutId, reason: &str) -> Result<()> {
        self.give(actor, id, (Verb::Stop, Saw::default()), reason).await
    }

    /// Takes the release back from the devices that run it, by the way back that was approved with the plan. Like going on after a halt it is an
    /// operator's decision, for a reason that has to be given: whoever approved the plan has signed where devices go back to, and a bad release should not have to wait for an admin.
    pub async fn roll_back(&self, actor: &Actor, id: &RolloutId, reason: &str) -> Result<()> {
        self.give(actor, id, (Verb::RollBack, Saw::default()), reason).await
    }

    /// Gives an order; where a stage is said, only while it is the current one.
    async fn give(&self, actor: &Actor, id: &RolloutId, (verb, saw): (Verb, Saw<'_>), reason: &str) -> Result<()> {
        may(actor, Act::Control)?;
        let reason = reason_of(reason)?;
        let classes = chosen(saw.classes)?;
        for _ in 0..TRIES {
            let mut on = self.db.read().await?;
            let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
            let glass = if verb == Verb::Resume { self.broken(&mut on, actor, id).await? } else { None };
            let cancelled = if classes.contains(&EndClass::Cancelled) { turns::cancelled(&mut on, id).await?.devices } else { 0 };
            drop(on);
            if let Some(saw) = saw.stage.filter(|saw| *saw != course.stage) {
                let now = summary(&record, course.current());
                return Err(Error::MovedOn { saw, now }.into());
            }
            let now = self.clock.now();
            if let Some(why) = not_by(verb, &record, actor, glass.as_ref(), now) {
                return Err(why.into());
            }
            let ordered = if verb == Verb::Retry {
                control::retry(&course, &classes, cancelled, now)
            } else {
                order(verb, &course, &actor.label(), reason, now)
            };
            let changes = ordered.map_err(Error::NotNow)?;
            if verb.asks_for_reason(course.state) == Some(true) && reason.is_empty() {
                return Err(Error::invalid("reason", "Say why: it stays in the history.").into());
            }
            // To go on is judged by the stage's numbers as they were just read, so it is read again when devices have said more meanwhile; what the person had
            // seen of them may be older. Other orders hold whatever devices have said since.
            let evidence = course.current().filter(|_| verb == Verb::Promote).map(|s| (course.stage, s.tally));
            let reasons = [line(verb, &course, (actor.label().as_str(), reason), &changes)];
            let objected = objected(glass.as_ref()).filter(|_| course.state == RolloutState::Halted);
            let step = Move { changes: &changes, evidence, reasons: &reasons, order: Some((actor, verb, reason)), objected };
            if self.apply(&record, &course, &step).await? {
                // What follows at once is seen at once; if this fails, the next tick does it.
                if let Err(e) = self.advance(&actor.org, id).await {
                    tracing::warn!(rollout = %id, error = %e, "advancing after an order failed; the next tick tries again");
                }
                return Ok(());
            }
        }
        Err(Error::Stale.into())
    }
}

/// Why this person may not, though their role may. `glass` is the newest start without approval.
pub(super) fn not_by(verb: Verb, record: &Record, actor: &Actor, glass: Option<&GlassBreak>, now: Timestamp) -> Option<Error> {
    match (verb, record.state()) {
        (Verb::Start, _) if late(record, now).is_some() => late(record, now).map(super::expiring::Late::refusal),
        // Starting before the approved time is a decision of its own.
        (Verb::Start, RolloutState::Scheduled) if actor.who != Who::System => not_before_its_time(record, actor),
        (Verb::Resume, RolloutState::Halted) => not_resumed_by(actor, record, glass),
        _ => None,
    }
}

fn not_before_its_time(record: &Record, actor: &Actor) -> Option<Error> {
    if !allowed(actor, Act::Approve) {
        Some(Error::NotNow("It was approved for a later time. Only somebody who may approve it can start it earlier.".to_owned()))
    } else if record.glass.is_some() {
        // Breaking the glass goes around approvals, and around nothing else.
        Some(Error::NotNow("The glass was broken for a plan that begins at that time. Edit it for another one.".to_owned()))
    } else if record.needed > 1 {
        // The time is part of what they approved, and one alone does not decide against them.
        let why = format!("{} people approved it for that time. Edit it for another one; they approve it again.", record.needed);
        Some(Error::NotNow(why))
    } else {
        match actor.user() {
            Some(user) => record.wrote(user).then_some(Error::OwnRollout),
            // Without a token the command line has no name, and the author may sit there.
            None => {
                Some(Error::NotNow("It was approved for a later time. A person has to start it earlier: give --token-file.".to_owned()))
            }
        }
    }
}

/// Whose retry was ordered: each class once, in one order. An error when somebody chose, and chose nobody.
fn chosen(classes: Option<&[EndClass]>) -> Result<Vec<EndClass>> {
    let mut classes = classes.unwrap_or(EndClass::USUAL).to_vec();
    classes.sort_unstable();
    classes.dedup();
    if classes.is_empty() {
        let why = format!("Choose at least one way in which the updates ended that are tried again: {}.", retry::choices());
        return Err(Error::invalid("classes", why).into());
    }
    Ok(classes)
}

/// Whom a change has tried again.
fn tries_again(change: &Change) -> Option<&[EndClass]> {
    if let Change::Requeue { classes } = change { Some(classes) } else { None }
}

/// A gate that a person goes on in spite of, for the audit log: which, what it said with value and limit, and the devices it saw.
fn passed_over(gate: &str, saw: &Verdict) -> serde_json::Value {
    let Verdict { text, finished, succeeded, errors, .. } = saw;
    json!({ "gate": gate, "said": text, "finished": finished, "succeeded": succeeded, "errors": errors })
}

/// The objections that a person goes on in spite of, for the audit log: to which start without approval, by whom, and what they said.
fn overridden(glass: &GlassBreak) -> impl Iterator<Item = serde_json::Value> {
    let objections = glass.reviews.iter().filter(|r| !r.accepted);
    objections.map(move |r| json!({ "objection_to": glass.id, "by": r.by_name, "said": r.remark }))
}

/// How many are tried again, for the history; of whom, where that is not as usual.
fn requeued(devices: i64, classes: &[EndClass]) -> String {
    let of = if classes == EndClass::USUAL { String::new() } else { format!(" of those that {},", retry::of_those(classes)) };
    format!("{} to try again,{of}", devices_of(devices))
}

/// How many updates were overdue, for the history.
fn overdue(silent: i64, unproven: i64) -> String {
    let fell_silent = format!("{} fell silent and timed out", devices_of(silent));
    let failed = format!("{} said success and did not prove it in time", devices_of(unproven));
    match (silent, unproven) {
        (_, 0) => fell_silent,
        (0, _) => failed,
        _ => format!("{fell_silent}; {failed}"),
    }
}

/// Whether a change lets devices come that could not before.
const fn opens(change: &Change) -> bool {
    matches!(change, Change::Begin { .. } | Change::Doors { .. } | Change::Reopen { .. } | Change::Requeue { .. })
}

/// How many devices a change sends back by a rollout of its own.
const fn sets_out(change: &Change) -> Option<i64> {
    if let Change::SetOut { devices, .. } = change { Some(*devices) } else { None }
}

/// An order in the history.
fn line(verb: Verb, course: &Course, (by, reason): (&str, &str), changes: &[Change]) -> String {
    match verb {
        Verb::Start => said("Started before its time", by, reason),
        Verb::Promote => said(&format!("Stage {} ended", course.stage), by, reason),
        _ => changes
            .iter()
            .find_map(|c| if let Change::Enter { summary, .. } = c { Some(summary.clone()) } else { None })
            .unwrap_or_else(|| format!("{} by {by}", verb.as_str())),
    }
}

/// How a step is meant, for the history.
fn tone(changes: &[Change]) -> &'static str {
    let mut tone = "info";
    for change in changes {
        tone = match change {
            Change::Enter { to: RolloutState::Halted | RolloutState::RollingBack, .. } => return "bad",
            Change::TimeOut | Change::Enter { to: RolloutState::RolledBack, .. } => return "warn",
            Change::Withdraw { recalled: true, .. } if tone == "info" => "warn",
            Change::Enter { to: RolloutState::Paused | RolloutState::Scheduled, .. } | Change::Hold { .. } => "hold",
            Change::Enter { to: RolloutState::Stopping | RolloutState::Stopped, .. } | Change::Close { to: StageState::Skipped, .. } => {
                "off"
            }
            Change::Enter { to: RolloutState::Completed, .. } | Change::Close { to: StageState::Succeeded, .. } => "ok",
            _ => tone,
        };
    }
    tone
}

/// When the history says something happened that a person wrote about.
pub(super) fn said(what: &str, by: &str, remark: &str) -> String {
    if remark.is_empty() { format!("{what} by {by}") } else { format!("{what} by {by}: {remark}") }
}

//! A course changed by the difference that a list of [`Change`]s makes to it, and the updates those changes are about.

use super::{
    ddi,
    plans::json,
    records::Record,
    updates::{SET_ASIDE, shift},
};
use crate::{
    db::{Error, Sql, Tx, exec, list, many, rows},
    devices::{DeviceNo, store as devices},
    rollouts::{
        course::{Change, Course, Stage},
        hearing::NEVER_PROVEN,
        proving, retry,
        state::Class,
        steps,
    },
};
use serde::Serialize;
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    ids::{RolloutId, UpdateId},
    rollouts::{Counts, EndClass},
    states::UpdateState,
};

pub(super) const MOVE: Sql = Sql::same(
    "UPDATE rollouts SET state = $4, summary = $5, begin_at = $6, stage = $7, cut = $8, doors_until = $9, last_device = $10,
     generation = generation + 1, updated_at = $11, verdict = $12 WHERE org_id = $1 AND id = $2 AND generation = $3",
);
pub(super) const MOVE_STAGE: Sql = Sql::same(
    "UPDATE rollout_stages SET state = $3, cut = $4, total = total + $5, waiting = waiting + $6, tally = tally + $7, counted = $8, counted_at = $9,
     seen_finished = $10, seen_succeeded = $11, seen_errors = $12, started_at = $13, soak_until = $14, ended_at = $15, verdict = $16,
     seen_reverted = $17, seen_timed_out = $18, seen_dark = $19, dark = $20, looks = $21, findings = $22,
     seen_failed = $23, seen_rejected = $24, whole_finished = $25, whole_succeeded = $26, whole_errors = $27, whole_failed = $28,
     whole_reverted = $29, whole_timed_out = $30, whole_rejected = $31, whole_dark = $32
     WHERE rollout_id = $1 AND number = $2",
);
/// Takes the stage's row and proves that nothing was reported since the plan was made.
pub(super) const HOLD_STAGE: Sql =
    Sql::same("UPDATE rollout_stages SET tally = tally WHERE rollout_id = $1 AND number = $2 AND tally = $3");
/// What was seen of a count, or what there is of it where that is less.
macro_rules! at_most {
    ($seen:literal, $count:literal, $most:literal) => {
        concat!("CASE WHEN ", $seen, $count, " > ", $most, " THEN ", $most, " ELSE ", $seen, $count, " END")
    };
}
/// One gate's part of [`CLAMP_SEEN`], by how its columns begin.
macro_rules! clamped {
    ($seen:literal) => {
        clamped!($seen, "succeeded + failed + reverted + timed_out + rejected", "failed + reverted + timed_out + rejected")
    };
    ($seen:literal, $finished:literal, $errors:literal) => {
        concat!(
            $seen,
            "finished = ",
            at_most!($seen, "finished", $finished),
            ", ",
            $seen,
            "errors = ",
            at_most!($seen, "errors", $errors),
            ", ",
            $seen,
            "succeeded = ",
            at_most!($seen, "finished", $finished),
            " - ",
            at_most!($seen, "errors", $errors),
            ", ",
            $seen,
            "failed = ",
            at_most!($seen, "failed", "failed"),
            ", ",
            $seen,
            "reverted = ",
            at_most!($seen, "reverted", "reverted"),
            ", ",
            $seen,
            "timed_out = ",
            at_most!($seen, "timed_out", "timed_out"),
            ", ",
            $seen,
            "rejected = ",
            at_most!($seen, "rejected", "rejected")
        )
    };
}
/// What was seen can't be more than there is, after devices were taken out of it to be tried again, or an error became a success after all: then the
/// rest of what was seen were successes, and the next error is a new one. The same of either gate.
pub(super) const CLAMP_SEEN: Sql =
    Sql::same(concat!("UPDATE rollout_stages SET ", clamped!("seen_"), ", ", clamped!("whole_"), " WHERE rollout_id = $1"));
/// Those that have been silent the longest, so many at a time: a fleet that falls silent at once does not hold the writer for as long as it is large. Who was too
/// long in a step is told which: the code ends with it. Whose success was never proven has failed.
pub(super) const TIME_OUT: Sql = Sql::same(
    "UPDATE updates SET open = FALSE, ended_at = $2, updated_at = $2,
     code = CASE WHEN owes_proof = TRUE THEN $10
            WHEN step_deadline <= $2 THEN 'timed_out_' || state ELSE 'timed_out' END,
     detail = CASE WHEN owes_proof = TRUE THEN $8 WHEN step_deadline IS NULL OR step_deadline > $2 THEN $3 WHEN state = 'downloading' THEN $4 WHEN state = 'installing' THEN $5
              WHEN state = 'rebooting' THEN $6 ELSE $7 END,
     state = CASE WHEN owes_proof = TRUE THEN 'failed' ELSE 'timed_out' END, owes_proof = FALSE
     WHERE id IN (SELECT o.id FROM updates o WHERE o.rollout_id = $1 AND o.open = TRUE AND o.deadline <= $2 ORDER BY o.deadline LIMIT $9)
         AND open = TRUE AND deadline <= $2 RETURNING id, device, stage, state, attempts",
);
/// Every deadline is after 1970: it is said so that only open updates are read, by their own index.
pub(super) const WITHDRAW: Sql = Sql::same(
    "UPDATE updates SET state = 'cancelled', open = FALSE, again = $3, ended_at = $2, updated_at = $2
     WHERE rollout_id = $1 AND open = TRUE AND state IN ('offered', 'awaiting_window', 'awaiting_confirmation') AND deadline > 0
     RETURNING id, device, stage, state, attempts",
);
pub(super) const WITHDRAW_RECALLED: Sql = Sql::same(
    "UPDATE updates SET state = 'cancelled', open = FALSE, again = $3, ended_at = $2, updated_at = $2
     WHERE rollout_id = $1 AND open = TRUE AND state IN ('offered', 'awaiting_window', 'awaiting_confirmation', 'downloading', 'downloaded')
     AND deadline > 0 RETURNING id, device, stage, state, attempts",
);
/// Those that ended badly in this state. The states are said as the index of such updates has them.
pub(super) const REQUEUE: Sql = Sql::same(
    "UPDATE updates SET again = TRUE, retry_at = NULL, updated_at = $2
     WHERE rollout_id = $1 AND latest = TRUE AND again = FALSE AND state IN ('failed', 'reverted', 'timed_out', 'rejected') AND state = $3
     RETURNING id, device, stage, state, attempts",
);
/// Those that a person has cancelled, as the index of such updates has them.
pub(super) const REQUEUE_CANCELLED: Sql = Sql::same(concat!(
    "UPDATE updates SET again = TRUE, retry_at = NULL, updated_at = $2
     WHERE rollout_id = $1 AND latest = TRUE AND again = FALSE AND state = 'cancelled' AND code = '",
    cancelled_by_hand!(),
    "' RETURNING id, device, stage, state, attempts",
));

/// What was taken back for good, as the bit $2 says, does not come again by itself.
pub(super) const RETRY_AT: Sql = many!(
    "UPDATE updates SET retry_at = w.at FROM (SELECT ",
    [text id, int at],
    ") AS w WHERE updates.id = w.id AND (updates.passed & $2) = 0"
);
/// Updates that time out in one transaction, and devices that one statement is about; the planner looks again for the rest.
pub(in crate::rollouts) const AT_ONCE: usize = 5_000;

/// What applying changes did to updates.
#[derive(Debug, Default)]
pub(in crate::rollouts) struct Applied {
    /// Updates that were taken back: whoever has them must be told.
    pub cancelled: Vec<(DeviceNo, UpdateId)>,
    /// How many timed out.
    pub timed_out: i64,
    /// How many did not prove in time that they had succeeded.
    pub unproven: i64,
    /// How many wait again.
    pub requeued: i64,
}

/// An update that was moved: its id, device, stage, new state and attempts.
type MovedRow = (String, i64, i64, String, i64);

/// Applies changes to a course as it was read. None, and nothing is changed, when it is at another generation by now, or when the evidence
/// (stage and tally) the changes rest on has moved.
pub(in crate::rollouts) async fn apply(
    tx: &mut Tx,
    record: &Record,
    before: &Course,
    changes: &[Change],
    evidence: Option<(u32, i64)>,
    now: Timestamp,
) -> Result<Option<Applied>, Error> {
    let mut after = before.clone();
    for change in changes {
        after.apply(change, now);
    }
    let id = record.id.as_str();
    let moved = exec!(
        tx,
        MOVE,
        record.org.as_str(),
        id,
        before.generation,
        after.state.as_str(),
        after.summary.as_str(),
        after.begin_at.map(Timestamp::millis),
        i64::from(after.stage),
        after.cut,
        after.doors_until.0,
        after.last_device,
        now.0,
        after.verdict.as_ref().map(json).transpose()?
    )?;
    if moved != 1 {
        return Ok(None);
    }
    let mut applied = Applied::default();
    for change in changes {
        match change {
            Change::TimeOut => (applied.timed_out, applied.unproven) = time_out(tx, record, before, now).await?,
            Change::Withdraw { recalled, for_good } => {
                let moved: Vec<MovedRow> = if *recalled {
                    let moved = rows!(tx, MovedRow, WITHDRAW_RECALLED, id, now.0, !for_good)?;
                    let updates: Vec<&str> = moved.iter().map(|row: &MovedRow| row.0.as_str()).collect();
                    ddi::ask_again(tx, &updates).await?;
                    moved
                } else {
                    rows!(tx, MovedRow, WITHDRAW, id, now.0, !for_good)?
                };
                let to = for_good.then_some(Class::LeftOut);
                recount(tx, record, &moved, Class::Updating, to, before.stage).await?;
                note(tx, &moved, UpdateState::Cancelled).await?;
                applied.cancelled.extend(named(&moved)?);
            }
            Change::Draw { strata, members, .. } => {
                super::strata::keep(tx, &record.id, strata).await?;
                super::strata::keep_members(tx, &record.id, members.as_deref()).await?;
            }
            Change::Requeue { classes } => applied.requeued = requeue(tx, record, classes, before.stage, now).await?,
            _ => {}
        }
    }
    if let Some((stage, tally)) = evidence
        && exec!(tx, HOLD_STAGE, id, i64::from(stage), tally)? != 1
    {
        return Ok(None);
    }
    for (number, (old, new)) in (1i64..).zip(before.stages.iter().zip(&after.stages)) {
        if old != new {
            write_stage(tx, id, number, old, new).await?;
        }
    }
    Ok(Some(applied))
}

/// Has those tried again whose updates ended like this: how many wait now. Stages are counted after all updates have moved, because that is the order of locks.
async fn requeue(tx: &mut Tx, record: &Record, classes: &[EndClass], current: u32, now: Timestamp) -> Result<i64, Error> {
    let (id, mut moved) = (record.id.as_str(), Vec::<(Class, Vec<MovedRow>)>::new());
    for class in classes {
        let state = class.state();
        let some = match class {
            EndClass::Cancelled => rows!(tx, MovedRow, REQUEUE_CANCELLED, id, now.0)?,
            EndClass::Failed | EndClass::TimedOut | EndClass::Reverted | EndClass::Rejected => {
                rows!(tx, MovedRow, REQUEUE, id, now.0, state.as_str())?
            }
        };
        moved.push((Class::of(state), some));
    }
    for (class, some) in &moved {
        recount(tx, record, some, *class, None, current).await?;
    }
    clamp_seen(tx, &record.id).await?;
    Ok(i64::try_from(moved.iter().map(|(_, some)| some.len()).sum::<usize>()).unwrap_or(i64::MAX))
}

/// Ends what is overdue: how many fell silent, and how many did not prove that they had succeeded.
async fn time_out(tx: &mut Tx, record: &Record, before: &Course, now: Timestamp) -> Result<(i64, i64), Error> {
    let (id, most) = (record.id.as_str(), i64::try_from(AT_ONCE).map_err(Error::corrupt)?);
    let silence = format!("no word for {}", wire::time::duration(before.timeout_ms));
    let stuck = |step| steps::stuck(&record.spec.steps, step);
    let (fetching, writing) = (stuck(UpdateState::Downloading), stuck(UpdateState::Installing));
    let (starting, checking) = (stuck(UpdateState::Rebooting), stuck(UpdateState::Verifying));
    let never = proving::never(&record.version);
    let moved = rows!(tx, MovedRow, TIME_OUT, id, now.0, silence, fetching, writing, starting, checking, never, most, NEVER_PROVEN)?;
    let (unproven, silent): (Vec<_>, Vec<_>) = moved.into_iter().partition(|r| r.3 == UpdateState::Failed.as_str());
    for (some, to) in [(&unproven, UpdateState::Failed), (&silent, UpdateState::TimedOut)] {
        recount(tx, record, some, Class::Updating, Some(Class::of(to)), before.stage).await?;
        note(tx, some, to).await?;
        retry_ended(tx, record, some, to, now).await?;
    }
    let count = |some: &[MovedRow]| i64::try_from(some.len()).unwrap_or(i64::MAX);
    Ok((count(&silent), count(&unproven)))
}

/// Lowers what was seen to what there is, after the stages' counts have moved.
pub(in crate::rollouts) async fn clamp_seen(tx: &mut Tx, rollout: &RolloutId) -> Result<(), Error> {
    exec!(tx, CLAMP_SEEN, rollout.as_str()).map(drop)
}

fn named(moved: &[MovedRow]) -> Result<Vec<(DeviceNo, UpdateId)>, Error> {
    moved.iter().map(|(id, device, ..)| Ok((*device, id.parse().map_err(Error::corrupt)?))).collect()
}

/// Notes with the devices how their newest update stands.
async fn note(tx: &mut Tx, moved: &[MovedRow], state: UpdateState) -> Result<(), Error> {
    let numbers: Vec<DeviceNo> = moved.iter().map(|r| r.1).collect();
    for some in numbers.chunks(AT_ONCE) {
        devices::set_updates(tx, some, state.as_str()).await?;
    }
    Ok(())
}

/// When an update is tried again.
#[derive(Serialize)]
struct Again {
    id: String,
    at: i64,
}

/// Those that ended like this are offered it again, where the plan says so.
async fn retry_ended(tx: &mut Tx, record: &Record, moved: &[MovedRow], state: UpdateState, now: Timestamp) -> Result<(), Error> {
    let retry = record.spec.retry.as_ref();
    if retry.is_none() {
        return Ok(());
    }
    let again = |(id, .., attempts): &MovedRow| Some(Again { id: id.clone(), at: retry::at(retry, state, *attempts, now)?.0 });
    let again: Vec<Again> = moved.iter().filter_map(again).collect();
    if !again.is_empty() {
        exec!(tx, RETRY_AT, list(&again)?, SET_ASIDE)?;
    }
    Ok(())
}

/// Moves the counts of updates from one class to another in their stage; without another they wait in the current stage.
async fn recount(tx: &mut Tx, record: &Record, moved: &[MovedRow], from: Class, to: Option<Class>, current: u32) -> Result<(), Error> {
    let mut stages: BTreeMap<i64, i64> = BTreeMap::new();
    for (_, _, stage, ..) in moved {
        *stages.entry(*stage).or_default() += 1;
    }
    let mut deltas: BTreeMap<i64, Counts> = BTreeMap::new();
    for (stage, n) in stages {
        from.add(deltas.entry(stage).or_default(), -n);
        match to {
            Some(to) => to.add(deltas.entry(stage).or_default(), n),
            None => Class::Waiting.add(deltas.entry(i64::from(current)).or_default(), n),
        }
    }
    for (stage, delta) in deltas {
        shift(tx, &record.id, stage, &delta).await?;
    }
    Ok(())
}

async fn write_stage(tx: &mut Tx, id: &str, number: i64, old: &Stage, new: &Stage) -> Result<(), Error> {
    exec!(
        tx,
        MOVE_STAGE,
        id,
        number,
        new.state.as_str(),
        new.cut,
        new.counts.total - old.counts.total,
        new.counts.waiting - old.counts.waiting,
        new.tally - old.tally,
        new.counted,
        new.counted_at.0,
        new.seen.finished,
        new.seen.succeeded,
        new.seen.errors,
        new.started_at.map(Timestamp::millis),
        new.soak_until.map(Timestamp::millis),
        new.ended_at.map(Timestamp::millis),
        new.verdict.as_ref().map(json).transpose()?,
        new.seen.reverted,
        new.seen.timed_out,
        new.seen.dark,
        new.dark,
        i64::from(new.looks),
        json(&new.findings)?,
        new.seen.failed,
        new.seen.rejected,
        new.seen_by_whole.finished,
        new.seen_by_whole.succeeded,
        new.seen_by_whole.errors,
        new.seen_by_whole.failed,
        new.seen_by_whole.reverted,
        new.seen_by_whole.timed_out,
        new.seen_by_whole.rejected,
        new.seen_by_whole.dark
    )
    .map(drop)
}

//! A rollout's row and its stages: read as a [`Course`], changed by the difference that a list of [`Change`]s makes to one.

use super::updates::shift;
use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    devices::{DeviceNo, Selector, store as devices},
    rollouts::{
        course::{Change, Course, Stage},
        gate::Seen,
        state::Class,
        survey::Target,
    },
};
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    ids::{Digest, OrgId, ReleaseId, RolloutId, UpdateId},
    rollouts::{Counts, RolloutSpec},
    states::{RolloutState, StageState, UpdateState},
};

/// The columns of [`RecordRow`], in one place for every statement that reads it.
macro_rules! select_records { ($rest:literal) => {
    concat!(
        "SELECT x.id, x.org_id, x.name, x.release_id, x.device_type, x.hardware, x.version, x.sequence, x.min_sequence, x.spec, x.digest, ",
        "x.state, x.summary, x.generation, x.author, x.author_name, x.begin_at, x.timeout_ms, x.stage, x.cut, x.doors_until, x.last_device, ",
        "x.created_at, x.updated_at, r.state AS release_state FROM rollouts x JOIN releases r ON r.id = x.release_id ",
        $rest
    )
} }
pub(super) use select_records;

pub(super) const RECORD: Sql = Sql::same(select_records!("WHERE x.org_id = $1 AND x.id = $2"));
pub(super) const OF_TYPE: Sql = Sql::same(select_records!("WHERE x.org_id = $1 AND x.device_type = $2 ORDER BY x.id DESC LIMIT 20"));
pub(super) const STAGES: Sql = Sql::same(
    "SELECT number, state, cut, total, waiting, updating, succeeded, failed, reverted, timed_out, rejected, left_out, tally, counted, counted_at,
     seen_finished, seen_succeeded, seen_errors, started_at, soak_until, ended_at, verdict
     FROM rollout_stages WHERE rollout_id = $1 ORDER BY number",
);
pub(super) const INSERT: Sql = Sql::same(
    "INSERT INTO rollouts (id, org_id, name, release_id, device_type, hardware, version, sequence, min_sequence, selector, spec, digest, state, summary,
     generation, author, author_name, begin_at, timeout_ms, stage, cut, doors_until, last_device, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'draft', '', 1, $13, $14, $15, $16, 0, -1, 0, 0, $17, $17)",
);
pub(super) const INSERT_STAGE: Sql =
    Sql::same("INSERT INTO rollout_stages (rollout_id, org_id, number, state, cut) VALUES ($1, $2, $3, 'pending', -1)");
pub(super) const DELETE_STAGES: Sql = Sql::same("DELETE FROM rollout_stages WHERE rollout_id = $1");
pub(super) const EDIT: Sql = Sql::same(
    "UPDATE rollouts SET name = $4, release_id = $5, device_type = $6, hardware = $7, version = $8, sequence = $9, min_sequence = $10, selector = $11,
     spec = $12, digest = $13, begin_at = $14, timeout_ms = $15, author = $16, author_name = $17, state = 'draft', summary = '',
     generation = generation + 1, updated_at = $18
     WHERE org_id = $1 AND id = $2 AND generation = $3",
);
pub(super) const MOVE: Sql = Sql::same(
    "UPDATE rollouts SET state = $4, summary = $5, begin_at = $6, stage = $7, cut = $8, doors_until = $9, last_device = $10,
     generation = generation + 1, updated_at = $11 WHERE org_id = $1 AND id = $2 AND generation = $3",
);
pub(super) const MOVE_STAGE: Sql = Sql::same(
    "UPDATE rollout_stages SET state = $3, cut = $4, total = total + $5, waiting = waiting + $6, tally = tally + $7, counted = $8, counted_at = $9,
     seen_finished = $10, seen_succeeded = $11, seen_errors = $12, started_at = $13, soak_until = $14, ended_at = $15, verdict = $16
     WHERE rollout_id = $1 AND number = $2",
);
/// Takes the stage's row and proves that nothing was reported since the plan was made.
pub(super) const HOLD_STAGE: Sql =
    Sql::same("UPDATE rollout_stages SET tally = tally WHERE rollout_id = $1 AND number = $2 AND tally = $3");
/// What was seen can't be more than there is, after devices were taken out of it to be tried again.
pub(super) const CLAMP_SEEN: Sql = Sql::same(
    "UPDATE rollout_stages SET
     seen_finished = CASE WHEN seen_finished > succeeded + failed + reverted + timed_out + rejected
                          THEN succeeded + failed + reverted + timed_out + rejected ELSE seen_finished END,
     seen_errors = CASE WHEN seen_errors > failed + reverted + timed_out + rejected
                        THEN failed + reverted + timed_out + rejected ELSE seen_errors END
     WHERE rollout_id = $1",
);
pub(super) const TIME_OUT: Sql = Sql::same(
    "UPDATE updates SET state = 'timed_out', open = FALSE, code = 'timed_out', detail = $3, ended_at = $2, updated_at = $2
     WHERE rollout_id = $1 AND open = TRUE AND deadline <= $2 RETURNING id, device, stage, state",
);
pub(super) const WITHDRAW: Sql = Sql::same(
    "UPDATE updates SET state = 'cancelled', open = FALSE, again = $3, ended_at = $2, updated_at = $2
     WHERE rollout_id = $1 AND open = TRUE AND state IN ('offered', 'awaiting_window', 'awaiting_confirmation') RETURNING id, device, stage, state",
);
pub(super) const WITHDRAW_RECALLED: Sql = Sql::same(
    "UPDATE updates SET state = 'cancelled', open = FALSE, again = $3, ended_at = $2, updated_at = $2
     WHERE rollout_id = $1 AND open = TRUE AND state IN ('offered', 'awaiting_window', 'awaiting_confirmation', 'downloading', 'downloaded')
     RETURNING id, device, stage, state",
);
pub(super) const REQUEUE: Sql = Sql::same(
    "UPDATE updates SET again = TRUE, updated_at = $2
     WHERE rollout_id = $1 AND latest = TRUE AND again = FALSE AND state IN ('failed', 'timed_out') RETURNING id, device, stage, state",
);

/// A rollout's row.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Record {
    pub id: RolloutId,
    pub org: OrgId,
    pub release: ReleaseId,
    pub device_type: String,
    pub hardware: Vec<String>,
    pub version: String,
    pub sequence: i64,
    pub min_sequence: i64,
    pub spec: RolloutSpec,
    pub digest: Digest,
    pub author: String,
    pub author_name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The course without its stages.
    course: Course,
}

impl Record {
    pub fn state(&self) -> RolloutState {
        self.course.state
    }
    pub fn generation(&self) -> i64 {
        self.course.generation
    }
    pub fn stage(&self) -> u32 {
        self.course.stage
    }
    pub fn summary(&self) -> &str {
        &self.course.summary
    }
    pub fn begin_at(&self) -> Option<Timestamp> {
        self.course.begin_at
    }
    /// What it asks of a device. A selector that can't be parsed any more selects nobody.
    pub fn target(&self) -> Result<Target, Error> {
        let selector =
            Selector::parse(&self.spec.selector).map_err(|e| Error::corrupt(format!("selector of {}: {}", self.id, e.message)))?;
        Ok(Target {
            device_type: self.device_type.clone(),
            hardware: self.hardware.clone(),
            version: self.version.clone(),
            sequence: self.sequence,
            min_sequence: self.min_sequence,
            selector,
        })
    }
    /// The course, with these stages.
    pub fn course(&self, stages: Vec<Stage>) -> Course {
        Course { stages, ..self.course.clone() }
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RecordRow {
    id: String,
    org_id: String,
    #[expect(dead_code, reason = "the plan has it too; the column is for lists of other rooms")]
    name: String,
    release_id: String,
    device_type: String,
    hardware: String,
    version: String,
    sequence: i64,
    min_sequence: i64,
    spec: String,
    digest: String,
    state: String,
    summary: String,
    generation: i64,
    author: String,
    author_name: String,
    begin_at: Option<i64>,
    timeout_ms: i64,
    stage: i64,
    cut: i64,
    doors_until: i64,
    last_device: i64,
    created_at: i64,
    updated_at: i64,
    release_state: String,
}

impl RecordRow {
    pub(super) fn read(self) -> Result<Record, Error> {
        Ok(Record {
            course: Course {
                state: self.state.parse().map_err(Error::corrupt)?,
                generation: self.generation,
                release: self.release_state.parse().map_err(Error::corrupt)?,
                begin_at: self.begin_at.map(Timestamp),
                timeout_ms: self.timeout_ms,
                stage: u32::try_from(self.stage).map_err(Error::corrupt)?,
                cut: self.cut,
                doors_until: Timestamp(self.doors_until),
                last_device: self.last_device,
                summary: self.summary,
                stages: Vec::new(),
            },
            id: self.id.parse().map_err(Error::corrupt)?,
            org: self.org_id.parse().map_err(Error::corrupt)?,
            release: self.release_id.parse().map_err(Error::corrupt)?,
            device_type: self.device_type,
            hardware: serde_json::from_str(&self.hardware).map_err(Error::corrupt)?,
            version: self.version,
            sequence: self.sequence,
            min_sequence: self.min_sequence,
            spec: serde_json::from_str(&self.spec).map_err(Error::corrupt)?,
            digest: self.digest.parse().map_err(Error::corrupt)?,
            author: self.author,
            author_name: self.author_name,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct StageRow {
    number: i64,
    state: String,
    cut: i64,
    total: i64,
    waiting: i64,
    updating: i64,
    succeeded: i64,
    failed: i64,
    reverted: i64,
    timed_out: i64,
    rejected: i64,
    left_out: i64,
    tally: i64,
    counted: i64,
    counted_at: i64,
    seen_finished: i64,
    seen_succeeded: i64,
    seen_errors: i64,
    started_at: Option<i64>,
    soak_until: Option<i64>,
    ended_at: Option<i64>,
    verdict: Option<String>,
}

/// A rollout of this organization.
pub(in crate::rollouts) async fn record(on: &mut impl Conn, org: &OrgId, id: &RolloutId) -> Result<Option<Record>, Error> {
    row!(on, RecordRow, RECORD, org.as_str(), id.as_str())?.map(RecordRow::read).transpose()
}

/// The newest rollouts for a device type, newest first; at most 20.
pub(in crate::rollouts) async fn of_device_type(on: &mut impl Conn, org: &OrgId, device_type: &str) -> Result<Vec<Record>, Error> {
    rows!(on, RecordRow, OF_TYPE, org.as_str(), device_type)?.into_iter().map(RecordRow::read).collect()
}

/// A rollout's stages, first to last.
pub(in crate::rollouts) async fn stages(on: &mut impl Conn, record: &Record) -> Result<Vec<Stage>, Error> {
    let found = rows!(on, StageRow, STAGES, record.id.as_str())?;
    if found.len() != record.spec.stages.len() {
        return Err(Error::corrupt(format!("{} has {} stages, its plan {}", record.id, found.len(), record.spec.stages.len())));
    }
    let read = |(i, (s, spec)): (usize, (StageRow, &wire::rollouts::StageSpec))| {
        if usize::try_from(s.number) != Ok(i + 1) {
            return Err(Error::corrupt(format!("stage {} of {} is numbered {}", i + 1, record.id, s.number)));
        }
        Ok(Stage {
            spec: spec.clone(),
            state: s.state.parse::<StageState>().map_err(Error::corrupt)?,
            cut: s.cut,
            counts: Counts {
                total: s.total,
                waiting: s.waiting,
                updating: s.updating,
                succeeded: s.succeeded,
                failed: s.failed,
                reverted: s.reverted,
                timed_out: s.timed_out,
                rejected: s.rejected,
                left_out: s.left_out,
            },
            seen: Seen { finished: s.seen_finished, succeeded: s.seen_succeeded, errors: s.seen_errors },
            tally: s.tally,
            counted: s.counted,
            counted_at: Timestamp(s.counted_at),
            started_at: s.started_at.map(Timestamp),
            soak_until: s.soak_until.map(Timestamp),
            ended_at: s.ended_at.map(Timestamp),
            verdict: s.verdict.map(|v| serde_json::from_str(&v)).transpose().map_err(Error::corrupt)?,
        })
    };
    found.into_iter().zip(&record.spec.stages).enumerate().map(read).collect()
}

/// A rollout with its course.
pub(in crate::rollouts) async fn course(on: &mut impl Conn, org: &OrgId, id: &RolloutId) -> Result<Option<(Record, Course)>, Error> {
    let Some(record) = record(on, org, id).await? else { return Ok(None) };
    let stages = stages(on, &record).await?;
    let course = record.course(stages);
    Ok(Some((record, course)))
}

/// What is written of a plan.
pub(in crate::rollouts) struct NewRollout<'a> {
    pub spec: &'a RolloutSpec,
    pub device_type: &'a str,
    pub hardware: &'a [String],
    pub version: &'a str,
    pub sequence: i64,
    pub min_sequence: i64,
    pub digest: &'a Digest,
    pub author: &'a str,
    pub author_name: &'a str,
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::corrupt)
}

async fn insert_stages(tx: &mut Tx, org: &OrgId, id: &RolloutId, spec: &RolloutSpec) -> Result<(), Error> {
    for number in 1..=spec.stages.len() {
        exec!(tx, INSERT_STAGE, id.as_str(), org.as_str(), i64::try_from(number).map_err(Error::corrupt)?)?;
    }
    Ok(())
}

/// A new draft.
pub(in crate::rollouts) async fn insert(
    tx: &mut Tx,
    org: &OrgId,
    id: &RolloutId,
    new: &NewRollout<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let spec = new.spec;
    exec!(
        tx,
        INSERT,
        id.as_str(),
        org.as_str(),
        spec.name.as_str(),
        spec.release.as_str(),
        new.device_type,
        json(&new.hardware)?,
        new.version,
        new.sequence,
        new.min_sequence,
        spec.selector.as_str(),
        json(spec)?,
        new.digest.as_str(),
        new.author,
        new.author_name,
        spec.start_at.map(Timestamp::millis),
        i64::from(spec.timeout_min) * 60_000,
        now.0
    )?;
    insert_stages(tx, org, id, spec).await
}

/// Another plan for a rollout that has not begun; it is a draft then. False when it is at another generation.
pub(in crate::rollouts) async fn author_edits(
    tx: &mut Tx,
    org: &OrgId,
    id: &RolloutId,
    generation: i64,
    new: &NewRollout<'_>,
    now: Timestamp,
) -> Result<bool, Error> {
    let spec = new.spec;
    let done = exec!(
        tx,
        EDIT,
        org.as_str(),
        id.as_str(),
        generation,
        spec.name.as_str(),
        spec.release.as_str(),
        new.device_type,
        json(&new.hardware)?,
        new.version,
        new.sequence,
        new.min_sequence,
        spec.selector.as_str(),
        json(spec)?,
        new.digest.as_str(),
        spec.start_at.map(Timestamp::millis),
        i64::from(spec.timeout_min) * 60_000,
        new.author,
        new.author_name,
        now.0
    )?;
    if done == 1 {
        exec!(tx, DELETE_STAGES, id.as_str())?;
        insert_stages(tx, org, id, spec).await?;
    }
    Ok(done == 1)
}

/// What applying changes did to updates.
#[derive(Debug, Default)]
pub(in crate::rollouts) struct Applied {
    /// Updates that were taken back: whoever has them must be told.
    pub cancelled: Vec<(DeviceNo, UpdateId)>,
    /// How many timed out.
    pub timed_out: i64,
    /// How many wait again.
    pub requeued: i64,
}

type MovedRow = (String, i64, i64, String);

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
        now.0
    )?;
    if moved != 1 {
        return Ok(None);
    }
    let mut applied = Applied::default();
    for change in changes {
        match change {
            Change::TimeOut => {
                let silence = format!("no word for {}", wire::time::duration(before.timeout_ms));
                let moved = rows!(tx, MovedRow, TIME_OUT, id, now.0, silence)?;
                applied.timed_out = i64::try_from(moved.len()).unwrap_or(i64::MAX);
                recount(tx, record, &moved, Class::Updating, Some(Class::TimedOut), before.stage, UpdateState::TimedOut.as_str()).await?;
            }
            Change::Withdraw { recalled, for_good } => {
                let moved = if *recalled {
                    rows!(tx, MovedRow, WITHDRAW_RECALLED, id, now.0, !for_good)?
                } else {
                    rows!(tx, MovedRow, WITHDRAW, id, now.0, !for_good)?
                };
                let (to, word) = if *for_good { (Some(Class::LeftOut), "cancelled") } else { (None, "queued") };
                recount(tx, record, &moved, Class::Updating, to, before.stage, word).await?;
                applied.cancelled.extend(named(&moved)?);
            }
            Change::Requeue => {
                let moved = rows!(tx, MovedRow, REQUEUE, id, now.0)?;
                applied.requeued = i64::try_from(moved.len()).unwrap_or(i64::MAX);
                for class in [Class::Failed, Class::TimedOut] {
                    let of_class: Vec<MovedRow> =
                        moved.iter().filter(|r| (r.3 == UpdateState::Failed.as_str()) == (class == Class::Failed)).cloned().collect();
                    recount(tx, record, &of_class, class, None, before.stage, "queued").await?;
                }
                exec!(tx, CLAMP_SEEN, id)?;
            }
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

fn named(moved: &[MovedRow]) -> Result<Vec<(DeviceNo, UpdateId)>, Error> {
    moved.iter().map(|(id, device, ..)| Ok((*device, id.parse().map_err(Error::corrupt)?))).collect()
}

/// Moves the counts of updates from one class to another in their stage; without another they wait in the current stage.
async fn recount(
    tx: &mut Tx,
    record: &Record,
    moved: &[MovedRow],
    from: Class,
    to: Option<Class>,
    current: u32,
    word: &str,
) -> Result<(), Error> {
    let mut stages: BTreeMap<i64, i64> = BTreeMap::new();
    for (_, device, stage, _) in moved {
        *stages.entry(*stage).or_default() += 1;
        devices::set_update(tx, *device, word).await?;
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
        new.verdict.as_ref().map(json).transpose()?
    )
    .map(drop)
}

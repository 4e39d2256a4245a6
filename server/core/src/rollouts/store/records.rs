//! A rollout's row and its stages, read as a [`Course`].

use crate::{
    db::{Conn, Error, Sql, row, rows},
    devices::{DeviceNo, Selector},
    rollouts::{
        admission::{Doors, Rank},
        course::{Course, Stage},
        gate::Seen,
        lot::Lot,
        survey::Target,
        throttle::throttled,
    },
};
use wire::{
    Timestamp,
    ids::{Digest, GlassId, OrgId, ReleaseId, RolloutId, UserId},
    rollouts::{Counts, RolloutSpec},
    states::{ReleaseState, RolloutState, StageState},
};

/// The columns of [`RecordRow`], in one place for every statement that reads it.
macro_rules! select_records { ($rest:literal) => {
    concat!(
        "SELECT x.id, x.org_id, x.name, x.release_id, x.device_type, x.hardware, x.version, x.sequence, x.min_sequence, x.spec, x.digest, ",
        "x.state, x.summary, x.generation, x.author, x.author_name, x.writers, x.begin_at, x.timeout_ms, x.stage, x.cut, x.doors_until, x.last_device, ",
        "x.approvals_needed, x.approval_rule, x.decide_by, x.start_by, x.glass, x.back_of, x.verdict, x.created_at, x.updated_at, x.asked_at, x.asked_by_name, r.state AS release_state FROM rollouts x JOIN releases r ON r.id = x.release_id ",
        $rest
    )
} }
pub(super) use select_records;

pub(super) const RECORD: Sql = Sql::same(select_records!("WHERE x.org_id = $1 AND x.id = $2"));
pub(super) const NAMED: Sql =
    Sql::same(select_records!("WHERE x.org_id = $1 AND x.name = $2 ORDER BY x.created_at DESC, x.id DESC LIMIT 1"));
/// Whether there is a rollout of this id, in whichever organization.
pub(super) const TAKEN: Sql = Sql::same("SELECT COUNT(*) FROM rollouts WHERE id = $1");
/// Rollouts for a device type that were asked for and have not ended, however many, and the ended ones that a device had a part in lately.
pub(super) const CONCERNING: Sql = Sql::same(select_records!(
    "WHERE x.org_id = $1 AND x.device_type = $2 AND
     (x.state IN ('waiting_for_approval', 'approved', 'scheduled', 'running', 'paused', 'halted', 'stopping', 'rolling_back')
      OR (x.state NOT IN ('draft', 'rejected')
          AND x.id IN (SELECT u.rollout_id FROM updates u WHERE u.device = $3 AND u.latest = TRUE ORDER BY u.id DESC LIMIT 20)))
     ORDER BY x.id DESC"
));
/// Other rollouts for a device type that run, in the order in which offers are looked for.
pub(super) const RUNNING_BESIDE: Sql = Sql::same(select_records!(
    "WHERE x.org_id = $1 AND x.device_type = $2 AND x.id <> $3 AND x.state = 'running' ORDER BY x.priority DESC, x.sequence DESC, x.id"
));
pub(super) const STAGES: Sql = Sql::same(concat!(
    "SELECT number, state, cut, total, waiting, updating, succeeded, failed, reverted, timed_out, rejected, left_out, tally, counted, counted_at,
     seen_finished, seen_succeeded, seen_errors, seen_failed, seen_reverted, seen_timed_out, seen_rejected, seen_dark, dark, started_at, soak_until, ended_at,
     verdict, looks, findings, whole_finished, whole_succeeded, whole_errors, whole_failed, whole_reverted, whole_timed_out, whole_rejected, whole_dark,
     CAST(CASE WHEN left_out = 0 THEN 0 ELSE (SELECT COUNT(*) FROM updates u WHERE u.rollout_id = $1 AND u.stage = rollout_stages.number AND u.latest = TRUE
     AND u.again = FALSE AND u.state = 'cancelled' AND u.code = '",
    cancelled_by_hand!(),
    "') END AS BIGINT) AS cancelled
     FROM rollout_stages WHERE rollout_id = $1 ORDER BY number",
));

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
    /// Who has written or sent its plan since people approved it last.
    pub writers: Vec<UserId>,
    /// How many people have to approve it.
    pub needed: u32,
    /// The rule that it was sent for approval with, JSON; none where it was sent before there were rules.
    pub rule: Option<String>,
    /// Until when it is decided on; none is for ever.
    pub decide_by: Option<Timestamp>,
    /// Until when it has to begin once it is approved; none is for ever.
    pub start_by: Option<Timestamp>,
    /// By which break glass it goes; none when it was approved, or is to be.
    pub glass: Option<GlassId>,
    /// What it takes devices back from; none for a rollout that somebody planned.
    pub back_of: Option<RolloutId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When it was sent for approval last; none when it never was.
    pub asked_at: Option<Timestamp>,
    /// By whom, in words; empty when it never was.
    pub asked_by: String,
    /// The course without its stages.
    course: Course,
}

impl Record {
    pub fn state(&self) -> RolloutState {
        self.course.state
    }
    /// Where its release is in its life.
    pub fn release_state(&self) -> ReleaseState {
        self.course.release
    }
    pub fn generation(&self) -> i64 {
        self.course.generation
    }
    /// How it stands to others.
    pub const fn rank(&self) -> Rank {
        Rank { priority: self.spec.priority, sequence: self.sequence }
    }
    /// How far it is open to devices.
    pub const fn doors(&self) -> Doors {
        self.course.doors()
    }
    pub fn stage(&self) -> u32 {
        self.course.stage
    }
    pub fn summary(&self) -> &str {
        &self.course.summary
    }
    /// Whether any part of the plan, or its sending, is this person's.
    pub fn wrote(&self, user: &UserId) -> bool {
        user.as_str() == self.author || self.writers.contains(user)
    }
    /// Those who can't approve it, with whoever sends it now.
    pub fn barred(&self, sender: Option<&UserId>) -> Vec<UserId> {
        let mut all: Vec<UserId> = self.writers.iter().cloned().chain(self.author.parse::<UserId>().ok()).chain(sender.cloned()).collect();
        all.sort();
        all.dedup();
        all
    }
    pub fn begin_at(&self) -> Option<Timestamp> {
        self.course.begin_at
    }
    /// What it asks of a device, but for whose keys have signed its release. An error when its selector can't be parsed any more.
    pub fn target(&self) -> Result<Target, Error> {
        let selector =
            Selector::parse_kept(&self.spec.selector).map_err(|e| Error::corrupt(format!("selector of {}: {}", self.id, e.message)))?;
        Ok(Target {
            device_type: self.device_type.clone(),
            hardware: self.hardware.clone(),
            version: self.version.clone(),
            sequence: self.sequence,
            min_sequence: self.min_sequence,
            // The lowest sequence that is kept of a way back is the one that it takes back.
            runs: self.back_of.is_some().then_some(self.min_sequence),
            selector,
            signed: None,
        })
    }
    /// How its plan arranges devices. An error when a stage's selector can't be parsed any more.
    pub fn lot(&self) -> Result<Lot, Error> {
        Lot::of(&self.spec).map_err(|e| Error::corrupt(format!("a stage's selector of {}: {}", self.id, e.message)))
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
    writers: String,
    begin_at: Option<i64>,
    timeout_ms: i64,
    stage: i64,
    cut: i64,
    doors_until: i64,
    last_device: i64,
    approvals_needed: i64,
    approval_rule: Option<String>,
    decide_by: Option<i64>,
    start_by: Option<i64>,
    glass: Option<String>,
    back_of: Option<String>,
    verdict: Option<String>,
    created_at: i64,
    updated_at: i64,
    asked_at: Option<i64>,
    asked_by_name: String,
    release_state: String,
}

impl RecordRow {
    pub(super) fn read(self) -> Result<Record, Error> {
        let spec: RolloutSpec = serde_json::from_str(&self.spec).map_err(Error::corrupt)?;
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
                throttled: throttled(&spec),
                windowed: spec.window.is_some(),
                gate: spec.gate.clone(),
                verdict: self.verdict.map(|v| serde_json::from_str(&v)).transpose().map_err(Error::corrupt)?,
                way_back: None,
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
            spec,
            digest: self.digest.parse().map_err(Error::corrupt)?,
            author: self.author,
            author_name: self.author_name,
            writers: serde_json::from_str(&self.writers).map_err(Error::corrupt)?,
            needed: u32::try_from(self.approvals_needed).map_err(Error::corrupt)?,
            rule: self.approval_rule,
            decide_by: self.decide_by.map(Timestamp),
            start_by: self.start_by.map(Timestamp),
            glass: self.glass.map(|id| id.parse().map_err(Error::corrupt)).transpose()?,
            back_of: self.back_of.map(|id| id.parse().map_err(Error::corrupt)).transpose()?,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            asked_at: self.asked_at.map(Timestamp),
            asked_by: self.asked_by_name,
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
    seen_failed: i64,
    seen_reverted: i64,
    seen_timed_out: i64,
    seen_rejected: i64,
    seen_dark: i64,
    dark: Option<i64>,
    started_at: Option<i64>,
    soak_until: Option<i64>,
    ended_at: Option<i64>,
    verdict: Option<String>,
    looks: i64,
    findings: String,
    whole_finished: i64,
    whole_succeeded: i64,
    whole_errors: i64,
    whole_failed: i64,
    whole_reverted: i64,
    whole_timed_out: i64,
    whole_rejected: i64,
    whole_dark: i64,
    cancelled: i64,
}

/// A rollout of this organization.
pub(in crate::rollouts) async fn record(on: &mut impl Conn, org: &OrgId, id: &RolloutId) -> Result<Option<Record>, Error> {
    row!(on, RecordRow, RECORD, org.as_str(), id.as_str())?.map(RecordRow::read).transpose()
}

/// Whether there is a rollout of this id, in whichever organization.
pub(in crate::rollouts) async fn taken(on: &mut impl Conn, id: &RolloutId) -> Result<bool, Error> {
    Ok(row!(on, (i64,), TAKEN, id.as_str())?.is_some_and(|found| found.0 > 0))
}

/// The newest rollout of this name.
pub(in crate::rollouts) async fn named(on: &mut impl Conn, org: &OrgId, name: &str) -> Result<Option<Record>, Error> {
    row!(on, RecordRow, NAMED, org.as_str(), name)?.map(RecordRow::read).transpose()
}

/// The rollouts that may say something about a device of this type, newest first.
pub(in crate::rollouts) async fn concerning(
    on: &mut impl Conn,
    org: &OrgId,
    device_type: &str,
    device: DeviceNo,
) -> Result<Vec<Record>, Error> {
    rows!(on, RecordRow, CONCERNING, org.as_str(), device_type, device)?.into_iter().map(RecordRow::read).collect()
}

/// The rollouts other than this one that run for a device type, in the order in which offers are looked for.
pub(in crate::rollouts) async fn running_beside(
    on: &mut impl Conn,
    org: &OrgId,
    device_type: &str,
    id: &RolloutId,
) -> Result<Vec<Record>, Error> {
    rows!(on, RecordRow, RUNNING_BESIDE, org.as_str(), device_type, id.as_str())?.into_iter().map(RecordRow::read).collect()
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
            cancelled: s.cancelled,
            dark: s.dark,
            seen: Seen {
                finished: s.seen_finished,
                succeeded: s.seen_succeeded,
                errors: s.seen_errors,
                failed: s.seen_failed,
                reverted: s.seen_reverted,
                timed_out: s.seen_timed_out,
                rejected: s.seen_rejected,
                dark: s.seen_dark,
            },
            seen_by_whole: Seen {
                finished: s.whole_finished,
                succeeded: s.whole_succeeded,
                errors: s.whole_errors,
                failed: s.whole_failed,
                reverted: s.whole_reverted,
                timed_out: s.whole_timed_out,
                rejected: s.whole_rejected,
                dark: s.whole_dark,
            },
            tally: s.tally,
            counted: s.counted,
            counted_at: Timestamp(s.counted_at),
            started_at: s.started_at.map(Timestamp),
            soak_until: s.soak_until.map(Timestamp),
            ended_at: s.ended_at.map(Timestamp),
            verdict: s.verdict.map(|v| serde_json::from_str(&v)).transpose().map_err(Error::corrupt)?,
            looks: u32::try_from(s.looks).map_err(Error::corrupt)?,
            findings: serde_json::from_str(&s.findings).map_err(Error::corrupt)?,
        })
    };
    found.into_iter().zip(&record.spec.stages).enumerate().map(read).collect()
}

/// A rollout with its course.
pub(in crate::rollouts) async fn course(on: &mut impl Conn, org: &OrgId, id: &RolloutId) -> Result<Option<(Record, Course)>, Error> {
    let Some(record) = record(on, org, id).await? else { return Ok(None) };
    let stages = stages(on, &record).await?;
    let course = Course { way_back: super::back::way(on, &record).await?, ..record.course(stages) };
    Ok(Some((record, course)))
}

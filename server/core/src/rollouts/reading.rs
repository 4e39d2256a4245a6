//! What pages show of rollouts, and what the caller may do about them.

use super::{
    Error, Rollouts,
    control::order,
    course::Course,
    deciding::not_decidable,
    drafting::not_editable,
    draw,
    explain::{Concern, Stand, UnderWay, explain, progress},
    gate,
    moving::not_by,
    quorum,
    store::{
        back, ddi, freezes, lists, parts,
        records::{self, Record},
        turns, updates,
    },
    throttle,
    timing::{self, Terms, Timing},
};
use crate::{
    Result,
    access::{Act, Actor, allowed, may},
    db::Read,
    devices::{DeviceNo, store as devices},
    releases,
};
use wire::{
    Timestamp,
    devices::DeviceUpdate,
    ids::{OrgId, RolloutId, UserId},
    page::{MAX_ROWS, Page},
    rollouts::{
        Action, ApprovalCard, ApprovalsPage, Call, Counts, RolloutDetail, RolloutPage, RolloutRow, RolloutSpec, RolloutsPage, StageView,
        Tab, UpdateQuery, UpdateRow, Verb, Verdict, WizardPage,
    },
    states::{RolloutState, StageState, UpdateState},
};

/// How long after a device without a channel has asked it is taken to ask again: three of the pauses that hawkBit's clients make.
const POLLS_MS: i64 = 15 * 60_000;

impl Rollouts {
    /// A page of so many rollouts, newest first.
    pub async fn list(&self, actor: &Actor, cursor: Option<&str>, tab: Tab, rows: u32) -> Result<RolloutsPage> {
        may(actor, Act::Read)?;
        // Ids sort by their creation, so the last id of a page is its cursor; `rol` followed by `~` sorts behind every id.
        let before = match cursor {
            None => "rol~".to_owned(),
            Some(c) => c.parse::<RolloutId>().map_err(|_| Error::invalid("cursor", "This is not a cursor that this list gave."))?.into(),
        };
        let mut on = self.db.read().await?;
        let rows = rows.clamp(1, MAX_ROWS);
        let mut records = lists::page_in(&mut on, &actor.org, &before, tab, i64::from(rows) + 1).await?;
        let more = records.len() > rows as usize;
        records.truncate(rows as usize);
        let next = records.last().filter(|_| more).map(|r| r.id.as_str().to_owned());
        let total = lists::count_in(&mut on, &actor.org, tab).await?;
        let items = self.rows(&mut on, &actor.org, &records).await?;
        Ok(RolloutsPage { rollouts: Page { items, next, total }, may_draft: allowed(actor, Act::Draft) })
    }

    /// Rollouts that run or wait for something, the most urgent first.
    pub(crate) async fn open_rows(&self, org: &OrgId, most: usize) -> Result<Vec<RolloutRow>> {
        let mut on = self.db.read().await?;
        let records = lists::open_records(&mut on, org, i64::try_from(most).unwrap_or(i64::MAX)).await?;
        self.rows(&mut on, org, &records).await
    }

    /// How many rollouts run, and how many wait for a decision that this caller could make.
    pub async fn nav_counts(&self, actor: &Actor) -> Result<(i64, i64)> {
        may(actor, Act::Read)?;
        let user = actor.user().map_or("", |u| u.as_str());
        Ok(lists::nav_counts(&mut self.db.read().await?, &actor.org, user).await?)
    }

    /// A rollout and a page of its devices.
    pub async fn page(&self, actor: &Actor, id: &RolloutId, query: &UpdateQuery) -> Result<RolloutPage> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let updates = self.listed(&mut on, &record, &course, query).await?;
        let rollout = self.shown(&mut on, actor, &record, &course).await?;
        Ok(RolloutPage { rollout, updates })
    }

    /// A rollout.
    pub async fn detail(&self, actor: &Actor, id: &RolloutId) -> Result<RolloutDetail> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        self.shown(&mut on, actor, &record, &course).await
    }

    /// A page of a rollout's devices.
    pub async fn updates(&self, actor: &Actor, id: &RolloutId, query: &UpdateQuery) -> Result<Page<UpdateRow>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        self.listed(&mut on, &record, &course, query).await
    }

    async fn shown(&self, on: &mut Read, actor: &Actor, record: &Record, course: &Course) -> Result<RolloutDetail> {
        let now = self.clock.now();
        let release = releases::for_rollout(on, &actor.org, &record.release).await?.ok_or(Error::NotFound("release"))?;
        let approvals = lists::decisions(on, &record.id).await?;
        let given: Vec<UserId> = approvals.iter().filter(|a| a.approved && !a.void).map(|a| a.by.clone()).collect();
        let history = lists::events(on, &record.id).await?;
        let changes = if before_draw(record.state()) { Some(self.changed(on, record).await?) } else { None };
        let mut stages: Vec<StageView> = (1..).zip(&course.stages).map(|(number, stage)| stage_view(number, stage)).collect();
        let mut counts = course.totals();
        if before_draw(record.state()) && record.back_of.is_none() {
            // Not drawn yet: what the draw would be as of now.
            let found = self.glimpsed(on, record).await?;
            for (view, preview) in stages.iter_mut().zip(&found.stages) {
                view.counts = Counts { total: preview.devices, waiting: preview.devices, ..Counts::default() };
            }
            counts = Counts { total: found.total, waiting: found.total, ..Counts::default() };
        }
        Ok(RolloutDetail {
            row: row(record, &summary(record, course.current().map(|s| (s.state, s.counts))), counts),
            spec: record.spec.clone(),
            generation: record.generation(),
            digest: record.digest.clone(),
            release: release.row,
            stages,
            approvals,
            changes,
            way_back: self.way_back_of(on, record).await?,
            back_of: back::back_of(on, record).await?,
            verdict: whole_view(course),
            history,
            actions: actions(actor, record, course, &given, now),
            at: now,
        })
    }

    /// Rows with their counts. Rollouts that were not drawn yet have none: a list doesn't walk the fleet.
    async fn rows(&self, on: &mut Read, org: &OrgId, records: &[Record]) -> Result<Vec<RolloutRow>> {
        let mut sums = lists::sums(on, org, records).await?;
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let counts = sums.remove(&record.id).unwrap_or_default();
            let current = if record.state() == RolloutState::Running && record.stage() > 0 {
                let course = record.course(records::stages(on, record).await?);
                course.current().map(|s| (s.state, s.counts))
            } else {
                None
            };
            rows.push(row(record, &summary(record, current), counts));
        }
        Ok(rows)
    }

    /// The approvals inbox.
    pub async fn approvals(&self, actor: &Actor) -> Result<ApprovalsPage> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let may_approve = allowed(actor, Act::Approve);
        let mut cards = Vec::new();
        for record in lists::waiting(&mut on, &actor.org).await? {
            let preview = self.glimpsed(&mut on, &record).await?;
            let signed_by = releases::for_rollout(&mut on, &actor.org, &record.release).await?.map(|r| r.row.signed_by).unwrap_or_default();
            let mut approved = lists::decisions(&mut on, &record.id).await?;
            approved.retain(|a| a.approved && !a.void);
            let given: Vec<UserId> = approved.iter().map(|a| a.by.clone()).collect();
            let blocked = if may_approve {
                not_decidable(&record, actor, &given).map(|e| e.fault().message)
            } else {
                Some("Deciding needs the role admin.".to_owned())
            };
            let counts = Counts { total: preview.total, waiting: preview.total, ..Counts::default() };
            cards.push(ApprovalCard {
                rollout: row(&record, &summary(&record, None), counts),
                spec: record.spec.clone(),
                digest: record.digest.clone(),
                generation: record.generation(),
                preview: (*preview).clone(),
                changes: self.changed(&mut on, &record).await?,
                signed_by,
                way_back: self.way_back_of(&mut on, &record).await?,
                needed: record.needed,
                approved,
                blocked,
            });
        }
        let decided = lists::decided(&mut on, &actor.org).await?;
        let decided = self.rows(&mut on, &actor.org, &decided).await?;
        let quorum = quorum::of(&mut on, &actor.org, self.clock.now()).await?;
        let may_set_quorum = allowed(actor, Act::People);
        Ok(ApprovalsPage { waiting: cards, decided, may_approve, quorum, may_set_quorum, authorities: 0 })
    }

    /// What the wizard shows. Without a plan it begins with the plan of the rollout being edited.
    pub async fn wizard(&self, actor: &Actor, spec: Option<RolloutSpec>, editing: Option<&RolloutId>) -> Result<WizardPage> {
        may(actor, Act::Draft)?;
        let mut on = self.db.read().await?;
        let record = match editing {
            Some(id) => Some(records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?),
            None => None,
        };
        if let Some(why) = record.as_ref().and_then(not_editable) {
            return Err(Error::NotNow(why).into());
        }
        let releases = releases::published(&mut on, &actor.org).await?;
        let spec = spec.or_else(|| record.as_ref().map(|r| r.spec.clone()));
        let preview = match &spec {
            Some(spec) => Some(self.previewed(&mut on, &actor.org, editing, spec).await?),
            None => None,
        };
        Ok(WizardPage { releases, spec, preview, editing: record.map(|r| (r.id.clone(), r.generation())) })
    }

    /// A device's updates, newest first; at most 20.
    pub(crate) async fn updates_of(&self, device: DeviceNo) -> Result<Vec<DeviceUpdate>> {
        Ok(parts::of_device(&mut self.db.read().await?, device).await?)
    }

    /// Why a device is or isn't updating, in words; empty when no rollout concerns it.
    pub(crate) async fn explain(&self, device: DeviceNo) -> Result<String> {
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let (Some((org, _)), Some(facts)) = (devices::name(&mut on, device).await?, devices::facts(&mut on, device, now).await?) else {
            return Ok(String::new());
        };
        let frosts = freezes::not_over(&mut on, &org, now).await?;
        let held = |timing: &Timing| timing::words(&Terms::of(timing, &facts.attributes, &frosts, now), timing, &facts.attributes);
        let may_begin = |timing: &Timing| Terms::of(timing, &facts.attributes, &frosts, now).may_begin();
        let open = turns::open_of(&mut on, device).await?;
        let waits = open.as_ref().filter(|open| open.state <= UpdateState::Downloaded).and_then(|open| held(&open.timing));
        let under_way =
            open.map(|open| UnderWay { rollout: open.name, version: open.version, state: open.state, deadline: Some(open.deadline) });
        let mut concerns = Vec::new();
        for record in records::concerning(&mut on, &org, &facts.device_type, device).await? {
            if let Some(of) = &record.back_of
                && turns::last_in(&mut on, of, device).await?.is_none()
            {
                continue;
            }
            let last = turns::last_in(&mut on, &record.id, device).await?;
            let course = record.course(records::stages(&mut on, &record).await?);
            let cuts: Vec<i64> = course.stages.iter().map(|s| s.cut).collect();
            let place = draw::place(&record.id, device);
            let full = if !course.may_offer(place, now) {
                None
            } else if releases::has_damage(&mut on, &record.release).await? {
                Some(
                    "it is its turn, but a file of the release is damaged in the store; it gets it once that was uploaded again."
                        .to_owned(),
                )
            } else {
                let crowd = updates::crowd(&mut on, &record, device).await?;
                match throttle::full(&record.spec, crowd) {
                    Some(full) => Some(full.words(&facts)),
                    None if record.spec.ignore_data_budget => None,
                    None => crate::transfers::over_budget(&mut on, &org, device, now).await?,
                }
            };
            let drawn = cuts.iter().any(|c| *c != draw::NOBODY);
            concerns.push(Concern {
                name: record.spec.name.clone(),
                target: record.target()?,
                state: course.state,
                summary: course.summary.clone(),
                stage: course.stage,
                stage_state: course.current().map(|s| s.state),
                device_stage: drawn.then(|| draw::stage_of(place, &cuts)),
                doors_open: now < course.doors_until,
                full,
                held: held(&Timing::of(&record.spec)).filter(|_| !may_begin(&Timing::of(&record.spec))),
                download_only: record.spec.download_only,
                begin_at: record.begin_at(),
                again: last.as_ref().and_then(|l| l.retry_at.map(|at| (l.attempts, at))),
                ended: last.filter(|l| !l.again).map(|l| (l.state, if l.detail.is_empty() { l.code } else { l.detail })),
            });
            // What is behind the first that means the device is not told.
            if concerns.last().is_some_and(|c| c.means(&facts)) {
                break;
            }
        }
        let owes = Self::owed(&ddi::actions(&mut on, device).await?, now);
        let polls = devices::asked_at(&mut on, device).await?.is_some_and(|at| now.since(at) < POLLS_MS);
        Ok(explain(&facts, &Stand { under_way, held: waits, owes, polls }, &concerns, now))
    }
}

const fn before_draw(state: RolloutState) -> bool {
    use RolloutState as R;
    matches!(state, R::Draft | R::WaitingForApproval | R::Rejected | R::Approved | R::Scheduled)
}

fn row(record: &Record, summary: &str, counts: Counts) -> RolloutRow {
    RolloutRow {
        id: record.id.clone(),
        name: record.spec.name.clone(),
        version: record.version.clone(),
        device_type: record.device_type.clone(),
        state: record.state(),
        summary: summary.to_owned(),
        stage: record.stage(),
        stages: u32::try_from(record.spec.stages.len()).unwrap_or(u32::MAX),
        counts,
        author: record.author_name.clone(),
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

/// One sentence: how far it is while it runs, else what happened last.
fn summary(record: &Record, current: Option<(StageState, Counts)>) -> String {
    match current.filter(|_| record.state() == RolloutState::Running) {
        Some((state, counts)) => {
            progress(record.stage(), record.spec.stages.len(), state, counts.finished(), counts.total, counts.errors())
        }
        None => record.summary().to_owned(),
    }
}

fn stage_view(number: u32, stage: &super::course::Stage) -> StageView {
    let live = matches!(stage.state, StageState::Pending | StageState::Running);
    let verdict = match &stage.verdict {
        // Also of a stage that its gate has paused.
        Some(verdict) if !live || verdict.call == Call::Halt => verdict.clone(),
        _ if stage.state == StageState::Pending => unjudged("has not begun"),
        _ if stage.state == StageState::Skipped => unjudged("skipped"),
        _ => gate::judge(&stage.spec.gate, &stage.counts, stage.seen, false),
    };
    StageView {
        number,
        spec: stage.spec.clone(),
        state: stage.state,
        counts: stage.counts,
        dark: stage.dark.map(|n| (n - stage.seen.dark).max(0)),
        started_at: stage.started_at,
        soak_until: stage.soak_until,
        ended_at: stage.ended_at,
        verdict,
        findings: stage.findings.clone(),
    }
}

/// What the gate of the whole rollout says as of now.
fn whole_view(course: &Course) -> Option<Verdict> {
    let gate = course.gate.as_ref()?;
    let verdict = course.verdict.clone().unwrap_or_else(|| gate::judge_whole(gate, &course.totals(), course.seen(), false));
    Some(if course.stage == 0 { unjudged("has not begun") } else { verdict })
}

fn unjudged(text: &str) -> Verdict {
    Verdict { call: Call::Wait, text: text.to_owned(), finished: 0, succeeded: 0, errors: 0, reverted: 0, timed_out: 0, sample: 0 }
}

/// What the caller may do now, and where not, why. Verbs that their role can never use are left out.
fn actions(actor: &Actor, record: &Record, course: &Course, given: &[UserId], now: Timestamp) -> Vec<Action> {
    use Verb as V;
    let mut out = Vec::new();
    for (verb, act) in [
        (V::Edit, Act::Draft),
        (V::Submit, Act::Draft),
        (V::Approve, Act::Approve),
        (V::Reject, Act::Approve),
        (V::Start, Act::Control),
        (V::Pause, Act::Control),
        (V::Resume, Act::Control),
        (V::Promote, Act::Control),
        (V::Retry, Act::Control),
        (V::RollBack, Act::Control),
        (V::Stop, Act::Control),
    ] {
        if !allowed(actor, act) {
            continue;
        }
        let blocked = match verb {
            V::Edit => not_editable(record),
            V::Submit => (record.state() != RolloutState::Draft).then(|| "Only a draft can be sent for approval.".to_owned()),
            V::Approve | V::Reject => not_decidable(record, actor, given).map(|e| e.fault().message),
            _ => not_by(verb, record, actor).map(|e| e.fault().message).or_else(|| order(verb, course, "", "", now).err()),
        };
        out.push(Action { verb, blocked });
    }
    out
}

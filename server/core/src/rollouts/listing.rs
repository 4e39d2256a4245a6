//! The devices of a rollout, page by page: those with an update, and those whose turn is still to come.

use super::{
    Error, Rollouts,
    course::Course,
    lot::Kept,
    store::{back, parts, records::Record, strata},
    survey::Target,
    ticking::{asked, waits},
};
use crate::{
    Result,
    db::Read,
    devices::{DeviceNo, Facts, store as devices},
};
use std::collections::{BTreeSet, HashMap, HashSet};
use wire::{
    ids::RolloutId,
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    rollouts::{Counts, Show, UpdateQuery, UpdateRow},
    states::UpdateState,
};

/// Devices looked at for one page of waiting ones; a page may be short and still have a next one.
const LOOKED_AT: usize = 20_000;
/// Devices read at once.
const BATCH: i64 = 1000;
/// Devices up to which all pages are read at once, so that the total is that of the rows; of a larger fleet it is the count that is kept, which follows
/// changes of tags and groups some minutes later.
const COUNTED: usize = 2000;

/// Which devices a page is to hold.
struct Wanted {
    after: DeviceNo,
    /// 0 is every stage.
    stage: u32,
    rows: usize,
    only_waiting: bool,
}

impl Rollouts {
    /// A page of a rollout's devices, by device number. The total is of the whole stage and class. Devices that have left the fleet since are in
    /// neither; they stay in the counts, which are evidence, and in the report.
    pub(super) async fn listed(&self, on: &mut Read, record: &Record, course: &Course, query: &UpdateQuery) -> Result<Page<UpdateRow>> {
        let after: DeviceNo = match query.cursor.as_deref() {
            None => 0,
            Some(c) => c.parse().map_err(|_| Error::not_a_cursor())?,
        };
        let rows = query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS) as usize;
        let stage = query.stage.unwrap_or(0);
        let counts = if stage == 0 { course.totals() } else { course.stage_at(stage).map(|s| s.counts).unwrap_or_default() };
        let gone = parts::gone(on, &record.org, &record.id, stage).await?;
        let mut total = (total(&counts, query.show) - total(&gone, query.show)).max(0);
        let (items, next) = match query.show {
            Show::Updating | Show::Failed | Show::Succeeded => {
                let limit = i64::try_from(rows).unwrap_or(i64::MAX).saturating_add(1);
                cut(parts::listed(on, &record.id, after, stage, query.show.as_str(), limit).await?, rows)
            }
            Show::All | Show::Waiting => {
                let wanted = Wanted { after, stage, rows, only_waiting: query.show == Show::Waiting };
                let mut turns = Turns::of(record, course)?;
                match self.all(on, record, &mut turns, &wanted).await? {
                    Some(all) => {
                        total = i64::try_from(all.len()).unwrap_or(i64::MAX);
                        cut(all.into_iter().filter(|(device, _)| *device > after).collect(), rows)
                    }
                    None => self.merged(on, record, &mut turns, &wanted).await?,
                }
            }
        };
        Ok(Page { items, next: next.map(|n| n.to_string()), total })
    }

    /// Devices with an update and devices that wait, merged by number.
    async fn merged(
        &self,
        on: &mut Read,
        record: &Record,
        turns: &mut Turns<'_>,
        wanted: &Wanted,
    ) -> Result<(Vec<UpdateRow>, Option<DeviceNo>)> {
        if !turns.drawn() {
            return Ok((Vec::new(), None));
        }
        let (mut found, mut at, mut looked) = (Vec::new(), wanted.after, 0);
        while found.len() <= wanted.rows && looked < LOOKED_AT {
            let Some((last, batch)) = self.batch(on, record, turns, at).await? else { return Ok(cut(found, wanted.rows)) };
            (at, looked) = (last, looked + batch.len());
            found.extend(batch.into_iter().filter_map(|one| turns.row(one, wanted)));
        }
        if found.len() <= wanted.rows {
            // Enough was looked at for one request; the next page goes on from here.
            return Ok((found.into_iter().map(|(_, row)| row).collect(), Some(at)));
        }
        Ok(cut(found, wanted.rows))
    }

    /// The devices of all pages; none where it is not settled who they are, and where the fleet is too large to be read for one page. A rollout to many
    /// says that at once.
    async fn all(
        &self,
        on: &mut Read,
        record: &Record,
        turns: &mut Turns<'_>,
        wanted: &Wanted,
    ) -> Result<Option<Vec<(DeviceNo, UpdateRow)>>> {
        if !turns.drawn() || usize::try_from(turns.course.totals().total).is_ok_and(|devices| devices > COUNTED) {
            return Ok(None);
        }
        let (mut found, mut at, mut looked) = (Vec::new(), 0, 0);
        while looked <= COUNTED {
            let Some((last, batch)) = self.batch(on, record, turns, at).await? else { return Ok(Some(found)) };
            (at, looked) = (last, looked + batch.len());
            found.extend(batch.into_iter().filter_map(|one| turns.row(one, wanted)));
        }
        Ok(None)
    }

    /// The next devices of the fleet behind this one, with their part in the rollout, and the last of them.
    async fn batch(
        &self,
        on: &mut Read,
        record: &Record,
        turns: &mut Turns<'_>,
        after: DeviceNo,
    ) -> Result<Option<(DeviceNo, Vec<Looked>)>> {
        let mut batch = devices::facts_page(on, &record.org, after, BATCH, self.clock.now()).await?;
        devices::measured(self.last.as_ref(), &record.org, &turns.asked(), &mut batch).await?;
        let Some(last) = batch.last().map(|(device, _)| *device) else { return Ok(None) };
        turns.turn_to(on, &batch).await?;
        let mut known: HashMap<DeviceNo, UpdateRow> = parts::listed_between(on, &record.id, after, last).await?.into_iter().collect();
        Ok(Some((last, batch.into_iter().map(|(device, facts)| (device, facts, known.remove(&device))).collect())))
    }
}

/// A device that is looked at, with its part in the rollout where it had one.
type Looked = (DeviceNo, Facts, Option<UpdateRow>);

/// Whose turn it is in a rollout, and whose is still to come: of the devices that it was [turned to](Turns::turn_to).
pub(super) struct Turns<'a> {
    id: &'a RolloutId,
    course: &'a Course,
    target: Target,
    back_of: Option<&'a RolloutId>,
    /// Who of them may be in it at all; none for everybody.
    members: Option<HashSet<DeviceNo>>,
    kept: Kept,
}

impl<'a> Turns<'a> {
    pub(super) fn of(record: &'a Record, course: &'a Course) -> Result<Self> {
        let cuts = course.stages.iter().map(|s| s.cut).collect();
        // Nobody is a member before they are read.
        let kept = Kept { lot: record.lot()?, strata: HashMap::new(), cuts, members: Some(HashSet::new()) };
        let (back_of, members) = (record.back_of.as_ref(), Some(HashSet::new()));
        Ok(Self { id: &record.id, course, target: record.target()?, back_of, members, kept })
    }

    /// Reads what decides about these devices, which are in the order of their numbers, and forgets it of others: a page must not cost what the rollout does.
    pub(super) async fn turn_to(&mut self, on: &mut Read, some: &[(DeviceNo, Facts)]) -> Result<()> {
        let (Some((first, _)), Some((last, _))) = (some.first(), some.last()) else { return Ok(()) };
        self.members = back::members_between(on, self.back_of, (*first, *last)).await?;
        Ok(strata::turn_to(on, self.id, &mut self.kept, some).await?)
    }

    /// The metrics that it asks for.
    pub(super) fn asked(&self) -> BTreeSet<&str> {
        asked(&self.target, &self.kept.lot)
    }

    /// Whether it is settled yet who is in which stage.
    fn drawn(&self) -> bool {
        self.kept.drawn()
    }

    /// Whether nobody comes any more.
    pub(super) fn over(&self) -> bool {
        super::state::ended(super::state::ROLLOUT, self.course.state)
    }

    /// A device that had a turn; those that wait again come with the stage that runs.
    pub(super) fn known(&self, row: UpdateRow) -> UpdateRow {
        if row.state == UpdateState::Queued { UpdateRow { stage: row.stage.max(self.course.stage), ..row } } else { row }
    }

    /// A device's row, if the page is to hold it.
    fn row(&self, (device, facts, known): Looked, wanted: &Wanted) -> Option<(DeviceNo, UpdateRow)> {
        let row = match known.map(|row| self.known(row)) {
            Some(row) if wanted.only_waiting && row.state != UpdateState::Queued => None,
            Some(row) => Some(row),
            None => self.waiting(device, &facts),
        }?;
        (wanted.stage == 0 || row.stage == wanted.stage).then_some((device, row))
    }

    /// A device that had no turn, if it is one of the rollout's.
    pub(super) fn waiting(&self, device: DeviceNo, facts: &Facts) -> Option<UpdateRow> {
        if self.members.as_ref().is_some_and(|m| !m.contains(&device)) {
            return None;
        }
        if !self.drawn()
            || !(self.target.check(facts, false).is_ok() || waits(&self.target, (self.id, &self.kept), self.course, device, facts))
        {
            return None;
        }
        let own = self.kept.stage_of(self.id, device, facts)?;
        waiting(facts, if self.over() { own } else { own.max(self.course.stage) })
    }
}

fn cut(mut found: Vec<(DeviceNo, UpdateRow)>, rows: usize) -> (Vec<UpdateRow>, Option<DeviceNo>) {
    let more = found.len() > rows;
    found.truncate(rows);
    let next = if more { found.last().map(|(device, _)| *device) } else { None };
    (found.into_iter().map(|(_, row)| row).collect(), next)
}

fn waiting(facts: &Facts, stage: u32) -> Option<UpdateRow> {
    Some(UpdateRow {
        id: None,
        device_id: facts.device_id.parse().ok()?,
        stage,
        state: UpdateState::Queued,
        progress: None,
        from_version: facts.version.clone(),
        attempts: 0,
        code: String::new(),
        detail: String::new(),
        online: facts.online,
        offered_at: None,
        updated_at: None,
        ended_at: None,
    })
}

fn total(counts: &Counts, show: Show) -> i64 {
    match show {
        Show::Updating => counts.updating,
        Show::Failed => counts.errors(),
        Show::Succeeded => counts.succeeded,
        Show::Waiting => counts.waiting,
        Show::All => counts.total,
    }
}

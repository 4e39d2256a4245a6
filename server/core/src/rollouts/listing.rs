//! The devices of a rollout, page by page: those with an update, and those whose turn is still to come. Once it is over nobody's is: who was not reached
//! by then is a number in its stages' counts and in no list, because who that was can't be told later, when other rollouts have moved them on.

use super::{
    Error, Rollouts,
    course::Course,
    lot::Kept,
    sorted, state,
    store::{
        back,
        parts::{self, Rows},
        records::Record,
        strata,
    },
    survey::Target,
    ticking::{asked, target, waits},
    wanted::{COUNTED, Wanted},
};
use crate::{
    Result,
    db::Read,
    devices::{DeviceNo, Facts, Selector, narrowing::few_meant, store as devices},
};
use std::collections::{BTreeSet, HashMap, HashSet};
use wire::{
    devices::SelectorError,
    ids::RolloutId,
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    rollouts::{Show, UpdateQuery, UpdateRow, UpdateSort},
    states::{DeviceState, UpdateState},
    updates::UpdateFailure,
};

/// Devices looked at for one page of waiting ones; a page may be short and still have a next one.
const LOOKED_AT: usize = 20_000;
/// Devices read at once.
const BATCH: i64 = 1000;
/// Devices that a search's index names which are looked up one by one for a page.
const LOOKED_UP: usize = 200;

/// A page of a rollout's devices.
pub(super) struct Listed {
    pub page: Page<UpdateRow>,
    /// Whether the list can be put into another order.
    pub sorts: bool,
}

impl Rollouts {
    /// A page of a rollout's devices; `search` is what the query [searches for](searched). The total is of the whole stage and class; of a search that no
    /// index bounds it is at most that. Devices that have left the fleet since are in neither; they stay in the counts, which are evidence, and in the report.
    pub(super) async fn listed(
        &self,
        on: &mut Read,
        (record, course): (&Record, &Course),
        query: &UpdateQuery,
        search: Option<&Selector>,
    ) -> Result<Listed> {
        let joined = query.sort == UpdateSort::Joined;
        let after: DeviceNo = match query.cursor.as_deref().filter(|_| joined) {
            None => 0,
            Some(c) => c.parse().map_err(|_| Error::not_a_cursor())?,
        };
        let few = match search {
            Some(search) => few_meant(on, &record.org, search).await?,
            None => None,
        };
        let rows = query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS) as usize;
        let stage = query.stage.unwrap_or(0);
        let wanted = Wanted { after, stage, rows, show: query.show, outcome: query.outcome, search, few: few.as_deref() };
        let mut turns = Turns::of(on, record, course).await?;
        let small = wanted.small(&course.totals());
        let whole = if wanted.walks() {
            self.all(on, record, &mut turns, &wanted).await?
        } else if small && (wanted.dark() || !joined) {
            Some(self.fared(on, record, &Wanted { after: 0, rows: COUNTED, ..wanted }).await?.0)
        } else {
            None
        };
        let sorts = whole.is_some() || (!wanted.walks() && small);
        let (items, next, total) = match whole {
            Some(all) => {
                let total = all.len();
                let (items, next) = if joined {
                    let (items, next) = cut(all.into_iter().filter(|(device, _)| *device > after).collect(), rows);
                    (items, next.map(|n| n.to_string()))
                } else {
                    sorted::page(all, query.sort, query.cursor.as_deref(), rows)?
                };
                (items, next, i64::try_from(total).unwrap_or(i64::MAX))
            }
            // Nobody is in a stage yet: there is nothing to sort.
            None if joined || (wanted.walks() && !turns.drawn()) => {
                let counted = self.counted(on, record, course, &wanted).await?;
                let (items, next) = if wanted.walks() {
                    self.merged(on, record, &mut turns, &wanted).await?
                } else {
                    let (found, looked) = self.fared(on, record, &wanted).await?;
                    let full = found.len() > rows;
                    let (items, next) = cut(found, rows);
                    (items, if full { next } else { looked })
                };
                let shown = i64::try_from(items.len()).unwrap_or(i64::MAX);
                (items, next.map(|n| n.to_string()), counted.max(shown))
            }
            None => return Err(Error::TooManyToSort.into()),
        };
        Ok(Listed { page: Page { items, next, total }, sorts })
    }

    /// How many devices a list has by what is kept, without those that have left the fleet. Of a large rollout those that went dark are those that its stages
    /// counted last: looking at all who succeeded takes too long for a page.
    async fn counted(&self, on: &mut Read, record: &Record, course: &Course, wanted: &Wanted<'_>) -> Result<i64> {
        let stage = course.stage_at(wanted.stage);
        if wanted.dark() {
            return Ok(if wanted.stage == 0 { course.dark() } else { stage.and_then(|s| s.dark).unwrap_or(0) });
        }
        let mut counts = if wanted.stage == 0 { course.totals() } else { stage.map(|s| s.counts).unwrap_or_default() };
        let named = wanted.few.map_or(i64::MAX, |few| i64::try_from(few.len()).unwrap_or(i64::MAX));
        if wanted.cancelled() {
            // They are counted among those that were left out, and by their rows where there are any.
            let some = wanted.of(&counts) > 0;
            let total = if some { parts::count_cancelled(on, &record.id, wanted.stage).await? } else { 0 };
            return Ok(total.min(named));
        }
        if over(course) {
            counts.total -= counts.waiting;
            counts.waiting = 0;
        }
        let gone = parts::gone(on, &record.org, &record.id, wanted.stage).await?;
        let total = (wanted.of(&counts) - wanted.of(&gone)).max(0);
        Ok(total.min(named))
    }

    /// Those that fare like this by the rows of their updates, in the order of their numbers: one more than a page, where there are so many. Beside them the
    /// last device that was looked at, where that is not said by the rows.
    async fn fared(&self, on: &mut Read, record: &Record, wanted: &Wanted<'_>) -> Result<(Rows, Option<DeviceNo>)> {
        let limit = i64::try_from(wanted.rows).unwrap_or(i64::MAX).saturating_add(1);
        let (id, after, stage) = (&record.id, wanted.after, wanted.stage);
        let badly: &[UpdateState] = match (wanted.outcome, wanted.show) {
            (Some(UpdateFailure::WentDark), _) => return self.gone_dark(on, record, wanted).await,
            (Some(UpdateFailure::Cancelled), _) => return Ok((parts::cancelled(on, id, after, stage, limit).await?, None)),
            (Some(UpdateFailure::Failed), _) => &[UpdateState::Failed],
            (Some(UpdateFailure::TimedOut), _) => &[UpdateState::TimedOut],
            (Some(UpdateFailure::Reverted), _) => &[UpdateState::Reverted],
            (Some(UpdateFailure::Rejected), _) => &[UpdateState::Rejected],
            (None, Show::Failed) => &[UpdateState::Failed, UpdateState::TimedOut, UpdateState::Reverted, UpdateState::Rejected],
            (None, show) => return Ok((parts::listed(on, id, after, stage, show.as_str(), limit).await?, None)),
        };
        let mut found = Vec::new();
        for state in badly {
            found.extend(parts::ended_badly(on, id, after, stage, *state, limit).await?);
        }
        found.sort_by_key(|(device, _)| *device);
        Ok((found, None))
    }

    /// Devices with an update and devices that wait, merged by number.
    async fn merged(
        &self,
        on: &mut Read,
        record: &Record,
        turns: &mut Turns<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<(Vec<UpdateRow>, Option<DeviceNo>)> {
        if !turns.drawn() {
            return Ok((Vec::new(), None));
        }
        if let Some(few) = wanted.few {
            let (found, at) = self.looked_up(on, record, turns, wanted, few).await?;
            let full = found.len() > wanted.rows;
            let (items, next) = cut(found, wanted.rows);
            return Ok((items, if full { next } else { at }));
        }
        let (mut found, mut at, mut looked) = (Vec::new(), wanted.after, 0);
        while found.len() <= wanted.rows && looked < LOOKED_AT {
            let Some((last, batch)) = self.batch(on, record, turns, wanted, at).await? else { return Ok(cut(found, wanted.rows)) };
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
    async fn all(&self, on: &mut Read, record: &Record, turns: &mut Turns<'_>, wanted: &Wanted<'_>) -> Result<Option<Rows>> {
        if !turns.drawn() {
            return Ok(None);
        }
        if let Some(few) = wanted.few.filter(|few| few.len() <= LOOKED_UP) {
            let whole = Wanted { after: 0, rows: LOOKED_UP, ..*wanted };
            return Ok(Some(self.looked_up(on, record, turns, &whole, few).await?.0));
        }
        if usize::try_from(turns.course.totals().total).is_ok_and(|devices| devices > COUNTED) {
            return Ok(None);
        }
        let (mut found, mut at, mut looked) = (Vec::new(), 0, 0);
        while looked <= COUNTED {
            let Some((last, batch)) = self.batch(on, record, turns, wanted, at).await? else { return Ok(Some(found)) };
            (at, looked) = (last, looked + batch.len());
            found.extend(batch.into_iter().filter_map(|one| turns.row(one, wanted)));
        }
        Ok(None)
    }

    /// Those of a few devices that are wanted, one more than a page where there are so many, and the last one that was looked at; none where no more are left.
    async fn looked_up(
        &self,
        on: &mut Read,
        record: &Record,
        turns: &mut Turns<'_>,
        wanted: &Wanted<'_>,
        few: &[DeviceNo],
    ) -> Result<(Rows, Option<DeviceNo>)> {
        let (mut found, mut looked) = (Vec::new(), 0);
        for device in few.iter().copied().filter(|device| *device > wanted.after) {
            if found.len() > wanted.rows || looked == LOOKED_UP {
                return Ok((found, Some(device - 1)));
            }
            looked += 1;
            let Some(facts) = devices::facts(on, device, self.clock.now()).await? else { continue };
            if facts.state == DeviceState::Decommissioned.as_str() {
                continue;
            }
            let mut one = [(device, facts)];
            devices::measured(self.last.as_ref(), &record.org, &asked_of(turns, wanted), &mut one).await?;
            turns.turn_to(on, &one).await?;
            let known = parts::listed_between(on, &record.id, device - 1, device).await?.pop().map(|(_, row)| row);
            let [(device, facts)] = one;
            found.extend(turns.row((device, facts, known), wanted));
        }
        Ok((found, None))
    }

    /// The next devices of the fleet behind this one, with their part in the rollout, and the last of them.
    async fn batch(
        &self,
        on: &mut Read,
        record: &Record,
        turns: &mut Turns<'_>,
        wanted: &Wanted<'_>,
        after: DeviceNo,
    ) -> Result<Option<(DeviceNo, Vec<Looked>)>> {
        let mut batch = devices::facts_page(on, &record.org, after, BATCH, self.clock.now()).await?;
        devices::measured(self.last.as_ref(), &record.org, &asked_of(turns, wanted), &mut batch).await?;
        let Some(last) = batch.last().map(|(device, _)| *device) else { return Ok(None) };
        turns.turn_to(on, &batch).await?;
        let mut known: HashMap<DeviceNo, UpdateRow> = parts::listed_between(on, &record.id, after, last).await?.into_iter().collect();
        Ok(Some((last, batch.into_iter().map(|(device, facts)| (device, facts, known.remove(&device))).collect())))
    }
}

/// What a query searches for; none for every device.
pub(super) fn searched(query: &UpdateQuery) -> Result<Option<Selector>, SelectorError> {
    Ok(if query.q.trim().is_empty() { None } else { Some(Selector::parse(&query.q)?) })
}

/// The metrics that the rollout and the search ask for.
fn asked_of<'a>(turns: &'a Turns<'_>, wanted: &'a Wanted<'_>) -> BTreeSet<&'a str> {
    turns.asked().into_iter().chain(wanted.search.into_iter().flat_map(Selector::metrics)).collect()
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
    pub(super) async fn of(on: &mut Read, record: &'a Record, course: &'a Course) -> Result<Self> {
        let cuts = course.stages.iter().map(|s| s.cut).collect();
        // Nobody is a member before they are read.
        let kept = Kept { lot: record.lot()?, strata: HashMap::new(), cuts, members: Some(HashSet::new()) };
        let (back_of, members) = (record.back_of.as_ref(), Some(HashSet::new()));
        // Where nobody comes, not yet or not any more, by whom it is signed is looked at of nobody.
        let comes = kept.drawn() && !over(course);
        let target = if comes { target(on, record).await? } else { record.target()? };
        Ok(Self { id: &record.id, course, target, back_of, members, kept })
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

    /// A device that had a turn; those that wait again come with the stage that runs, and are counted as not reached when none comes any more.
    pub(super) fn known(&self, row: UpdateRow) -> Option<UpdateRow> {
        if row.state != UpdateState::Queued {
            Some(row)
        } else if over(self.course) {
            None
        } else {
            Some(UpdateRow { stage: row.stage.max(self.course.stage), ..row })
        }
    }

    /// A device's row, if the page is to hold it.
    fn row(&self, (device, facts, known): Looked, wanted: &Wanted<'_>) -> Option<(DeviceNo, UpdateRow)> {
        if wanted.search.is_some_and(|search| !search.matches(&facts)) {
            return None;
        }
        let row = match known {
            Some(row) => self.known(row)?,
            None => self.waiting(device, &facts)?,
        };
        (wanted.has(row.state) && (wanted.stage == 0 || row.stage == wanted.stage)).then_some((device, row))
    }

    /// A device that had no turn, if it is one of the rollout's and one may come.
    pub(super) fn waiting(&self, device: DeviceNo, facts: &Facts) -> Option<UpdateRow> {
        if over(self.course) || self.members.as_ref().is_some_and(|m| !m.contains(&device)) {
            return None;
        }
        if !self.drawn()
            || !(self.target.check(facts, false).is_ok() || waits(&self.target, (self.id, &self.kept), self.course, device, facts))
        {
            return None;
        }
        let own = self.kept.stage_of(self.id, device, facts)?;
        waiting(facts, own.max(self.course.stage))
    }
}

/// Whether nobody comes any more.
fn over(course: &Course) -> bool {
    state::ended(state::ROLLOUT, course.state)
}

fn cut(mut found: Rows, rows: usize) -> (Vec<UpdateRow>, Option<DeviceNo>) {
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

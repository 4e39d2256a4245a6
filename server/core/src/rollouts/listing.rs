//! The devices of a rollout, page by page: those with an update, and those whose turn is still to come.

use super::{
    Error, Rollouts,
    course::Course,
    draw,
    store::{parts, records::Record},
    ticking::waits,
};
use crate::{
    Result,
    db::Read,
    devices::{DeviceNo, Facts, store as devices},
};
use std::collections::HashMap;
use wire::{
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    rollouts::{Counts, Show, UpdateQuery, UpdateRow},
    states::UpdateState,
};

/// Devices looked at for one page of waiting ones; a page may be short and still have a next one.
const LOOKED_AT: usize = 20_000;
/// Devices read at once.
const BATCH: i64 = 1000;

/// Which devices a page is to hold.
struct Wanted {
    after: DeviceNo,
    /// 0 is every stage.
    stage: u32,
    rows: usize,
    only_waiting: bool,
}

impl Rollouts {
    /// A page of a rollout's devices, by device number. The total is of the whole stage and class.
    pub(super) async fn listed(&self, on: &mut Read, record: &Record, course: &Course, query: &UpdateQuery) -> Result<Page<UpdateRow>> {
        let after: DeviceNo = match query.cursor.as_deref() {
            None => 0,
            Some(c) => c.parse().map_err(|_| Error::invalid("cursor", "This is not a cursor that this list gave."))?,
        };
        let rows = query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS) as usize;
        let stage = query.stage.unwrap_or(0);
        let counts = if stage == 0 { course.totals() } else { course.stage_at(stage).map(|s| s.counts).unwrap_or_default() };
        let total = total(&counts, query.show);
        let (items, next) = match query.show {
            Show::Updating | Show::Failed | Show::Succeeded => {
                let limit = i64::try_from(rows).unwrap_or(i64::MAX).saturating_add(1);
                cut(parts::listed(on, &record.id, after, stage, query.show.as_str(), limit).await?, rows)
            }
            Show::All | Show::Waiting => {
                let wanted = Wanted { after, stage, rows, only_waiting: query.show == Show::Waiting };
                self.merged(on, record, course, &wanted).await?
            }
        };
        Ok(Page { items, next: next.map(|n| n.to_string()), total })
    }

    /// Devices with an update and devices that wait, merged by number.
    async fn merged(&self, on: &mut Read, record: &Record, course: &Course, wanted: &Wanted) -> Result<(Vec<UpdateRow>, Option<DeviceNo>)> {
        if course.stages.iter().all(|s| s.cut == draw::NOBODY) {
            return Ok((Vec::new(), None));
        }
        let Wanted { after, stage, rows, only_waiting } = *wanted;
        let target = record.target()?;
        let cuts: Vec<i64> = course.stages.iter().map(|s| s.cut).collect();
        let ended = super::state::ended(super::state::ROLLOUT, course.state);
        let (mut found, mut at, mut looked) = (Vec::new(), after, 0);
        while found.len() <= rows && looked < LOOKED_AT {
            let batch = devices::facts_page(on, &record.org, at, BATCH).await?;
            let Some((last, _)) = batch.last() else { return Ok(cut(found, rows)) };
            let mut known: HashMap<DeviceNo, UpdateRow> = parts::listed_between(on, &record.id, at, *last).await?.into_iter().collect();
            (at, looked) = (*last, looked + batch.len());
            for (device, facts) in batch {
                let row = match known.remove(&device) {
                    // Devices that wait again come with the stage that runs.
                    Some(row) if row.state == UpdateState::Queued => UpdateRow { stage: row.stage.max(course.stage), ..row },
                    Some(row) if only_waiting => {
                        let _ = row;
                        continue;
                    }
                    Some(row) => row,
                    None if target.check(&facts, false).is_ok() || waits(&target, &record.id, course, device, &facts) => {
                        let own = draw::stage_of(draw::place(&record.id, device), &cuts);
                        match waiting(&facts, if ended { own } else { own.max(course.stage) }) {
                            Some(row) => row,
                            None => continue,
                        }
                    }
                    None => continue,
                };
                if stage == 0 || row.stage == stage {
                    found.push((device, row));
                }
            }
        }
        if found.len() <= rows {
            // Enough was looked at for one request; the next page goes on from here.
            return Ok((found.into_iter().map(|(_, row)| row).collect(), Some(at)));
        }
        Ok(cut(found, rows))
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
        detail: String::new(),
        online: facts.online,
        updated_at: None,
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

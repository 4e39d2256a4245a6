//! The devices of a rollout, page by page: those with an update, and those whose turn is still to come.

use super::{
    Rollouts,
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
    page::{DEFAULT_ROWS, Page},
    rollouts::{Counts, UpdateQuery, UpdateRow},
    states::UpdateState,
};

/// Devices looked at for one page of waiting ones; a page may be short and still have a next one.
const LOOKED_AT: usize = 20_000;
/// Devices read at once.
const BATCH: i64 = 1000;

impl Rollouts {
    /// A page of a rollout's devices, by device number. The total is of the whole stage and class.
    pub(super) async fn listed(&self, on: &mut Read, record: &Record, course: &Course, query: &UpdateQuery) -> Result<Page<UpdateRow>> {
        let after: DeviceNo = query.cursor.as_deref().and_then(|c| c.parse().ok()).unwrap_or(0);
        let stage = query.stage.unwrap_or(0);
        let counts = if stage == 0 { course.totals() } else { course.stage_at(stage).map(|s| s.counts).unwrap_or_default() };
        let total = total(&counts, &query.show);
        let (items, next) = match query.show.as_str() {
            fares @ ("updating" | "failed" | "succeeded") => {
                let limit = i64::from(DEFAULT_ROWS);
                let found = parts::listed(on, &record.id, after, stage, fares, limit + 1).await?;
                cut(found)
            }
            show => self.merged(on, record, course, after, stage, show == "waiting").await?,
        };
        Ok(Page { items, next: next.map(|n| n.to_string()), total })
    }

    /// Devices with an update and devices that wait, merged by number.
    async fn merged(
        &self,
        on: &mut Read,
        record: &Record,
        course: &Course,
        after: DeviceNo,
        stage: u32,
        only_waiting: bool,
    ) -> Result<(Vec<UpdateRow>, Option<DeviceNo>)> {
        if course.stages.iter().all(|s| s.cut == draw::NOBODY) {
            return Ok((Vec::new(), None));
        }
        let target = record.target()?;
        let cuts: Vec<i64> = course.stages.iter().map(|s| s.cut).collect();
        let ended = super::state::ended(super::state::ROLLOUT, course.state);
        let (mut found, mut at, mut looked) = (Vec::new(), after, 0);
        while found.len() <= DEFAULT_ROWS as usize && looked < LOOKED_AT {
            let batch = devices::facts_page(on, &record.org, at, BATCH).await?;
            let Some((last, _)) = batch.last() else { return Ok(cut(found)) };
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
        if found.len() <= DEFAULT_ROWS as usize {
            // Enough was looked at for one request; the next page goes on from here.
            return Ok((found.into_iter().map(|(_, row)| row).collect(), Some(at)));
        }
        Ok(cut(found))
    }
}

fn cut(mut found: Vec<(DeviceNo, UpdateRow)>) -> (Vec<UpdateRow>, Option<DeviceNo>) {
    let rows = DEFAULT_ROWS as usize;
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

fn total(counts: &Counts, show: &str) -> i64 {
    match show {
        "updating" => counts.updating,
        "failed" => counts.errors(),
        "succeeded" => counts.succeeded,
        "waiting" => counts.waiting,
        _ => counts.total,
    }
}

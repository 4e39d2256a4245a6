//! What became of every device of a rollout, part by part, for a file that is kept. Devices that have left the fleet since are in it; those that were not
//! reached by its end are not.

use super::{
    Error, Rollouts,
    listing::Turns,
    store::{parts, records},
};
use crate::{
    Result,
    access::{Act, Actor, may},
    csv,
    devices::{DeviceNo, store as devices},
};
use std::collections::BTreeMap;
use wire::{Timestamp, ids::RolloutId, rollouts::UpdateRow};

/// What a report says of each device, in the order of its columns.
pub const REPORT: [&str; 11] =
    ["device", "stage", "state", "code", "detail", "from", "to", "attempts", "offered_at", "changed_at", "ended_at"];

/// Devices read at once.
const BATCH: i64 = 1000;

/// A part of a report.
#[derive(Debug, Clone)]
pub struct Part {
    /// The version the rollout sends.
    pub version: String,
    /// Devices by their number: their newest attempt, or that they wait for one.
    pub rows: Vec<UpdateRow>,
    /// Where the next part begins; none after the last.
    pub next: Option<DeviceNo>,
}

/// A device's line of a report, behind the lines there are; `version` is the one the rollout sends.
pub fn push_report_line(text: &mut String, row: UpdateRow, version: &str) {
    let at = |at: Option<Timestamp>| at.map_or_else(String::new, Timestamp::rfc3339);
    let cells = [
        row.device_id.to_string(),
        row.stage.to_string(),
        row.state.to_string(),
        row.code,
        row.detail,
        row.from_version,
        version.to_owned(),
        row.attempts.to_string(),
        at(row.offered_at),
        at(row.updated_at),
        at(row.ended_at),
    ];
    csv::push_line(text, &cells);
}

impl Rollouts {
    /// The devices of a rollout after this one, 0 for the first part. Before the first stage has begun there are none.
    pub async fn report_part(&self, actor: &Actor, id: &RolloutId, after: DeviceNo) -> Result<Part> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let mut turns = Turns::of(&mut on, &record, &course).await?;
        let mut batch = devices::facts_page(&mut on, &actor.org, after, BATCH, self.clock.now()).await?;
        devices::measured(self.last.as_ref(), &actor.org, &turns.asked(), &mut batch).await?;
        turns.turn_to(&mut on, &batch).await?;
        let next = batch.last().map(|(last, _)| *last).filter(|_| i64::try_from(batch.len()) == Ok(BATCH));
        let known = parts::listed_between(&mut on, &record.id, after, next.unwrap_or(DeviceNo::MAX)).await?;
        let mut rows: BTreeMap<DeviceNo, UpdateRow> =
            known.into_iter().filter_map(|(device, row)| Some((device, turns.known(row)?))).collect();
        for (device, facts) in batch {
            if !rows.contains_key(&device)
                && let Some(row) = turns.waiting(device, &facts)
            {
                rows.insert(device, row);
            }
        }
        Ok(Part { version: record.version, rows: rows.into_values().collect(), next })
    }
}

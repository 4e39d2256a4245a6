//! What became of every device of a rollout, part by part, for a file that is kept. Devices that have left the fleet since are in it.

use super::{
    Error, Rollouts,
    listing::Turns,
    store::{parts, records},
};
use crate::{
    Result,
    access::{Act, Actor, may},
    devices::{DeviceNo, store as devices},
};
use std::collections::BTreeMap;
use wire::{ids::RolloutId, rollouts::UpdateRow};

/// Devices read at once.
const BATCH: i64 = 1000;

/// A part of a report.
#[derive(Debug, Clone)]
pub struct Part {
    /// The version the rollout sends.
    pub version: String,
    /// Devices by their number: their newest attempt, or that they wait.
    pub rows: Vec<UpdateRow>,
    /// Where the next part begins; none after the last.
    pub next: Option<DeviceNo>,
}

impl Rollouts {
    /// The devices of a rollout after this one, 0 for the first part. Before the first stage has begun there are none.
    pub async fn report_part(&self, actor: &Actor, id: &RolloutId, after: DeviceNo) -> Result<Part> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let turns = Turns::of(&mut on, &record, &course).await?;
        let mut batch = devices::facts_page(&mut on, &actor.org, after, BATCH, self.clock.now()).await?;
        devices::measured(self.last.as_ref(), &actor.org, &turns.asked(), &mut batch).await?;
        let next = batch.last().map(|(last, _)| *last).filter(|_| i64::try_from(batch.len()) == Ok(BATCH));
        let known = parts::listed_between(&mut on, &record.id, after, next.unwrap_or(DeviceNo::MAX)).await?;
        let mut rows: BTreeMap<DeviceNo, UpdateRow> = known.into_iter().map(|(device, row)| (device, turns.known(row))).collect();
        for (device, facts) in batch {
            // Who joined after the end was never meant.
            let late = turns.over() && device > course.last_device;
            if !rows.contains_key(&device)
                && !late
                && let Some(row) = turns.waiting(device, &facts)
            {
                rows.insert(device, row);
            }
        }
        Ok(Part { version: record.version, rows: rows.into_values().collect(), next })
    }
}

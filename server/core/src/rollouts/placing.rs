//! Who would be in which stage of a plan that has not begun, and who would not and why, device by device. Owns the pages of that; the draw and its
//! reasons are the survey's.

use super::{
    Error, Rollouts,
    lot::Kept,
    reading::before_draw,
    store::records,
    survey::{LEFT_OUT, Miss, Walk},
};
use crate::{
    Result,
    access::{Act, Actor, may},
    devices::{DeviceNo, Facts},
};
use wire::{
    ids::RolloutId,
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    rollouts::{PreviewDevice, PreviewQuery},
};

impl Rollouts {
    /// A page of the devices that a kept plan's selector matches, by device number, as the draw would be now. An error once it has begun: its devices are
    /// listed then with how they fare.
    pub async fn preview_devices(&self, actor: &Actor, id: &RolloutId, query: &PreviewQuery) -> Result<Page<PreviewDevice>> {
        may(actor, Act::Read)?;
        let after: DeviceNo = match query.cursor.as_deref() {
            None => 0,
            Some(c) => c.parse().map_err(|_| Error::invalid("cursor", "This is not a cursor that this list gave."))?,
        };
        let rows = query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS) as usize;
        let mut on = self.db.read().await?;
        let record = records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        if !before_draw(record.state()) {
            return Err(Error::NotNow("It has begun: its devices are listed with how they fare, under updates.".to_owned()).into());
        }
        let (target, lot) = (record.target()?, record.lot()?);
        let mut taken = Walk::new(&target, &lot, &record.id, false);
        self.walk(&mut on, &record, |device, facts, busy| {
            taken.take(device, facts, busy);
        })
        .await?;
        let found = taken.finish(&record.spec.stages, 0);
        let kept = Kept {
            strata: found.strata.into_iter().collect(),
            cuts: found.cuts.iter().map(|cut| cut.place).collect(),
            members: found.members.map(|members| members.into_iter().collect()),
            lot,
        };
        let placed = |device: DeviceNo, facts: &Facts, busy: bool| match target.check(facts, busy) {
            Err(Miss::NotSelected) => None,
            Err(miss) => Some((None, Some(target.words(miss)))),
            Ok(()) => match kept.stage_of(&record.id, device, facts) {
                Some(stage) => Some((Some(stage), None)),
                None => Some((None, Some(LEFT_OUT.to_owned()))),
            },
        };
        let (mut items, mut total) = (Vec::new(), 0_i64);
        self.walk(&mut on, &record, |device, facts, busy| {
            let Some((stage, reason)) = placed(device, facts, busy) else { return };
            if query.stage.is_some_and(|wanted| wanted != stage.unwrap_or(0)) {
                return;
            }
            total += 1;
            if device > after
                && items.len() <= rows
                && let Ok(device_id) = facts.device_id.parse()
            {
                items.push((device, PreviewDevice { device_id, stage, reason }));
            }
        })
        .await?;
        let more = items.len() > rows;
        items.truncate(rows);
        let next = items.last().filter(|_| more).map(|(device, _)| device.to_string());
        Ok(Page { items: items.into_iter().map(|(_, row)| row).collect(), next, total })
    }
}

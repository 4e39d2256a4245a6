//! Finds out what [`admission`](super::admission) looks at, for a device that asks and one rollout: one thing after the other, and in vain no further than
//! to the first rule that keeps the device back. Owns which statement answers which rule; refuses to decide any of them.

use super::{
    Rollouts,
    admission::{Bar, Check, Had, Known, Taken, Time},
    confirming::agreement,
    draw,
    offering::Speaks,
    store::{
        offers,
        records::{self, Record},
        strata,
        turns::{self, Candidate, Open},
    },
    throttle::full,
    ticking,
    timing::{Frost, Terms, Timing},
};
use crate::{
    Result,
    db::{self, Conn},
    devices::{DeviceNo, Facts},
    releases, transfers,
};
use wire::{Timestamp, ids::OrgId};

/// A device that asks.
pub(super) struct Asking<'a> {
    pub org: &'a OrgId,
    pub device: DeviceNo,
    pub facts: &'a Facts,
    /// What it may be taken over from.
    pub open: Option<&'a Open>,
    pub frosts: &'a [Frost],
    pub speaks: Speaks,
    pub now: Timestamp,
}

/// A rollout that lets a device in, as far as that can be seen while nothing is held.
pub(super) struct Admitted {
    pub record: Record,
    /// Of the device, with the metrics that the plan asks for.
    pub facts: Facts,
    pub known: Known,
}

impl From<&Terms> for Time {
    fn from(terms: &Terms) -> Self {
        if terms.may_begin() { Self::Open } else { Self::Shut(terms.wake()) }
    }
}

impl Rollouts {
    /// Whether a rollout lets a device in, or what keeps it back.
    pub(super) async fn admitted(&self, candidate: &Candidate, asking: &Asking<'_>) -> Result<Result<Admitted, Bar>> {
        let Asking { org, device, now, .. } = *asking;
        let place = Some(draw::place(&candidate.id, device));
        let mut known = Known { place, doors: Some(candidate.doors), ..Known::default() };
        if let Some(bar) = known.so_far(now) {
            return Ok(Err(bar));
        }
        let mut on = self.db.read().await?;
        known.had = Some(turns::last_in(&mut on, &candidate.id, device).await?.map_or(Had::Nothing, |last| last.had()));
        if let Some(bar) = known.so_far(now) {
            return Ok(Err(bar));
        }
        let Some(record) = records::record(&mut on, org, &candidate.id).await? else { return Ok(Err(Bar::NotKnown(Check::GoesOut))) };
        known.doors = Some(record.doors());
        known.part = Some(had_part(&mut on, &record, device).await?);
        if let Some(bar) = known.so_far(now) {
            return Ok(Err(bar));
        }
        let (lot, mut facts) = (record.lot()?, asking.facts.clone());
        self.learn(org, (&record.target()?, &lot), device, &mut facts).await?;
        known.fits = Some(ticking::target_for(&mut on, &record, &facts).await?.check(&facts, false));
        if let Some(bar) = known.so_far(now) {
            return Ok(Err(bar));
        }
        known.agreement = Some(agreement(&mut on, &record, (device, &facts), asking.speaks == Speaks::Hawkbit).await?);
        if let Some(bar) = known.so_far(now) {
            return Ok(Err(bar));
        }
        known.taken = Some(if lot.plain() && !lot.limited() {
            Taken::ByPlace
        } else {
            let cuts = if lot.plain() { records::stages(&mut on, &record).await?.iter().map(|s| s.cut).collect() } else { Vec::new() };
            let kept = strata::one(&mut on, &record.id, lot, cuts, (device, &facts)).await?;
            Taken::By(kept.stage_of(&record.id, device, &facts))
        });
        if let Some(bar) = known.so_far(now) {
            return Ok(Err(bar));
        }
        known.release = Some((record.release_state(), releases::has_damage(&mut on, &record.release).await?));
        known.time = Some(Time::from(&Terms::of(&Timing::of(&record.spec), &facts.attributes, asking.frosts, now)));
        if let Some(bar) = known.so_far(now) {
            return Ok(Err(bar));
        }
        // Those that wait for others don't queue up for a transaction. What one is taken over from counts no more in its own.
        known.room = Some(asking.open.is_some() || full(&record.spec, offers::crowd(&mut on, &record, device, now).await?).is_none());
        if let Some(bar) = known.so_far(now) {
            return Ok(Err(bar));
        }
        let counts = !record.spec.ignore_data_budget;
        known.over_budget = Some(counts && transfers::over_budget(&mut on, org, device, now).await?.is_some());
        // All of them: a rule that was forgotten above keeps the device back.
        Ok(known.first(&Check::ALL, now).map_or(Ok(Admitted { record, facts, known }), Err))
    }
}

/// Whether a device had a part in what a rollout takes back; true of one that takes nothing back.
pub(super) async fn had_part(on: &mut impl Conn, record: &Record, device: DeviceNo) -> Result<bool, db::Error> {
    match &record.back_of {
        Some(of) => Ok(turns::last_in(on, of, device).await?.is_some()),
        None => Ok(true),
    }
}

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
    Error,
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

/// Why nobody is let in.
pub(super) enum Stop {
    /// This keeps the device back.
    Bar(Bar),
    /// It could not be found out.
    Failed(Error),
}

impl From<Bar> for Stop {
    fn from(bar: Bar) -> Self {
        Self::Bar(bar)
    }
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(failed: E) -> Self {
        Self::Failed(failed.into())
    }
}

impl From<&Terms> for Time {
    fn from(terms: &Terms) -> Self {
        if terms.may_begin() { Self::Open } else { Self::Shut(terms.wake()) }
    }
}

impl Rollouts {
    /// A rollout that lets a device in.
    pub(super) async fn admitted(&self, candidate: &Candidate, asking: &Asking<'_>) -> Result<Admitted, Stop> {
        let Asking { org, device, now, .. } = *asking;
        let place = Some(draw::place(&candidate.id, device));
        let mut known = Known { place, doors: Some(candidate.doors), ..Known::default() };
        known.let_in_so_far(now)?;
        let mut on = self.db.read().await?;
        known.had = Some(turns::last_in(&mut on, &candidate.id, device).await?.map_or(Had::Nothing, |last| last.had()));
        known.let_in_so_far(now)?;
        let Some(record) = records::record(&mut on, org, &candidate.id).await? else { return Err(Bar::NotKnown(Check::GoesOut).into()) };
        known.doors = Some(record.doors());
        known.part = Some(had_part(&mut on, &record, device).await?);
        known.let_in_so_far(now)?;
        let (lot, mut facts) = (record.lot()?, asking.facts.clone());
        self.learn(org, (&record.target()?, &lot), device, &mut facts).await?;
        known.fits = Some(ticking::target_for(&mut on, &record, &facts).await?.check(&facts, false));
        known.let_in_so_far(now)?;
        known.agreement = Some(agreement(&mut on, &record, (device, &facts), asking.speaks == Speaks::Hawkbit).await?);
        known.let_in_so_far(now)?;
        known.taken = Some(if lot.plain() && !lot.limited() {
            Taken::ByPlace
        } else {
            let cuts = if lot.plain() { records::stages(&mut on, &record).await?.iter().map(|s| s.cut).collect() } else { Vec::new() };
            let kept = strata::one(&mut on, &record.id, lot, cuts, (device, &facts)).await?;
            Taken::By(kept.stage_of(&record.id, device, &facts))
        });
        known.let_in_so_far(now)?;
        known.release = Some((record.release_state(), releases::has_damage(&mut on, &record.release).await?));
        known.time = Some(Time::from(&Terms::of(&Timing::of(&record.spec), &facts.attributes, asking.frosts, now)));
        known.let_in_so_far(now)?;
        // Those that wait for others don't queue up for a transaction. What one is taken over from counts no more in its own.
        known.room = Some(asking.open.is_some() || full(&record.spec, offers::crowd(&mut on, &record, device, now).await?).is_none());
        known.let_in_so_far(now)?;
        let counts = !record.spec.ignore_data_budget;
        known.over_budget = Some(counts && transfers::over_budget(&mut on, org, device, now).await?.is_some());
        // All of them: a rule that was forgotten above keeps the device back.
        known.let_in(&Check::ALL, now)?;
        Ok(Admitted { record, facts, known })
    }
}

/// Whether a device had a part in what a rollout takes back; true of one that takes nothing back.
pub(super) async fn had_part(on: &mut impl Conn, record: &Record, device: DeviceNo) -> Result<bool, db::Error> {
    match &record.back_of {
        Some(of) => Ok(turns::last_in(on, of, device).await?.is_some()),
        None => Ok(true),
    }
}

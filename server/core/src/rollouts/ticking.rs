//! The controller: looks at every rollout that lives, plans, applies. Any instance may; a plan that was overtaken does nothing.

use super::{
    Rollouts,
    course::{Change, Course, may_install},
    gate::DARK_GRACE_MS,
    moving::Move,
    plan::{Need, Survey, UnderWay, plan},
    store::{
        back, freezes, lists,
        parts::{self, Rank},
        records::{self, Record},
        turns, updates,
    },
    survey::{Target, Walk},
    way_back,
};
use crate::{
    Result,
    db::{Error as DbError, Read},
    devices::{DeviceNo, Facts, store as devices},
};
use std::collections::HashSet;
use wire::{
    Timestamp,
    ids::{OrgId, RolloutId},
    states::RolloutState,
};

/// Steps taken for one rollout at a time; the rest comes with the next tick.
const STEPS: usize = 200;
/// Devices read at once when the fleet is walked.
const PAGE: i64 = 2000;

impl Rollouts {
    /// Moves every rollout on as far as it goes now. Takes no input, may be called at any time by any instance, and when it fails for one
    /// rollout it goes on with the others.
    pub async fn tick(&self) -> Result<()> {
        let alive = lists::alive(&mut self.db.read().await?).await?;
        let mut failed = Ok(());
        for (org, id) in alive {
            if let Err(e) = self.advance(&org, &id).await {
                tracing::error!(rollout = %id, error = %e, "moving a rollout on failed");
                failed = Err(e);
            }
        }
        failed
    }

    /// Moves one rollout on as far as it goes now.
    pub(super) async fn advance(&self, org: &OrgId, id: &RolloutId) -> Result<()> {
        let mut survey = None;
        for _ in 0..STEPS {
            let mut on = self.db.read().await?;
            let Some((record, course)) = records::course(&mut on, org, id).await? else { return Ok(()) };
            let now = self.clock.now();
            let under_way = UnderWay {
                overdue: updates::overdue(&mut on, id, now).await?,
                // Only asked when the answer matters.
                retractable: !may_install(course.release) && updates::retractable(&mut on, id).await?,
                frozen: course.state == RolloutState::Running
                    && !record.spec.during_freeze
                    && freezes::not_over(&mut on, org, now).await?.iter().any(|f| f.holds(now)),
                to_retry: if record.spec.retry.is_some() { turns::to_retry(&mut on, id).await? } else { None },
            };
            let mut plan = plan(&course, under_way, survey.as_ref(), now);
            // While this was down nobody could be heard: devices have their time after the start as after their success.
            if plan.need == Some(Need::Dark) && now < self.began.plus(DARK_GRACE_MS) {
                return Ok(());
            }
            if let Some(need) = plan.need {
                survey = Some(self.survey(&mut on, &record, &course, need).await?);
                continue;
            }
            if plan.changes.iter().any(|c| matches!(c, Change::SetOut { .. }))
                && let Some(why) = self.cant_go_back(&mut on, &record).await?
            {
                plan = way_back::cant(&why);
            }
            drop(on);
            survey = None;
            if plan.changes.is_empty() {
                return Ok(());
            }
            let step = Move { changes: &plan.changes, evidence: plan.evidence, reasons: &plan.reasons, order: None };
            self.apply(&record, &course, &step).await?;
        }
        Ok(())
    }

    async fn survey(&self, on: &mut Read, record: &Record, course: &Course, need: Need) -> Result<Survey> {
        let target = record.target()?;
        match need {
            Need::Targets => {
                let mut walk = Walk::new(&target, &record.id, false);
                self.walk(on, record, |device, facts, busy| walk.take(device, facts, busy)).await?;
                let found = walk.finish(&record.spec.stages, 0);
                Ok(Survey::Targets { cuts: found.cuts, last_device: found.last_device })
            }
            Need::Runs => Ok(Survey::Runs { devices: back::runs(on, record).await? }),
            Need::Dark => Ok(Survey::Dark { devices: parts::dark(on, &record.id, course.stage, self.clock.now()).await? }),
            Need::Figures(look) => self.figures(on, record, course, look).await,
            Need::Remaining => {
                let settled: HashSet<DeviceNo> = parts::settled(on, &record.id).await?.into_iter().collect();
                let (mut waiting, mut last_device) = (0, 0);
                self.walk(on, record, |device, facts, _| {
                    last_device = device;
                    if waits(&target, &record.id, course, device, facts) && !settled.contains(&device) {
                        waiting += 1;
                    }
                })
                .await?;
                Ok(Survey::Remaining { waiting, last_device })
            }
        }
    }

    /// Walks the fleet in order of number, of a way back those that had a part in what it takes back. The third value says whether another
    /// rollout is updating the device.
    pub(super) async fn walk(&self, on: &mut Read, record: &Record, mut visit: impl FnMut(DeviceNo, &Facts, bool)) -> Result<(), DbError> {
        let members = back::members(on, record.back_of.as_ref()).await?;
        let meant = |device: DeviceNo| members.as_ref().is_none_or(|m| m.contains(&device));
        let rank = Rank { sequence: record.sequence, priority: record.spec.priority };
        walk(on, &record.org, (record.id.as_str(), rank), self.clock.now(), |device, facts, busy| {
            if meant(device) {
                visit(device, facts, busy);
            }
        })
        .await
    }
}

/// Walks the fleet of an organization in order of number, beside the rollout of this id.
pub(super) async fn walk(
    on: &mut Read,
    org: &OrgId,
    (rollout, rank): (&str, Rank),
    now: Timestamp,
    mut visit: impl FnMut(DeviceNo, &Facts, bool),
) -> Result<(), DbError> {
    let busy: HashSet<DeviceNo> = parts::busy_elsewhere(on, org, rollout, rank).await?.into_iter().collect();
    let mut after = 0;
    loop {
        let page = devices::facts_page(on, org, after, PAGE, now).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        for (device, facts) in &page {
            visit(*device, facts, busy.contains(device));
        }
    }
}

/// Whether a device that has had no turn may still have one in the running stage. A device that another rollout is updating may: it is free
/// again before this one ends.
pub(super) fn waits(target: &Target, rollout: &RolloutId, course: &Course, device: DeviceNo, facts: &Facts) -> bool {
    target.check(facts, false).is_ok() && super::draw::place(rollout, device) <= course.cut
}

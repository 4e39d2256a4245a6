//! The controller: looks at every rollout that lives, plans, applies. Any instance may; a plan that was overtaken does nothing.

use super::{
    Rollouts,
    admission::Rank,
    course::{Change, Course, may_install},
    expiring::late,
    gate::DARK_GRACE_MS,
    lot::{Kept, Lot},
    moving::Move,
    plan::{Cancelled, Need, Survey, UnderWay, plan},
    store::{
        back, dark, freezes, lists, parts, quorum,
        records::{self, Record},
        strata, turns, updates,
    },
    survey::{Target, Walk},
    way_back,
};
use crate::{
    Result,
    db::{Conn, Error as DbError, Read},
    devices::{DeviceNo, Facts, store as devices},
    releases,
    telemetry::LastValues,
};
use std::collections::BTreeSet;
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
    /// Moves every rollout on as far as it goes now, and ends what has outlived its request, its approval or its release. Takes no input, may be called at any time by any instance, and when it fails for one
    /// rollout it goes on with the others.
    pub async fn tick(&self) -> Result<()> {
        self.look_at_calendar().await?;
        let mut on = self.db.read().await?;
        let mut alive = lists::alive(&mut on).await?;
        self.notice_ends(&alive);
        alive.extend(quorum::late(&mut on, self.clock.now()).await?);
        drop(on);
        let mut failed = self.watch_glass().await;
        if let Err(e) = &failed {
            tracing::error!(error = %e, "looking for starts without approval that nobody has reviewed failed");
        }
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
            self.notice(&record, &course);
            self.notice_cancelled(&mut on, &record, &course).await?;
            let now = self.clock.now();
            if let Some(late) = late(&record, now) {
                drop(on);
                return self.expire(&record, &course, late).await;
            }
            let under_way = UnderWay {
                overdue: updates::overdue(&mut on, id, now).await?,
                // Only asked when the answer matters.
                retractable: !may_install(course.release) && updates::retractable(&mut on, id).await?,
                frozen: course.state == RolloutState::Running
                    && !record.spec.during_freeze
                    && freezes::not_over(&mut on, org, now).await?.iter().any(|f| f.holds(now)),
                to_retry: if record.spec.retry.is_some() { turns::to_retry(&mut on, id).await? } else { None },
                cancelled: if course.state == RolloutState::Running && course.is_last(course.stage) {
                    turns::cancelled(&mut on, id).await?
                } else {
                    Cancelled::default()
                },
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
            let step = Move { changes: &plan.changes, evidence: plan.evidence, reasons: &plan.reasons, order: None, objected: None };
            self.apply(&record, &course, &step).await?;
        }
        Ok(())
    }

    async fn survey(&self, on: &mut Read, record: &Record, course: &Course, need: Need) -> Result<Survey> {
        match need {
            Need::Targets => {
                let (target, lot) = (target(on, record).await?, record.lot()?);
                let mut walk = Walk::new(&target, &lot, &record.id, false);
                self.walk(on, record, |device, facts, busy| {
                    walk.take(device, facts, busy);
                })
                .await?;
                let found = walk.finish(&record.spec.stages, 0);
                Ok(Survey::Targets { cuts: found.cuts, strata: found.strata, members: found.members, last_device: found.last_device })
            }
            Need::Runs => Ok(Survey::Runs { devices: back::runs(on, record).await? }),
            Need::Dark => Ok(Survey::Dark { devices: dark::dark(on, &record.id, course.stage, self.clock.now()).await? }),
            Need::Figures(look) => self.figures(on, record, course, look).await,
            Need::Remaining => {
                let target = target(on, record).await?;
                let kept = strata::of(on, record, course.stages.iter().map(|s| s.cut).collect()).await?;
                let settled = parts::settled(on, &record.id).await?;
                let (mut waiting, mut last_device) = (0, 0);
                self.walk(on, record, |device, facts, _| {
                    last_device = device;
                    if waits(&target, (&record.id, &kept), course, device, facts) && !settled.contains(&device) {
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
        let rank = record.rank();
        let (target, lot) = (record.target()?, record.lot()?);
        let measured = (self.last.as_ref(), &asked(&target, &lot));
        walk(on, &record.org, (record.id.as_str(), rank), (self.clock.now(), measured), |device, facts, busy| {
            if meant(device) {
                visit(device, facts, busy);
            }
        })
        .await
    }
}

/// What a rollout asks of a device, also by whom its release is signed now.
pub(super) async fn target(on: &mut impl Conn, record: &Record) -> Result<Target, DbError> {
    let signed = match releases::for_rollout(on, &record.org, &record.release).await? {
        Some(release) => Some(releases::signed(on, &record.org, &release).await?),
        None => None,
    };
    Ok(Target { signed, ..record.target()? })
}

/// What a rollout asks of this device. Who does not say which keys it trusts is not asked by whom the release is signed.
pub(super) async fn target_for(on: &mut impl Conn, record: &Record, facts: &Facts) -> Result<Target, DbError> {
    if releases::says_trust(&facts.attributes) { target(on, record).await } else { record.target() }
}

/// The metrics that a rollout asks for.
pub(super) fn asked<'a>(target: &'a Target, lot: &'a Lot) -> BTreeSet<&'a str> {
    target.selector.metrics().into_iter().chain(lot.metrics()).collect()
}

impl Rollouts {
    /// Adds to what is known of a device the last values of what a rollout asks for.
    pub(super) async fn learn(
        &self,
        org: &OrgId,
        (target, lot): (&Target, &Lot),
        device: DeviceNo,
        facts: &mut Facts,
    ) -> Result<(), DbError> {
        let mut one = [(device, std::mem::take(facts))];
        let learned = devices::measured(self.last.as_ref(), org, &asked(target, lot), &mut one).await;
        let [(_, known)] = one;
        *facts = known;
        learned
    }
}

/// Walks the fleet of an organization in order of number, beside the rollout of this id, with the last values of these metrics.
pub(super) async fn walk(
    on: &mut Read,
    org: &OrgId,
    (rollout, rank): (&str, Rank),
    (now, (last_values, metrics)): (Timestamp, (Option<&LastValues>, &BTreeSet<&str>)),
    mut visit: impl FnMut(DeviceNo, &Facts, bool),
) -> Result<(), DbError> {
    let busy = parts::busy_elsewhere(on, org, rollout, rank).await?;
    let mut after = 0;
    loop {
        let mut page = devices::facts_page(on, org, after, PAGE, now).await?;
        devices::measured(last_values, org, metrics, &mut page).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        for (device, facts) in &page {
            visit(*device, facts, busy.contains(device));
        }
    }
}

/// Whether a device that has had no turn may still have one in the running stage. A device that another rollout is updating may: it is free
/// again before this one ends.
pub(super) fn waits(target: &Target, (rollout, kept): (&RolloutId, &Kept), course: &Course, device: DeviceNo, facts: &Facts) -> bool {
    target.check(facts, false).is_ok() && kept.stage_of(rollout, device, facts).is_some_and(|stage| stage <= course.stage)
}

//! Reads what [`explain`] looks at: the device, what is open of it, and every rollout that may say something about it.

use super::{
    Rollouts,
    admission::{Had, Time},
    admitting::had_part,
    confirming::{self, Agreement},
    draw, expecting,
    explain::{Concern, explain},
    holding::{self, Holder, Turn, Waits},
    previewing::HISTORY,
    stand::{Stand, UnderWay},
    store::{
        ddi, freezes, history, offers,
        records::{self, Record},
        strata,
        turns::{self, Last, Open},
    },
    throttle::{self, Full},
    ticking::target_for,
    timing::{self, Frost, Terms, Timing},
};
use crate::{
    Result,
    access::{Act, Actor, allowed},
    db::Read,
    devices::{DeviceNo, Facts, store as devices},
    releases, transfers,
};
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    Timestamp,
    ids::RolloutId,
    rollouts::Why,
    states::{RolloutState, UpdateState},
    transfers::DataUse,
};

/// How long after a device without a channel has asked it is taken to ask again: three of the pauses that hawkBit's clients make.
const POLLS_MS: i64 = 15 * 60_000;

/// What holds of a device whatever the rollout.
struct Own<'a> {
    device: DeviceNo,
    facts: &'a Facts,
    frosts: &'a [Frost],
    /// The server asks somebody there for it, by hawkBit's protocol.
    asked_for: bool,
    data: DataUse,
    now: Timestamp,
}

impl Own<'_> {
    fn terms(&self, timing: &Timing) -> Terms {
        Terms::of(timing, &self.facts.attributes, self.frosts, self.now)
    }
}

impl Rollouts {
    /// Why a device is or isn't updating; nothing when no rollout concerns it. The actor's role says what they may do about it.
    pub(crate) async fn why(&self, actor: &Actor, device: DeviceNo) -> Result<Why> {
        let mut why = self.explained(device).await?;
        let may = allowed(actor, Act::Control);
        for rollout in &mut why.rollouts {
            rollout.may_confirm &= may;
            rollout.may_cancel &= may;
        }
        Ok(why)
    }

    /// The answer in words; empty when no rollout concerns it.
    #[cfg(test)]
    pub(crate) async fn explain(&self, device: DeviceNo) -> Result<String> {
        Ok(self.explained(device).await?.answer)
    }

    pub(super) async fn explained(&self, device: DeviceNo) -> Result<Why> {
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let (Some((org, _)), Some(mut facts)) = (devices::name(&mut on, device).await?, devices::facts(&mut on, device, now).await?) else {
            return Ok(Why::default());
        };
        let concerning = records::concerning(&mut on, &org, &facts.device_type, device).await?;
        for record in &concerning {
            self.learn(&org, (&record.target()?, &record.lot()?), device, &mut facts).await?;
        }
        let frosts = freezes::not_over(&mut on, &org, now).await?;
        let actions = ddi::actions(&mut on, device).await?;
        let data = transfers::used(&mut on, &org, device, now).await?;
        let own = Own { device, facts: &facts, frosts: &frosts, asked_for: !actions.is_empty(), data, now };
        let open = turns::open_of(&mut on, device).await?;
        let held = open.as_ref().and_then(|open| {
            let terms = own.terms(&open.timing);
            // What a device has begun goes on, but for one that has fetched it early and waits for its window by itself.
            let waits = !open.begun() || open.state == UpdateState::Downloaded && terms.early();
            timing::words(&terms, &open.timing, &facts.attributes).filter(|_| waits)
        });
        let under_way = open.map(|open| UnderWay {
            put_off: holding::put_off(open.state, open.deadline.plus(-open.timeout_ms), &own.terms(&open.timing)),
            denied: denied(&open),
            unproven: unproven(&open),
            confirmable: open.asks && !open.begun() && Agreement::of(true, &facts, false, false) == Agreement::InConsole(false),
            id: open.rollout,
            rollout: open.name,
            version: open.version,
            state: open.state,
            deadline: Some(open.deadline),
        });
        let mut concerns: Vec<Concern> = Vec::new();
        let mut meant = under_way.is_some();
        for record in concerning {
            // Of what does not go out, the newest that means the device says enough.
            if meant && record.state() != RolloutState::Running {
                continue;
            }
            if !had_part(&mut on, &record, device).await? {
                continue;
            }
            let concern = concern(&mut on, &record, &own).await?;
            meant |= concern.means(&facts);
            concerns.push(concern);
        }
        let polls = devices::asked_at(&mut on, device).await?.is_some_and(|at| now.since(at) < POLLS_MS);
        let stand = Stand { under_way, held, owes: Self::owed(&actions, now), polls };
        Ok(explain(&facts, &stand, &concerns, now))
    }
}

/// When somebody at the device said no, and what they said to that.
fn denied(open: &Open) -> Option<(Timestamp, String)> {
    let (detail, at) = &open.said;
    let remark = detail.strip_prefix(confirming::DENIED).filter(|_| open.state == UpdateState::AwaitingConfirmation)?;
    Some((*at, remark.trim_start_matches(": ").to_owned()))
}

/// What a success waits for that the device has to prove.
fn unproven(open: &Open) -> Option<String> {
    open.owes_proof.then(|| open.said.0.clone())
}

/// A rollout as it stands for a device.
async fn concern(on: &mut Read, record: &Record, own: &Own<'_>) -> Result<Concern> {
    let device = own.device;
    let last = turns::last_in(on, &record.id, device).await?;
    let course = record.course(records::stages(on, record).await?);
    let cuts: Vec<i64> = course.stages.iter().map(|s| s.cut).collect();
    let kept = strata::one(on, &record.id, record.lot()?, cuts, (device, own.facts)).await?;
    let device_stage = if kept.drawn() { kept.stage_of(&record.id, device, own.facts) } else { None };
    let timing = Timing::of(&record.spec);
    let terms = own.terms(&timing);
    let runs = course.state == RolloutState::Running;
    let waiting = course.current().map_or(0, |stage| stage.counts.waiting);
    let kept_back = if runs && throttle::throttled(&record.spec) { Box::pin(kept_back(on, record, waiting, own)).await? } else { None };
    let (full, Turn { at: turn, again: frees, .. }) = kept_back.map_or_else(|| (None, Turn::default()), |(why, turn)| (Some(why), turn));
    let budgeted = own.data.budget.is_some() && !record.spec.ignore_data_budget;
    let over = if budgeted { transfers::budget::words(&own.data) } else { None };
    Ok(Concern {
        id: record.id.clone(),
        name: record.spec.name.clone(),
        priority: record.spec.priority,
        target: target_for(on, record, own.facts).await?,
        doors: course.doors(),
        summary: course.summary.clone(),
        stage_state: course.current().map(|s| s.state),
        last: course.is_last(course.stage),
        device_stage,
        place: draw::place(&record.id, device),
        release: course.release,
        damaged: runs && releases::has_damage(on, &record.release).await?,
        limited: throttle::throttled(&record.spec),
        full,
        turn,
        frees,
        budgeted,
        over_budget: over.map(|words| (words, own.data.again)),
        windowed: timing.window.is_some(),
        held: timing::words(&terms, &timing, &own.facts.attributes).filter(|_| !terms.may_begin()),
        time: Time::from(&terms),
        agreement: confirming::agreement(on, record, (device, own.facts), own.asked_for).await?,
        download_only: record.spec.download_only,
        begin_at: record.begin_at(),
        had: last.as_ref().map_or(Had::Nothing, Last::had),
        attempts: last.as_ref().map_or(0, |l| l.attempts),
        ended: last.filter(|l| !l.again).map(|l| (l.state, if l.detail.is_empty() { l.code } else { l.detail })),
    })
}

/// Why there is no room for the device beside those that update at the same time, and when it has its turn; none when there is room. `waiting` devices of the stage
/// wait as well.
async fn kept_back(on: &mut Read, record: &Record, waiting: i64, own: &Own<'_>) -> Result<Option<(String, Turn)>> {
    let crowd = offers::crowd(on, record, own.device, own.now).await?;
    let Some(full) = throttle::full(&record.spec, crowd) else { return Ok(None) };
    let took = expecting::average(&history::took(on, &record.org, &record.device_type, HISTORY).await?);
    let holders = holders(on, record, &full, own).await?;
    let turn = holding::turn(&record.spec, &full, crowd, (waiting, took), &holders, own.now);
    Ok(Some((turn.words(&full, own.facts), turn)))
}

/// Who holds the places, and what each of them waits for by its own rollout's plan.
async fn holders(on: &mut Read, record: &Record, full: &Full<'_>, own: &Own<'_>) -> Result<Vec<Holder>> {
    let held = offers::holders(on, record, own.device, full).await?;
    let others: BTreeSet<&RolloutId> = held.iter().map(|held| &held.rollout).filter(|id| **id != record.id).collect();
    let mut timings = BTreeMap::from([(&record.id, Timing::of(&record.spec))]);
    for id in others {
        if let Some(other) = records::record(on, &record.org, id).await? {
            timings.insert(id, Timing::of(&other.spec));
        }
    }
    let of = |held: &offers::Holds| {
        let timing = timings.get(&held.rollout)?;
        let terms = Terms::of(timing, &held.attributes, own.frosts, own.now);
        Some(Holder { device_id: held.device_id.clone(), waits: Waits::of(held.place, (timing, &terms, &held.attributes)) })
    };
    Ok(held.iter().filter_map(of).collect())
}

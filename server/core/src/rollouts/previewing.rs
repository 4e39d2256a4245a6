//! What a plan would do as of now: who, in which stage, who is left out and why. The approver sees the draw of exactly the plan they sign.

use super::{
    Error, Rollouts,
    admission::Rank,
    alike::Alike,
    arranging::arranged,
    contending::Contending,
    drafting::release_back,
    egress::{Bounds, Load},
    expecting::{Limits, expect},
    fitting::Fitting,
    foreseeing::{Zones, foresee},
    going_back::known,
    holding,
    lot::Lot,
    store::{
        deltas, freezes, history,
        records::{self, Record},
    },
    survey::{Found, Target, Walk},
    ticking::{asked, target, walk},
    timing::Timing,
    unheard::Unheard,
    validate::{self, Reads},
    way_back,
};
use crate::{
    Result,
    access::{Act, Actor, may},
    db::{Error as DbError, Read},
    devices::{Selector, groups, misspelt::Misspelt},
    releases::{self, RolloutRelease, Signed},
    telemetry::LastValues,
    transfers,
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use wire::{
    Timestamp,
    ids::{Digest, OrgId, RolloutId},
    rollouts::{Excluded, Expected, Preview, Problem, Reach, RolloutSpec, StageSpec},
    states::RolloutState,
};

/// Devices named of each stage.
pub(super) const SAMPLE: usize = 100;
/// Earlier updates that what is expected rests on.
pub(super) const HISTORY: usize = 200;
/// How long what a kept plan would do is shown again.
const GLIMPSE: Duration = Duration::from_secs(5);
/// What kept plans would do, by their digests, and when that was looked at.
pub(super) type Glimpses = Mutex<HashMap<Digest, (Instant, Arc<Preview>)>>;

impl Rollouts {
    /// What a plan that is not kept would do, by a new draw. Changes nothing.
    pub async fn preview(&self, actor: &Actor, spec: &RolloutSpec) -> Result<Preview> {
        self.preview_drawn(actor, None, spec).await
    }

    /// The same by the draw of an earlier preview, its [`Preview::draw`], so that the same devices are named again; by a new one where that can't be
    /// drafted with any more.
    pub async fn preview_drawn(&self, actor: &Actor, draw: Option<&RolloutId>, spec: &RolloutSpec) -> Result<Preview> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let id = self.reserved(&mut on, &actor.org, draw).await?;
        let spec = arranged(&mut on, &actor.org, spec.clone()).await?;
        self.proposed(&mut on, &actor.org, &id, &spec).await
    }

    /// What a plan would do as the plan of this rollout, by the rollout's own draw.
    pub async fn preview_as(&self, actor: &Actor, id: &RolloutId, spec: &RolloutSpec) -> Result<Preview> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let spec = arranged(&mut on, &actor.org, spec.clone()).await?;
        self.proposed(&mut on, &actor.org, id, &spec).await
    }

    /// What a kept plan would do, as of a few seconds ago at most: pages that many look at, and read again with every change, don't each walk
    /// the fleet. The plan itself is never older than its digest.
    pub(super) async fn glimpsed(&self, on: &mut Read, record: &Record) -> Result<Arc<Preview>> {
        let (key, now) = (record.digest.clone(), Instant::now());
        if let Some((at, known)) = self.glimpses.lock().get(&key)
            && now.duration_since(*at) < GLIMPSE
        {
            return Ok(Arc::clone(known));
        }
        let preview = if record.state() == RolloutState::Draft {
            self.proposed(on, &record.org, &record.id, &record.spec).await?
        } else {
            // What was sent is read as it will run.
            Box::pin(self.previewed(on, &record.org, &record.id, (&record.spec, Selector::parse_kept))).await?
        };
        let preview = Arc::new(preview);
        let mut glimpses = self.glimpses.lock();
        glimpses.retain(|_, (at, _)| now.duration_since(*at) < GLIMPSE);
        glimpses.insert(key, (now, Arc::clone(&preview)));
        Ok(preview)
    }

    /// What a plan would do that nobody has been asked about yet, as the rollout of this id: it must not start in the past.
    pub(super) async fn proposed(&self, on: &mut Read, org: &OrgId, id: &RolloutId, spec: &RolloutSpec) -> Result<Preview> {
        let mut preview = Box::pin(self.previewed(on, org, id, (spec, Selector::parse))).await?;
        preview.problems.extend(validate::begun(spec, self.clock.now()));
        preview.problems.extend(validate::names(spec));
        Ok(preview)
    }

    /// What a plan whose selectors are read like this would do, as the rollout of this id.
    async fn previewed(&self, on: &mut Read, org: &OrgId, id: &RolloutId, (spec, reads): (&RolloutSpec, Reads)) -> Result<Preview> {
        let (now, draw) = (self.clock.now(), Some(id.clone()));
        let release = releases::for_rollout(on, org, &spec.release).await?;
        let mut problems = validate::problems_read(spec, reads, release.as_ref().map(validate::Chosen::from), now);
        let back = release_back(on, org, spec).await?;
        problems.extend(way_back::problems(spec, release.as_ref().map(known), back.as_ref().map(known), now));
        let selector = reads(&spec.selector);
        let selector_error = selector.as_ref().err().cloned();
        let (Some(release), Ok(selector)) = (release, selector) else {
            return Ok(Preview { selector_error, problems, draw, ..Preview::default() });
        };
        problems.extend(unsigned(on, org, &release).await?);
        let target = asks(&release, selector, releases::signed(on, org, &release).await?);
        let mut zones = Zones::default();
        // A stage's selector that can't be read is one of the problems.
        let Ok(lot) = Lot::of(spec) else { return Ok(Preview { selector_error, problems, draw, ..Preview::default() }) };
        let mut taken = Walk::new(&target, &lot, id, true);
        let rank = Rank { sequence: target.sequence, priority: spec.priority };
        let others = Box::pin(Contending::read(on, org, id, (&target.device_type, rank))).await?;
        let mut metrics = asked(&target, &lot);
        metrics.extend(others.metrics());
        let measured = (self.last.as_ref(), &metrics);
        let sizes = deltas::sizes(on, org, &release).await?;
        let bounds = Bounds::of(spec, &transfers::allowed_by(on, org).await?);
        // Whoever is further from their budget than that is brought to it by no download of this.
        let most = i64::try_from(sizes.most()).unwrap_or(i64::MAX);
        let spent = match bounds.budget {
            Some(budget) => transfers::spent(on, org, budget.saturating_sub(most), now).await?,
            None => HashMap::new(),
        };
        let mut load = Load::new(bounds.clone(), spent);
        let (mut fitting, mut alike, mut unheard) = (Fitting::default(), Alike::new(spec.budget.as_ref()), Unheard::new(spec));
        let own: Vec<Selector> = spec.stages.iter().filter_map(|stage| own_of(stage, reads)).collect();
        let mut misspelt = Misspelt::new(std::iter::once(&target.selector).chain(&own));
        let (mut meant, mut met) = (0, others.nobody());
        walk(on, org, (id.as_str(), rank), (now, measured), |device, facts, busy| {
            misspelt.take(facts);
            let missed = taken.take(device, facts, busy);
            meant += i64::from(missed.is_none());
            others.meet(&mut met, (device, facts), missed);
            fitting.take(&target, facts, missed);
            alike.take(facts, missed.is_none());
            if missed.is_none() {
                load.take(device, facts, sizes.of(device, &facts.version, facts.sequence));
                zones.take(facts);
                unheard.take(facts);
            }
        })
        .await?;
        let mut found = taken.finish(&spec.stages, SAMPLE);
        let weighed = load.weigh(spec, &found.who);
        let groups = if misspelt.asks_for_groups() { groups::names(on, org).await? } else { Vec::new() };
        let (sent, all) = match &self.last {
            Some(last) if misspelt.asks_for_metrics() || unheard.asks_for_metrics() => last.known(org).await?,
            _ => (Vec::new(), false),
        };
        misspelt.knows_metrics(&sent, all);
        unheard.knows_metrics(&sent, all);
        let mut warnings = damaged(on, spec).await?;
        warnings.extend(misspelt.said(&groups).into_iter().chain(unheard.said()).chain(holding::warning(spec)));
        warnings.extend(others.said(on, id, &met, target.sequence).await?);
        let frosts = freezes::not_over(on, org, now).await?;
        let times = foresee(&Timing::of(spec), &zones, &frosts, spec.start_at.unwrap_or(now).max(now));
        let devices: Vec<i64> = found.stages.iter().map(|s| s.devices).collect();
        let matched = !found.excluded.is_empty();
        // Stages that can't be cut have no sizes to complain about, but none has more than all.
        let more = if problems.iter().any(of_cuts) {
            validate::problems_of_all(spec, meant, matched)
        } else {
            validate::problems_of_draw(spec, &devices, &found.overlaps, matched)
        };
        let untold = |p: &Problem| !problems.iter().any(|told| told.field == p.field);
        let more: Vec<Problem> = more.into_iter().filter(untold).collect();
        problems.extend(more);
        for (stage, bytes) in found.stages.iter_mut().zip(&weighed.stages) {
            stage.bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
        }
        let bytes = found.stages.iter().fold(0, |sum: i64, stage| sum.saturating_add(stage.bytes));
        let put_off: HashSet<_> = weighed.put_off.iter().copied().collect();
        let late =
            (!put_off.is_empty()).then(|| Excluded { reason: bounds.used_up(), devices: i64::try_from(put_off.len()).unwrap_or(i64::MAX) });
        let put_off_until = match bounds.budget.filter(|_| !put_off.is_empty()) {
            Some(budget) => Some(transfers::all_below(on, org, &put_off, budget, now).await?),
            None => None,
        };
        let took = history::took(on, org, &target.device_type, HISTORY).await?;
        let limits = Limits { least_ms: &weighed.least_ms, tight: &alike.tightest(&found.who), ..Limits::of(spec) };
        // A number that is refused is none to reckon with.
        let paced = !problems.iter().any(of_pace);
        let expected = if found.total > 0 && paced { expect(&took, &spec.stages, &devices, limits) } else { None };
        let begins = times.as_ref().and_then(|t| t.last.or(t.first)).unwrap_or(now).max(spec.start_at.unwrap_or(now)).max(now);
        // In whichever stage they are, it ends no sooner than after them.
        let begins = begins.max(put_off_until.unwrap_or(begins));
        let expected = expected.map(|e| Expected { until: Some(begins.plus(e.whole.usual_ms)), ..e });
        Ok(Preview {
            total: found.total,
            stages: found.stages,
            excluded: found.excluded,
            selector_error,
            problems,
            bytes,
            expected,
            times,
            put_off: late.into_iter().collect(),
            put_off_until,
            reach_budget: weighed.last,
            egress: weighed.egress.filter(|_| paced),
            draw,
            silent: fitting.silent(),
            fit: Some(fitting.of(release.row.id.clone())),
            spread_over: lot.spread_over().map(str::to_owned),
            warnings,
        })
    }
}

/// What a release, its signatures and the selector of a plan that is not kept ask of a device.
pub(super) fn asks(release: &RolloutRelease, selector: Selector, signed: Signed) -> Target {
    Target {
        device_type: release.row.device_type.clone(),
        hardware: release.manifest.hardware.clone(),
        version: release.row.version.clone(),
        sequence: release.row.sequence,
        min_sequence: i64::try_from(release.manifest.min_sequence).unwrap_or(i64::MAX),
        runs: None,
        selector,
        signed: Some(signed),
    }
}

/// What is wrong with a release that its devices refuse, for its signatures.
pub(super) async fn unsigned(on: &mut Read, org: &OrgId, release: &RolloutRelease) -> Result<Option<Problem>, DbError> {
    let short = releases::short_of_signatures(on, org, release).await?;
    Ok(short.map(|why| Problem { field: "release".to_owned(), message: format!("The release has {why}.") }))
}

/// Sentences about files of its release, and of the one that it goes back to, that are damaged here: whoever is asked to sign is told.
async fn damaged(on: &mut Read, spec: &RolloutSpec) -> Result<Vec<String>, DbError> {
    let mut said = Vec::new();
    for (what, id) in [("the release", Some(&spec.release)), ("the release that it goes back to", spec.way_back.as_ref())] {
        let Some(id) = id else { continue };
        let are = match releases::damaged_in(on, id).await? {
            0 => continue,
            1 => format!("1 file of {what} is"),
            n => format!("{n} files of {what} are"),
        };
        said.push(format!("{are} damaged here and not given out: no device gets it before the same file is uploaded again."));
    }
    Ok(said)
}

/// A stage's own selector, where it can be read.
fn own_of(stage: &StageSpec, reads: Reads) -> Option<Selector> {
    match &stage.reach {
        Reach::Matching(own) => reads(own).ok(),
        Reach::Percent(_) | Reach::Count(_) => None,
    }
}

/// Whether a problem is about where stages end.
fn of_cuts(problem: &Problem) -> bool {
    problem.field == "stages" || (problem.field.starts_with("stages.") && problem.field.rsplit('.').next() == Some("reach"))
}

/// Whether it is about a number that what is expected rests on.
fn of_pace(problem: &Problem) -> bool {
    let field = problem.field.as_str();
    ["at_once", "bandwidth", "rate", "budget", "steps"].iter().any(|about| field.starts_with(about)) || field.ends_with(".soak_s")
}

/// The draw a kept plan would get now.
pub(super) async fn draw(on: &mut Read, record: &Record, last: Option<&LastValues>, now: Timestamp) -> Result<Found, DbError> {
    let target = target(on, record).await?;
    let lot = record.lot()?;
    let mut taken = Walk::new(&target, &lot, &record.id, false);
    let rank = record.rank();
    walk(on, &record.org, (record.id.as_str(), rank), (now, (last, &asked(&target, &lot))), |device, facts, busy| {
        taken.take(device, facts, busy);
    })
    .await?;
    Ok(taken.finish(&record.spec.stages, 0))
}

//! Who would be in which stage of a plan that has not begun, and who would not and why, device by device. Owns the pages of that; the draw and its
//! reasons are the survey's, and how long a list is shown again is [`super::placed`]'s.

use super::{
    Error, Rollouts,
    admission::Rank,
    arranging::arranged,
    drafting::digest_of,
    egress::Bounds,
    lot::Lot,
    placed::{Placed, Seen},
    previewing::asks,
    reading::before_draw,
    store::records::{self, Record},
    survey::{LEFT_OUT, Miss, Target, Walk},
    ticking::{asked, target, walk},
};
use crate::{
    Result,
    access::{Act, Actor, may},
    db::{Error as DbError, Read},
    devices::{DeviceNo, Facts, Selector},
    releases, transfers,
};
use std::collections::HashMap;
use tokio::time::Instant;
use wire::{
    ids::{OrgId, RolloutId},
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    rollouts::{PreviewDevice, PreviewQuery, RolloutSpec, Show, StageSpec, UpdateQuery, UpdateSort},
};

impl Rollouts {
    /// A page of the devices that a kept plan's selector matches, by device number, as the draw would have been a few seconds ago at most. An error once
    /// it has begun: its devices are listed then with how they fare.
    pub async fn preview_devices(&self, actor: &Actor, id: &RolloutId, query: &PreviewQuery) -> Result<Page<PreviewDevice>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let record = records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        if !before_draw(record.state()) {
            return Err(Error::NotNow("It has begun: its devices are listed with how they fare, under updates.".to_owned()).into());
        }
        Error::unless_stage(query.stage, record.spec.stages.len())?;
        Box::pin(self.foretold(&mut on, &record, query)).await
    }

    /// The same of a rollout that was read, and that has not begun.
    pub(super) async fn foretold(&self, on: &mut Read, record: &Record, query: &PreviewQuery) -> Result<Page<PreviewDevice>> {
        let cut = Cut::of(query)?;
        let list = if let Some(list) = self.lists.get(&record.digest) {
            list
        } else {
            let (at, target, lot) = (Instant::now(), target(on, record).await?, record.lot()?);
            let mut list = List::new(&target, &lot, &record.id);
            self.walk(on, record, |device, facts, busy| list.take(device, facts, busy)).await?;
            let late = self.late(on, &record.org, &record.spec).await?;
            self.lists.keep(record.digest.clone(), at, list.placed(&record.spec.stages, late))
        };
        Ok(page(&list, &cut)?)
    }

    /// The same of a plan that is not kept, by the draw of its preview: pages of one draw go together. An error where the plan can't be drawn.
    pub async fn preview_devices_drawn(
        &self,
        actor: &Actor,
        draw: &RolloutId,
        spec: &RolloutSpec,
        query: &PreviewQuery,
    ) -> Result<Page<PreviewDevice>> {
        may(actor, Act::Read)?;
        let cut = Cut::of(query)?;
        let mut on = self.db.read().await?;
        let spec = arranged(&mut on, &actor.org, spec.clone()).await?;
        Error::unless_stage(query.stage, spec.stages.len())?;
        let release = releases::for_rollout(&mut on, &actor.org, &spec.release).await?.ok_or(Error::NotFound("release"))?;
        let selector = Selector::parse(&spec.selector).map_err(|e| Error::invalid("selector", e.sentence()))?;
        let lot = Lot::of(&spec).map_err(|e| Error::invalid("stages", e.sentence()))?;
        // Where devices go back to draws nobody.
        let digest = digest_of(&actor.org, draw, &spec, &release, None);
        let list = if let Some(list) = self.lists.get(&digest) {
            list
        } else {
            let signed = releases::signed(&mut on, &actor.org, &release).await?;
            let (at, target) = (Instant::now(), asks(&release, selector, signed));
            let rank = Rank { sequence: target.sequence, priority: spec.priority };
            let measured = (self.last.as_ref(), &asked(&target, &lot));
            let mut list = List::new(&target, &lot, draw);
            walk(&mut on, &actor.org, (draw.as_str(), rank), (self.clock.now(), measured), |device, facts, busy| {
                list.take(device, facts, busy);
            })
            .await?;
            let late = self.late(&mut on, &actor.org, &spec).await?;
            self.lists.keep(digest, at, list.placed(&spec.stages, late))
        };
        Ok(page(&list, &cut)?)
    }

    /// The devices that would get a plan later than it is their turn.
    async fn late(&self, on: &mut Read, org: &OrgId, spec: &RolloutSpec) -> Result<Late, DbError> {
        let bounds = Bounds::of(spec, &transfers::allowed_by(on, org).await?);
        let spent = match bounds.budget {
            Some(budget) => transfers::spent(on, org, budget, self.clock.now()).await?,
            None => HashMap::new(),
        };
        Ok(Late { why: bounds.used_up(), spent })
    }
}

/// Who has used up the data budget, and that in words.
struct Late {
    why: String,
    spent: HashMap<DeviceNo, i64>,
}

/// Which of the devices that a rollout would have its page lists, where it is asked for devices like this: none once it has begun, and none where they are
/// narrowed to such as have or had an update, or searched.
pub(super) fn asked_ahead(record: &Record, query: &UpdateQuery) -> Option<PreviewQuery> {
    let all = matches!(query.show, Show::All | Show::Waiting) && query.outcome.is_none() && query.q.trim().is_empty();
    // They have one order; the cursor of another one has no place in it.
    let cursor = query.cursor.clone().filter(|_| query.sort == UpdateSort::Joined);
    (all && before_draw(record.state())).then_some(PreviewQuery { stage: query.stage, cursor, rows: query.rows })
}

/// Which part of the list a page is.
struct Cut {
    stage: Option<u32>,
    after: DeviceNo,
    rows: usize,
}

impl Cut {
    fn of(query: &PreviewQuery) -> Result<Self, Error> {
        let after = match query.cursor.as_deref() {
            None => 0,
            Some(c) => c.parse().map_err(|_| Error::not_a_cursor())?,
        };
        Ok(Self { stage: query.stage, after, rows: query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS) as usize })
    }
}

/// A fold over the fleet that keeps the name of every device that the selector matches: where they are is known when all were seen.
struct List<'a> {
    target: &'a Target,
    walk: Walk<'a>,
    pinned: HashMap<DeviceNo, String>,
    seen: Vec<Seen>,
}

impl<'a> List<'a> {
    fn new(target: &'a Target, lot: &'a Lot, rollout: &'a RolloutId) -> Self {
        Self { target, walk: Walk::new(target, lot, rollout, false), pinned: HashMap::new(), seen: Vec::new() }
    }

    fn take(&mut self, device: DeviceNo, facts: &Facts, busy: bool) {
        let missed = self.walk.take(device, facts, busy);
        if let Some(pin) = facts.pin.as_ref().filter(|_| missed == Some(Miss::Pinned)) {
            self.pinned.insert(device, pin.words());
        }
        if missed != Some(Miss::NotSelected) {
            self.seen.push(Seen { device, name: facts.device_id.clone(), missed, stage: None, late: false });
        }
    }

    fn placed(self, stages: &[StageSpec], late: Late) -> Placed {
        let found = self.walk.finish(stages, 0);
        let mut seen = self.seen;
        // The devices that the plan is for, by the turns in which they were taken.
        let taken: Vec<usize> = seen.iter().enumerate().filter(|(_, seen)| seen.missed.is_none()).map(|(at, _)| at).collect();
        for (number, who) in (1..).zip(&found.who) {
            for turn in who {
                if let Some(seen) = taken.get(*turn).and_then(|at| seen.get_mut(*at)) {
                    seen.stage = Some(number);
                    seen.late = late.spent.contains_key(&seen.device);
                }
            }
        }
        Placed { target: self.target.clone(), late: late.why, pinned: self.pinned, seen }
    }
}

fn page(list: &Placed, cut: &Cut) -> Result<Page<PreviewDevice>, DbError> {
    let wanted = |seen: &&Seen| cut.stage.is_none_or(|stage| stage == seen.stage.unwrap_or(0));
    let (mut page, mut total) = (Vec::new(), 0_i64);
    for seen in list.seen.iter().filter(wanted) {
        total += 1;
        if seen.device > cut.after && page.len() <= cut.rows {
            page.push(seen);
        }
    }
    let more = page.len() > cut.rows;
    page.truncate(cut.rows);
    let next = page.last().filter(|_| more).map(|seen| seen.device.to_string());
    let why = |seen: &Seen| match (list.pinned.get(&seen.device), seen.missed) {
        (Some(pinned), _) => pinned.clone(),
        (None, Some(miss)) => list.target.words(miss),
        (None, None) => LEFT_OUT.to_owned(),
    };
    let row = |seen: &&Seen| {
        Ok(PreviewDevice {
            device_id: seen.name.parse().map_err(DbError::corrupt)?,
            stage: seen.stage,
            reason: seen.stage.is_none().then(|| why(seen)),
            put_off: seen.late.then(|| list.late.clone()),
        })
    };
    let items = page.iter().map(row).collect::<Result<_, DbError>>()?;
    Ok(Page { items, next, total })
}

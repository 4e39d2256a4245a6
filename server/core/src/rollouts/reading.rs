//! What pages show of rollouts.

use super::{
    Error, Rollouts,
    approval_ahead::Ahead,
    approval_standing::{People, Standing},
    arranging::arranged,
    course::{Course, Stage},
    drafting::{barred_from, not_editable},
    expiring::terms,
    explain::progress,
    listing::{Listed, searched},
    placing::asked_ahead,
    quorum::rule_for,
    store::{
        back, glass, history, lists, parts,
        records::{self, Record},
        turns,
    },
    uses,
    verbs::{Around, actions},
    verdicts,
};
use crate::{
    Result,
    access::{Act, Actor, allowed, may},
    db::{Conn, Read},
    devices::{DeviceNo, Selector},
    kept::{Kept, kept_or},
    releases,
};
use std::{collections::HashMap, sync::Arc};
use wire::{
    Timestamp,
    activity::Happening,
    ids::{OrgId, ReleaseId, RolloutId},
    page::{MAX_ROWS, Page},
    rollouts::{
        Counts, Preview, RolloutDetail, RolloutLink, RolloutPage, RolloutRow, RolloutSpec, RolloutsPage, StageView, Tab, UpdateQuery,
        UpdateRow, UpdateSort, WizardPage,
    },
    states::{RolloutState, StageState},
};

/// By organization, device type and version, how many devices run it.
pub(super) type Installed = Arc<Kept<(OrgId, String, String), i64>>;

impl Rollouts {
    /// A page of so many rollouts, newest first.
    pub async fn list(&self, actor: &Actor, cursor: Option<&str>, tab: Tab, rows: u32) -> Result<RolloutsPage> {
        self.search(actor, "", cursor, tab, rows).await
    }

    /// The same of those whose name, version or device type contains this text, in either case.
    pub async fn search(&self, actor: &Actor, q: &str, cursor: Option<&str>, tab: Tab, rows: u32) -> Result<RolloutsPage> {
        may(actor, Act::Read)?;
        // Ids sort by their creation, so the last id of a page is its cursor.
        let before = match cursor {
            None => RolloutId::BEHIND.to_owned(),
            Some(c) => c.parse::<RolloutId>().map_err(|_| Error::not_a_cursor())?.into(),
        };
        let mut on = self.db.read().await?;
        let rows = rows.clamp(1, MAX_ROWS);
        let found = lists::page_in(&mut on, &actor.org, (tab, q), &before, i64::from(rows) + 1).await?;
        let total = lists::count_in(&mut on, &actor.org, (tab, q)).await?;
        let Page { items, next, total } = Page::cut(found, rows, total, |last| last.id.to_string());
        let items = self.rows(&mut on, &actor.org, &items).await?;
        Ok(RolloutsPage { rollouts: Page { items, next, total }, may_draft: allowed(actor, Act::Draft) })
    }

    /// The newest rollout of exactly this name.
    pub async fn named(&self, actor: &Actor, name: &str) -> Result<Option<RolloutRow>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let Some(record) = records::named(&mut on, &actor.org, name).await? else { return Ok(None) };
        Ok(self.rows(&mut on, &actor.org, &[record]).await?.pop())
    }

    /// Rollouts that run or wait for something, the most urgent first.
    pub(crate) async fn open_rows(&self, org: &OrgId, most: usize) -> Result<Vec<RolloutRow>> {
        let mut on = self.db.read().await?;
        let records = lists::open_records(&mut on, org, i64::try_from(most).unwrap_or(i64::MAX)).await?;
        self.rows(&mut on, org, &records).await
    }

    /// How many rollouts run, and how many wait for a decision that this caller could make.
    pub async fn nav_counts(&self, actor: &Actor) -> Result<(i64, i64)> {
        may(actor, Act::Read)?;
        let user = actor.user().map_or("", |u| u.as_str());
        let mut on = self.db.read().await?;
        let (running, waiting) = lists::nav_counts(&mut on, &actor.org, user).await?;
        Ok((running, waiting + glass::waiting_for(&mut on, &actor.org, user).await?))
    }

    /// A rollout and a page of its devices; before it has begun, of those that would be in it.
    pub async fn page(&self, actor: &Actor, id: &RolloutId, query: &UpdateQuery) -> Result<RolloutPage> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        // A stage that it does not have counts as not said: the page says so. What can't be searched or sorted is a part of the page, not an error.
        let stage = query.stage.filter(|stage| course.stage_at(*stage).is_some());
        let query = &UpdateQuery { stage, ..query.clone() };
        let (Listed { page: updates, sorts }, selector_error) = match searched(query) {
            Err(e) => (Listed { page: Page::whole(Vec::new()), sorts: false }, Some(e)),
            Ok(search) => {
                let listed = match self.listed(&mut on, (&record, &course), query, search.as_ref()).await {
                    Err(crate::Error::Rollouts(Error::TooManyToSort)) => {
                        // The page says so, and its links go on in this order; a cursor of the other one has no place in it.
                        let cursor = query.cursor.clone().filter(|cursor| cursor.parse::<DeviceNo>().is_ok());
                        let joined = UpdateQuery { sort: UpdateSort::Joined, cursor, ..query.clone() };
                        self.listed(&mut on, (&record, &course), &joined, search.as_ref()).await?
                    }
                    listed => listed?,
                };
                (listed, None)
            }
        };
        let stage = query.stage.unwrap_or(0);
        let gone = parts::gone(&mut on, &actor.org, id, stage).await?;
        let failures = parts::failures(&mut on, id, stage).await?;
        let would_be = match asked_ahead(&record, query) {
            Some(query) => Some(Box::pin(self.foretold(&mut on, &record, &query)).await?),
            None => None,
        };
        let dry_run = self.dry_run(&mut on, &record).await?;
        let rollout = self.shown(&mut on, actor, (&record, &course), dry_run.as_deref()).await?;
        drop(on);
        let rollout = self.with_installed(&actor.org, rollout).await?;
        let preview = dry_run.filter(|_| record.state() == RolloutState::WaitingForApproval).map(|found| (*found).clone());
        Ok(RolloutPage { rollout, updates, sorts, selector_error, gone, failures, preview, would_be })
    }

    /// A rollout.
    pub async fn detail(&self, actor: &Actor, id: &RolloutId) -> Result<RolloutDetail> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let dry_run = self.dry_run(&mut on, &record).await?;
        let shown = self.shown(&mut on, actor, (&record, &course), dry_run.as_deref()).await?;
        drop(on);
        self.with_installed(&actor.org, shown).await
    }

    /// A page of a rollout's devices.
    pub async fn updates(&self, actor: &Actor, id: &RolloutId, query: &UpdateQuery) -> Result<Page<UpdateRow>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        Error::unless_stage(query.stage, course.stages.len())?;
        let search = searched(query).map_err(crate::devices::Error::Selector)?;
        Ok(self.listed(&mut on, (&record, &course), query, search.as_ref()).await?.page)
    }

    /// What a rollout that is not drawn yet would do as of now; none of one that is drawn, or whose devices another one names.
    async fn dry_run(&self, on: &mut Read, record: &Record) -> Result<Option<Arc<Preview>>> {
        let ahead = before_draw(record.state()) && record.back_of.is_none();
        Ok(if ahead { Some(self.glimpsed(on, record).await?) } else { None })
    }

    /// All but how many devices run its release. What is not drawn yet has the counts of its dry run.
    async fn shown(&self, on: &mut Read, actor: &Actor, of: (&Record, &Course), dry_run: Option<&Preview>) -> Result<RolloutDetail> {
        let (record, course) = of;
        let now = self.clock.now();
        let mut release = releases::for_rollout(on, &actor.org, &record.release).await?.ok_or(Error::NotFound("release"))?;
        release.row.damaged = releases::damaged_in(on, &record.release).await?;
        let mut approvals = lists::decisions(on, &record.id).await?;
        let waits = record.state() == RolloutState::WaitingForApproval;
        let standing = if waits { Some(Standing::read(on, record, now).await?) } else { None };
        if let Some(standing) = &standing {
            standing.mark(&mut approvals);
        }
        let draft = record.state() == RolloutState::Draft && record.back_of.is_none();
        let ahead = if draft { Some(Ahead::read(on, record, None, now).await?.view()) } else { None };
        let broken = self.broken(on, actor, &record.id).await?;
        let breakable = terms(on, &actor.org).await?.breakable(now);
        let history = lists::events(on, &record.id).await?;
        let aside = turns::cancelled(on, &record.id).await?;
        let cancelled = aside.devices;
        let asks = course.current().is_some_and(|s| s.state == StageState::AwaitingPromotion) && course.is_last(course.stage);
        let changes = if before_draw(record.state()) { Some(self.changed(on, record).await?) } else { None };
        let mut stages: Vec<StageView> = (1..).zip(&course.stages).map(|(number, stage)| verdicts::of_stage(number, stage)).collect();
        let mut counts = course.totals();
        if let Some(found) = dry_run {
            for (view, preview) in stages.iter_mut().zip(&found.stages) {
                view.counts = Counts { total: preview.devices, waiting: preview.devices, ..Counts::default() };
            }
            counts = Counts { total: found.total, waiting: found.total, ..Counts::default() };
        }
        Ok(RolloutDetail {
            row: row(record, &summary(record, course.current()), counts),
            spec: record.spec.clone(),
            generation: record.generation(),
            digest: record.digest.clone(),
            release: release.row,
            stages,
            approvals,
            changes,
            way_back: self.way_back_of(on, record).await?,
            back_of: back::back_of(on, record).await?,
            verdict: verdicts::of_whole(course),
            history,
            cancelled,
            cancelled_until: aside.until(now).filter(|_| asks && record.state() == RolloutState::Running),
            actions: actions(
                actor,
                record,
                course,
                &Around { standing: standing.as_ref(), glass: broken.as_ref(), breakable, cancelled },
                now,
            ),
            standing: standing.as_ref().map(Standing::view),
            ahead,
            start_by: record.start_by.filter(|_| matches!(record.state(), RolloutState::Approved | RolloutState::Scheduled)),
            glass: broken,
            at: now,
        })
    }

    /// With how many devices run its release; where counting them takes long, as it was a while ago: an order's answer must not take longer in a large
    /// fleet. Reads by itself, so whoever calls it holds no connection.
    async fn with_installed(&self, org: &OrgId, mut rollout: RolloutDetail) -> Result<RolloutDetail> {
        let key = (org.clone(), rollout.release.device_type.clone(), rollout.release.version.clone());
        let (db, of) = (self.db.clone(), key.clone());
        let count = async move { Ok::<_, crate::Error>(releases::installed(&mut db.read().await?, &of.0, &of.1, &of.2).await?) };
        rollout.release.installed = Box::pin(kept_or((&self.installed, key, 0), (&self.db, &self.clock), || count)).await?;
        Ok(rollout)
    }

    /// Rows with their counts. Rollouts that were not drawn yet have none: a list doesn't walk the fleet.
    pub(super) async fn rows(&self, on: &mut Read, org: &OrgId, records: &[Record]) -> Result<Vec<RolloutRow>> {
        let mut sums = lists::sums(on, org, records).await?;
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let counts = sums.remove(&record.id).unwrap_or_default();
            let current = if record.state() == RolloutState::Running && record.stage() > 0 {
                record.course(records::stages(on, record).await?).current().cloned()
            } else {
                None
            };
            rows.push(row(record, &summary(record, current.as_ref()), counts));
        }
        Ok(rows)
    }

    /// What the wizard shows, but for the chosen release and what devices are filtered by, which are other rooms'. Without a plan it begins with the plan of
    /// the rollout being edited; another one is previewed by the `draw` of its preview before, where there was one. `release` is the one that is chosen, also
    /// where the rest of the plan can't be read yet.
    pub async fn wizard(
        &self,
        actor: &Actor,
        spec: Option<RolloutSpec>,
        editing: Option<&RolloutId>,
        draw: Option<&RolloutId>,
        release: Option<&ReleaseId>,
    ) -> Result<WizardPage> {
        may(actor, Act::Draft)?;
        let mut on = self.db.read().await?;
        let record = match editing {
            Some(id) => Some(records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?),
            None => None,
        };
        if let Some(why) = record.as_ref().and_then(not_editable) {
            return Err(Error::NotNow(why).into());
        }
        let mut releases = releases::published(&mut on, &actor.org).await?;
        uses::count(&mut on, &actor.org, &mut releases.iter_mut().collect::<Vec<_>>()).await?;
        let spec = spec.or_else(|| record.as_ref().map(|r| r.spec.clone()));
        let preview = match &spec {
            Some(spec) => {
                let id = match editing {
                    Some(id) => id.clone(),
                    None => self.reserved(&mut on, &actor.org, draw).await?,
                };
                let kept = arranged(&mut on, &actor.org, spec.clone()).await?;
                Some(self.proposed(&mut on, &actor.org, &id, &kept).await?)
            }
            None => None,
        };
        let metrics = match &self.last {
            Some(last) => last.names(&actor.org).await?,
            None => Vec::new(),
        };
        let now = self.clock.now();
        let chosen = release.or(spec.as_ref().map(|s| &s.release)).and_then(|id| releases.iter().find(|r| r.id == *id));
        let past = match chosen {
            Some(chosen) => Some(history::lately(&mut on, &actor.org, &chosen.device_type, now).await?),
            None => None,
        };
        let ahead = match spec.as_ref().and_then(|spec| releases.iter().find(|r| r.id == spec.release)) {
            Some(release) => {
                let rule = rule_for(&mut on, &actor.org, &release.device_type, now).await?;
                let people = People::read(&mut on, &actor.org).await?;
                Some(Ahead::of(rule, people, &barred_from(record.as_ref(), actor), now).view())
            }
            None => None,
        };
        drop(on);
        let suggestions = self.suggestions(&actor.org).await?;
        let editing = record.map(|r| (r.id.clone(), r.generation()));
        Ok(WizardPage { releases, spec, preview, metrics, past, editing, ahead, suggestions, ..WizardPage::default() })
    }

    /// Rollouts that have not ended and whose selector may ask for a group, newest first.
    pub(crate) async fn asking_for_groups(&self, on: &mut impl Conn, actor: &Actor) -> Result<Vec<(RolloutLink, Selector)>> {
        may(actor, Act::Read)?;
        let found = lists::by_group(on, &actor.org).await?;
        // What can't be parsed any more means nobody.
        Ok(found.into_iter().filter_map(|(link, q)| Some((link, Selector::parse_kept(&q).ok()?))).collect())
    }

    /// When updates were offered to a device and how they ended, before an instant, at most so many of each.
    pub(crate) async fn turns_of(&self, device: DeviceNo, before: Timestamp, most: i64) -> Result<Vec<Happening>> {
        Ok(parts::turns_of(&mut self.db.read().await?, device, before, most).await?)
    }

    /// When the last update of each of these devices ended.
    pub(crate) async fn last_ended(&self, devices: &[DeviceNo]) -> Result<HashMap<DeviceNo, Timestamp>> {
        Ok(parts::last_ended(&mut self.db.read().await?, devices).await?)
    }
}

pub(super) const fn before_draw(state: RolloutState) -> bool {
    use RolloutState as R;
    matches!(state, R::Draft | R::WaitingForApproval | R::Rejected | R::Approved | R::Scheduled)
}

pub(super) fn row(record: &Record, summary: &str, counts: Counts) -> RolloutRow {
    RolloutRow {
        id: record.id.clone(),
        name: record.spec.name.clone(),
        version: record.version.clone(),
        device_type: record.device_type.clone(),
        state: record.state(),
        summary: summary.to_owned(),
        stage: record.stage(),
        stages: u32::try_from(record.spec.stages.len()).unwrap_or(u32::MAX),
        counts,
        author: record.author_name.clone(),
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

/// One sentence: how far it is while it runs, else what happened last.
pub(super) fn summary(record: &Record, current: Option<&Stage>) -> String {
    match current.filter(|_| record.state() == RolloutState::Running) {
        Some(stage) => progress(record.stage(), record.spec.stages.len(), stage, record.spec.retry.is_some()),
        None => record.summary().to_owned(),
    }
}

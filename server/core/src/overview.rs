//! Pages that look into several rooms at once: the overview, a device's page, a release's page, and who is looking. Owns no table and no rule.

use crate::{
    Fleet, Result,
    access::{Act, Actor, allowed, may},
    devices::{Spread, Troubled, WAITED},
    releases::StillRun,
};
use std::cmp::Reverse;
use wire::{
    Timestamp,
    access::{NavCounts, Viewer},
    devices::DeviceDetail,
    ids::{DeviceId, OrgId, ReleaseId, UpdateId},
    overview::{Attention, FleetCounts, Matter, OverviewPage},
    page::Page,
    releases::{
        ByRecall, ComparisonPage, MOST_VERSIONS, ReleaseDetail, ReleaseDifference, ReleaseInstalls, ReleasePage, ReleaseRow, ReleaseUse,
        VersionInstalls,
    },
    rollouts::{RolloutRow, Why},
    roots::RootTask,
    states::{ReleaseState, Role, RolloutState, UpdateState},
    telemetry::{History, HistoryQuery},
    updates::{Attempt, AttemptsQuery, DeviceUpdate, LogLine},
};

/// Things listed under "needs attention".
const ATTENTION: usize = 8;
/// A device that was silent this long needs a look.
const SILENT_MS: i64 = 24 * 3600 * 1000;
/// An enrolment token that was tried again from elsewhere needs a look for this long.
const REUSED_MS: i64 = 24 * 3600 * 1000;
/// A certificate that ends within this time is expiring.
const EXPIRING_MS: i64 = 30 * 24 * 3600 * 1000;

impl Fleet {
    /// Who is looking, with the counts beside the navigation's links.
    pub async fn viewer(&self, actor: &Actor) -> Result<Viewer> {
        let (user, organization) = self.access().person(actor).await?;
        let (running, approvals) = self.rollouts().nav_counts(actor).await?;
        let devices = self.devices().fleet_size(&actor.org).await?;
        let role = actor.role().unwrap_or(Role::Viewer);
        let approvals = if allowed(actor, Act::Approve) { approvals } else { 0 } + self.pki().consents_waiting(actor).await?;
        let duties = self.pki().root_duties(actor).await?;
        let leaving = duties.iter().filter(|d| matches!(d.task, RootTask::Export | RootTask::Remove)).count();
        let (root_keys, root_tasks) =
            (i64::try_from(leaving).unwrap_or(i64::MAX), i64::try_from(duties.len() - leaving).unwrap_or(i64::MAX));
        let nav = NavCounts { devices, rollouts: running, approvals, root_keys, root_tasks };
        Ok(Viewer { user: user.id, name: user.name, email: user.email, role, organization, nav })
    }

    /// Counts of the whole fleet.
    pub(crate) async fn counts(&self, org: &OrgId) -> Result<FleetCounts> {
        let mut counts = self.devices().counts(org).await?;
        counts.expiring = self.pki().expiring(org, self.clock().now().plus(EXPIRING_MS)).await?;
        Ok(counts)
    }

    /// What needs a person, worst first.
    async fn attention(&self, actor: &Actor, (rollouts, recalled): (&[RolloutRow], &[StillRun]), now: Timestamp) -> Result<Vec<Attention>> {
        let org = &actor.org;
        let mut all = Vec::new();
        let mut tell = |since, matter| all.push(Attention { matter, since });
        if let Some(jump) = self.pki().clock_jump() {
            tell(now, Matter::ClockJump { jump });
        }
        if let Some(lost) = self.pki().not_signing(Some(org)) {
            tell(now, Matter::SignerLost(lost.into()));
        }
        for (authority, subject, alarm) in self.pki().alarms(org, 8).await? {
            tell(alarm.at, Matter::NeverIssued { authority, subject, sign: alarm.sign });
        }
        for (authority, name, devices, since) in self.pki().cut_off(org).await? {
            tell(since, Matter::CutOff { authority, name, devices });
        }
        if let Some((version, end, since)) = self.releases().key_set_ending(org, now.plus(wire::signing::KEY_SET_SOON_MS)).await? {
            tell(since, Matter::KeySetEnds { version, end });
        }
        for (authority, warning, since) in self.pki().unfetched_lists(org).await? {
            tell(since, Matter::ListNotFetched { authority, warning });
        }
        for due in self.pki().to_follow(org).await? {
            let (authority, name, ends) = (due.id, due.name, due.ends);
            tell(due.since, Matter::AuthorityEnds { authority, name, ends, root: due.root, staged: due.staged });
        }
        for long in self.pki().long_lists(org) {
            let (authority, name, entries) = (long.authority, long.name, i64::try_from(long.entries).unwrap_or(i64::MAX));
            tell(now, Matter::ListLong { authority, name, entries, staged: long.staged });
        }
        for g in self.rollouts().unreviewed(org).await? {
            tell(g.at, Matter::GlassBroken { rollout: g.rollout, name: g.name, by: g.by, overdue: g.overdue });
        }
        for asked in self.pki().consents_to_decide(actor).await? {
            tell(asked.asked_at, Matter::ConsentAsked { by: asked.asked_name, deed: asked.deed });
        }
        for r in rollouts {
            let (rollout, name) = (r.id.clone(), r.name.clone());
            match r.state {
                RolloutState::Halted => tell(r.updated_at, Matter::Halted { rollout, name, summary: r.summary.clone() }),
                RolloutState::WaitingForApproval => tell(r.updated_at, Matter::WaitsForApproval { rollout, name }),
                _ => {}
            }
        }
        for run in recalled {
            let (release, device_type, version, devices) = (run.id.clone(), run.device_type.clone(), run.version.clone(), run.devices);
            tell(run.since, Matter::RecalledRuns { release, device_type, version, devices });
        }
        for (device, sign, since) in self.devices().suspected(org, 8).await? {
            tell(since, Matter::PossibleClone { device, sign });
        }
        for (label, from, since) in self.devices().reused_tokens(org, now.plus(-REUSED_MS), 8).await? {
            tell(since, Matter::TokenReused { label, from });
        }
        for found in self.releases().damaged(org, ATTENTION).await? {
            let (release, device_type, version) = (found.release, found.device_type, found.version);
            tell(found.since, Matter::Damaged { release, device_type, version, file: found.name, damage: found.damage });
        }
        for release in self.releases().quarantined(org, ATTENTION).await? {
            tell(release.created_at, Matter::Quarantined { release: release.id, reason: release.quarantine });
        }
        for (device, state, since) in self.failed_updates(org).await? {
            tell(since, Matter::UpdateFailed { device, state });
        }
        for (device, since) in self.devices().silent_since(org, now.plus(-SILENT_MS), 8).await? {
            tell(since, Matter::Silent { device });
        }
        all.truncate(ATTENTION);
        Ok(all)
    }

    /// Devices whose last update did not make it, of those that were heard of last, with when it ended: the latest first.
    async fn failed_updates(&self, org: &OrgId) -> Result<Vec<(DeviceId, UpdateState, Timestamp)>> {
        let troubled = self.devices().troubled(org, 8).await?;
        let devices: Vec<_> = troubled.iter().map(|t| t.device).collect();
        let ended = self.rollouts().last_ended(&devices).await?;
        let told = |t: Troubled| {
            let since = ended.get(&t.device).copied().unwrap_or(t.last_seen);
            (t.device_id, t.state.parse().unwrap_or(UpdateState::Failed), since)
        };
        let mut failed: Vec<_> = troubled.into_iter().map(told).collect();
        failed.sort_by_key(|(_, _, since)| Reverse(*since));
        Ok(failed)
    }

    /// The fleet at a glance.
    pub async fn overview(&self, actor: &Actor) -> Result<OverviewPage> {
        may(actor, Act::Read)?;
        let org = &actor.org;
        let now = self.clock().now();
        let rollouts = self.rollouts().open_rows(org, ATTENTION).await?;
        let recalled = self.releases().still_run(org).await?;
        let attention = self.attention(actor, (&rollouts, &recalled), now).await?;
        let mut versions = self.devices().versions(org).await?;
        versions.truncate(8);
        for share in &mut versions {
            share.recalled = recalled.iter().any(|r| r.device_type == share.device_type && r.version == share.version);
        }
        let may_draft = allowed(actor, Act::Draft);
        let connected = self.devices().connected_by_hour(org, WAITED).await?;
        Ok(OverviewPage { counts: self.counts(org).await?, connected, rollouts, attention, versions, may_draft, at: now })
    }

    /// A device's history, decimated to what the query asks for.
    pub async fn history(&self, actor: &Actor, query: &HistoryQuery) -> Result<History> {
        let device = self.devices().find(actor, &query.device_id).await?;
        self.telemetry().history(actor, query, device).await
    }

    /// Why a device is, or is not, updating, rule by rule.
    pub async fn why(&self, actor: &Actor, device_id: &DeviceId) -> Result<Why> {
        let device = self.devices().find(actor, device_id).await?;
        self.rollouts().why(actor, device).await
    }

    /// A page of a device's updates, newest first.
    pub async fn updates(&self, actor: &Actor, device_id: &DeviceId, query: &AttemptsQuery) -> Result<Page<DeviceUpdate>> {
        let device = self.devices().find(actor, device_id).await?;
        self.rollouts().updates_listed(device, query).await
    }

    /// The same, with the newest of what the device said of each.
    pub async fn attempts(&self, actor: &Actor, device_id: &DeviceId, query: &AttemptsQuery) -> Result<Page<Attempt>> {
        let device = self.devices().find(actor, device_id).await?;
        self.rollouts().attempts(device, query).await
    }

    /// What a device said of one of its updates, the newest in front: all that is kept, at most [`wire::updates::MOST_LINES`].
    pub async fn update_log(&self, actor: &Actor, device_id: &DeviceId, update: &UpdateId) -> Result<Page<LogLine>> {
        let device = self.devices().find(actor, device_id).await?;
        self.rollouts().log_of(device, update).await
    }

    /// All a device's page shows.
    pub async fn device(&self, actor: &Actor, device_id: &DeviceId) -> Result<DeviceDetail> {
        let (device, mut detail) = self.devices().detail(actor, device_id).await?;
        detail.updates = self.rollouts().updates_of(device).await?;
        detail.why = self.rollouts().why(actor, device).await?;
        detail.update_reason.clone_from(&detail.why.answer);
        detail.data = self.transfers().data_use(actor, device).await?;
        detail.latest = self.telemetry().latest(&actor.org, device).await?;
        Ok(detail)
    }

    /// What a release is, what can be done with it, and the rollouts that use it.
    pub async fn release_detail(&self, actor: &Actor, id: &ReleaseId) -> Result<ReleaseDetail> {
        let release = Box::pin(self.releases().detail(actor, id)).await?;
        self.with_uses(actor, release).await
    }

    /// A release that this actor was just shown, with the rollouts that use it.
    pub async fn with_uses(&self, actor: &Actor, release: ReleaseDetail) -> Result<ReleaseDetail> {
        let rollouts = self.rollouts().uses_of(&actor.org, &release.row.id).await?;
        let mut release = ReleaseDetail { rollouts, ..release };
        if let Some(recalled) = &mut release.recalled {
            let those = |what| {
                let it = |u: &&ReleaseUse| ByRecall::of(u.state) == Some(what);
                release.rollouts.iter().filter(it).map(|u| u.id.clone()).collect()
            };
            recalled.halted = those(ByRecall::Halts);
            recalled.stopped = those(ByRecall::Stops);
            // A worker makes them drafts, at any moment after the recall.
            recalled.voided = self.rollouts().voided_by_recall(&actor.org, &release.row.id).await?;
        }
        self.rollouts().count_uses(&actor.org, &mut [&mut release.row]).await?;
        Ok(release)
    }

    /// A page of releases that this actor was just shown, with how many rollouts use each.
    pub async fn with_use_counts(&self, actor: &Actor, mut page: Page<ReleaseRow>) -> Result<Page<ReleaseRow>> {
        self.rollouts().count_uses(&actor.org, &mut page.items.iter_mut().collect::<Vec<_>>()).await?;
        Ok(page)
    }

    /// What differs between `before` and `after`. They may be for different device types.
    pub async fn release_difference(&self, actor: &Actor, before: &ReleaseId, after: &ReleaseId) -> Result<ReleaseDifference> {
        let mut found = self.releases().difference(actor, before, after).await?;
        self.rollouts().count_uses(&actor.org, &mut [&mut found.before, &mut found.after]).await?;
        Ok(found)
    }

    /// All the page of a comparison shows; where only one release is chosen the room chooses the other.
    pub async fn release_comparison(&self, actor: &Actor, before: Option<&ReleaseId>, after: Option<&ReleaseId>) -> Result<ComparisonPage> {
        let mut page = self.releases().comparison(actor, before, after).await?;
        if let Some(found) = &mut page.difference {
            self.rollouts().count_uses(&actor.org, &mut [&mut found.before, &mut found.after]).await?;
        }
        Ok(page)
    }

    /// All a release's page shows.
    pub async fn release(&self, actor: &Actor, id: &ReleaseId) -> Result<ReleasePage> {
        let release = self.release_detail(actor, id).await?;
        let given = release.row.state != ReleaseState::Draft;
        let installs = if given { Some(self.installs(&actor.org, &release.row).await?) } else { None };
        Ok(ReleasePage { release, installs })
    }

    /// Where a release is among the devices of its type; nowhere while it is a draft.
    pub async fn release_installs(&self, actor: &Actor, id: &ReleaseId) -> Result<ReleaseInstalls> {
        let row = self.releases().row(actor, id).await?;
        if row.state == ReleaseState::Draft { Ok(ReleaseInstalls::default()) } else { self.installs(&actor.org, &row).await }
    }

    async fn installs(&self, org: &OrgId, row: &ReleaseRow) -> Result<ReleaseInstalls> {
        let spread = self.devices().spread(org, &row.device_type).await?;
        // What was recalled nobody may install any more.
        let assigned = if row.state == ReleaseState::Recalled { 0 } else { self.rollouts().assigned(org, &row.id).await? };
        let releases = self.releases().of_type(org, &row.device_type).await?;
        Ok(told(row, spread, assigned, &releases))
    }
}

/// Where a release is, told of its type's versions; its own is among them also where many others have more devices.
fn told(row: &ReleaseRow, spread: Spread, assigned: i64, releases: &[(String, ReleaseId)]) -> ReleaseInstalls {
    let Spread { devices, mut versions } = spread;
    let own = versions.iter().position(|(version, _)| *version == row.version).map(|at| versions.remove(at));
    // What is so rare that it was not kept was counted with the row.
    let running = own.map_or(row.installed, |(_, devices)| devices);
    versions.truncate(MOST_VERSIONS - usize::from(running > 0));
    if running > 0 {
        let place = versions.iter().take_while(|(_, devices)| *devices >= running).count();
        versions.insert(place, (row.version.clone(), running));
    }
    let named: i64 = versions.iter().map(|(_, devices)| devices).sum();
    let of = |version: &str| releases.iter().find(|(known, _)| known == version).map(|(_, id)| id.clone());
    let versions = versions.into_iter().map(|(version, devices)| VersionInstalls { release: of(&version), version, devices }).collect();
    ReleaseInstalls { devices: devices.max(named), running, assigned, versions, others: (devices - named).max(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> ReleaseId {
        format!("rel_{n:032x}").parse().unwrap()
    }

    fn row(version: &str, installed: i64) -> ReleaseRow {
        ReleaseRow {
            id: id(1),
            device_type: "gateway".into(),
            version: version.into(),
            sequence: 1,
            state: ReleaseState::Published,
            quarantine: String::new(),
            size: 1,
            signed_by: Vec::new(),
            created_at: Timestamp(0),
            created_by: String::new(),
            installed,
            rollouts: 0,
            damaged: 0,
        }
    }

    /// Version `n` runs on `n` devices, the most first.
    fn spread(most: i64) -> Spread {
        let versions: Vec<_> = (1..=most).rev().map(|n| (n.to_string(), n)).collect();
        Spread { devices: versions.iter().map(|(_, n)| n).sum(), versions }
    }

    #[test]
    fn a_release_is_told_among_the_versions_of_its_type_however_rare_it_is() {
        let places = |told: &ReleaseInstalls| told.versions.iter().map(|v| v.devices).collect::<Vec<_>>();
        let few = told(&row("2", 0), spread(3), 7, &[("2".into(), id(2)), ("9".into(), id(9))]);
        assert_eq!((few.devices, few.running, few.assigned, few.others), (6, 2, 7, 0));
        assert_eq!((places(&few), few.versions[1].release.clone()), (vec![3, 2, 1], Some(id(2))));
        let none = told(&row("9", 0), spread(3), 0, &[]);
        assert_eq!((none.running, places(&none)), (0, vec![3, 2, 1]));

        let rare = told(&row("2", 0), spread(20), 0, &[]);
        assert_eq!((rare.versions.len(), rare.running, rare.versions[MOST_VERSIONS - 1].version.as_str()), (MOST_VERSIONS, 2, "2"));
        assert_eq!(rare.others, rare.devices - places(&rare).iter().sum::<i64>());
        // It is so rare that only the row knows.
        let rarest = told(&row("x", 1), spread(20), 0, &[]);
        assert_eq!((rarest.running, rarest.versions[MOST_VERSIONS - 1].version.as_str()), (1, "x"));
        let nobody = told(&row("1", 0), Spread::default(), 0, &[]);
        assert_eq!((nobody.devices, nobody.versions.len(), nobody.others), (0, 0, 0));
    }
}

//! Pages that look into several rooms at once: the overview, a device's page, and who is looking. Owns no table and no rule.

use crate::{
    Fleet, Result,
    access::{Act, Actor, allowed, may},
};
use wire::{
    access::{NavCounts, Viewer},
    devices::DeviceDetail,
    ids::DeviceId,
    overview::{Attention, AttentionKind, FleetCounts, OverviewPage},
    rollouts::Why,
    roots::RootTask,
    states::{Role, RolloutState, UpdateState},
    telemetry::{History, HistoryQuery},
};

/// Things listed under "needs attention".
const ATTENTION: usize = 8;
/// A device that was silent this long needs a look.
const SILENT_MS: i64 = 24 * 3600 * 1000;
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
        let duties = self.pki().root_duties(actor)?;
        let leaving = duties.iter().filter(|d| matches!(d.task, RootTask::Export | RootTask::Remove)).count();
        let (root_keys, root_tasks) =
            (i64::try_from(leaving).unwrap_or(i64::MAX), i64::try_from(duties.len() - leaving).unwrap_or(i64::MAX));
        let nav = NavCounts { devices, rollouts: running, approvals, root_keys, root_tasks };
        Ok(Viewer { user: user.id, name: user.name, email: user.email, role, organization, nav })
    }

    /// Counts of the whole fleet.
    pub(crate) async fn counts(&self, org: &wire::ids::OrgId) -> Result<FleetCounts> {
        let mut counts = self.devices().counts(org).await?;
        counts.expiring = self.pki().expiring(org, self.clock().now().plus(EXPIRING_MS)).await?;
        Ok(counts)
    }

    /// That the key set which devices follow ends soon, or has ended.
    async fn key_set_ends(&self, org: &wire::ids::OrgId, now: wire::Timestamp) -> Result<Option<Attention>> {
        let ending = self.releases().key_set_ending(org, now.plus(wire::signing::KEY_SET_SOON_MS)).await?;
        Ok(ending.map(|(version, end, since)| {
            let when = if end <= now { "has ended" } else { "ends" };
            let at = end.readable();
            let text = format!(
                "Key set {version} {when} on {at}: devices install nothing by it after that. Publish the next one, signed by its keys"
            );
            let href = "/firmware#signing".to_owned();
            Attention { kind: AttentionKind::KeySetEnds, text, href, since, device: None, rollout: None }
        }))
    }

    /// That an authority has to be followed by another one.
    async fn authorities_end(&self, org: &wire::ids::OrgId) -> Result<Vec<Attention>> {
        let due = self.pki().to_follow(org).await?.into_iter().map(|due| {
            let next = if due.staged { "The next one is staged: activate it" } else { "Stage the next one and activate it" };
            let (name, ends) = (due.name, due.ends.readable());
            let text = format!("{name} ends on {ends}: less than twice the longest life of its certificates is left. {next}");
            let href = format!("/certificates/authorities/{}", due.id);
            Attention { kind: AttentionKind::AuthorityEnds, text, href, since: due.since, device: None, rollout: None }
        });
        Ok(due.collect())
    }

    /// The fleet at a glance.
    pub async fn overview(&self, actor: &Actor) -> Result<OverviewPage> {
        may(actor, Act::Read)?;
        let org = &actor.org;
        let now = self.clock().now();
        let rollouts = self.rollouts().open_rows(org, ATTENTION).await?;
        let mut attention = Vec::new();
        if let Some(jump) = self.pki().clock_jump() {
            attention.push(Attention {
                kind: AttentionKind::ClockJump,
                text: format!(
                    "The server's clock has jumped by {jump}: nothing is issued until it is right, or an admin accepts the new time"
                ),
                href: "/certificates".to_owned(),
                since: now,
                device: None,
                rollout: None,
            });
        }
        for (id, subject, alarm) in self.pki().alarms(org, 8).await? {
            attention.push(Attention {
                kind: AttentionKind::NeverIssued,
                text: format!("The key of {subject} may be in other hands, or the database was set back. {}", alarm.sign),
                href: format!("/certificates/authorities/{id}"),
                since: alarm.at,
                device: None,
                rollout: None,
            });
        }
        attention.extend(self.key_set_ends(org, now).await?);
        for (authority, text, since) in self.pki().unfetched_lists(org).await? {
            let href = wire::registered::page(&authority);
            attention.push(Attention { kind: AttentionKind::ListNotFetched, text, href, since, device: None, rollout: None });
        }
        attention.extend(self.authorities_end(org).await?);
        for g in self.rollouts().unreviewed(org).await? {
            let late = if g.overdue { ", and the time to review that is over" } else { ": two people review that" };
            attention.push(Attention {
                kind: AttentionKind::GlassBroken,
                text: format!("{} was started by {} without approval{late}", g.name, g.by),
                href: "/approvals".to_owned(),
                since: g.at,
                device: None,
                rollout: Some(g.rollout),
            });
        }
        for asked in self.pki().consents_to_decide(actor).await? {
            attention.push(Attention {
                kind: AttentionKind::Approval,
                text: format!("{} asks for a second person: {}", asked.asked_name, asked.deed.words()),
                href: "/certificates/authorities/requests".to_owned(),
                since: asked.asked_at,
                device: None,
                rollout: None,
            });
        }
        for r in &rollouts {
            let kind = match r.state {
                RolloutState::Halted => AttentionKind::Halted,
                RolloutState::WaitingForApproval => AttentionKind::Approval,
                _ => continue,
            };
            let text = match kind {
                AttentionKind::Halted => format!("{} was halted: {}", r.name, r.summary),
                _ => format!("{} waits for approval", r.name),
            };
            let href = format!("/rollouts/{}", r.id);
            attention.push(Attention { kind, text, href, since: r.updated_at, device: None, rollout: Some(r.id.clone()) });
        }
        for (device, sign, since) in self.devices().suspected(org, 8).await? {
            attention.push(Attention {
                kind: AttentionKind::PossibleClone,
                text: format!("Somebody else may hold the key of {device}. {sign}"),
                href: format!("/devices/{device}"),
                since,
                device: Some(device),
                rollout: None,
            });
        }
        for file in self.releases().damaged(org, ATTENTION).await? {
            attention.push(Attention {
                kind: AttentionKind::Damaged,
                text: format!("{} of {} {} is {} in the store; upload it again", file.name, file.device_type, file.version, file.damage),
                href: format!("/firmware/{}", file.release),
                since: file.since,
                device: None,
                rollout: None,
            });
        }
        for release in self.releases().quarantined(org, ATTENTION).await? {
            attention.push(Attention {
                kind: AttentionKind::Quarantined,
                text: format!("An upload is quarantined: {}", release.quarantine),
                href: format!("/firmware/{}", release.id),
                since: release.created_at,
                device: None,
                rollout: None,
            });
        }
        for (device, state, since) in self.devices().troubled(org, 8).await? {
            let what = match state.parse() {
                Ok(UpdateState::Reverted) => "went back to its old firmware",
                Ok(UpdateState::TimedOut) => "fell silent during its update",
                Ok(UpdateState::Rejected) => "refused its update",
                _ => "could not install its update",
            };
            attention.push(Attention {
                kind: AttentionKind::UpdateFailed,
                text: format!("{device} {what}"),
                href: format!("/devices/{device}/firmware"),
                since,
                device: Some(device),
                rollout: None,
            });
        }
        for (device, since) in self.devices().silent_since(org, now.plus(-SILENT_MS), 8).await? {
            attention.push(Attention {
                kind: AttentionKind::Offline,
                text: format!("{device} has been silent for {}", wire::time::duration(now.since(since))),
                href: format!("/devices/{device}"),
                since,
                device: Some(device),
                rollout: None,
            });
        }
        attention.truncate(ATTENTION);
        let mut versions = self.devices().versions(org).await?;
        versions.truncate(8);
        let may_draft = allowed(actor, Act::Draft);
        Ok(OverviewPage { counts: self.counts(org).await?, rollouts, attention, versions, may_draft, at: now })
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
}

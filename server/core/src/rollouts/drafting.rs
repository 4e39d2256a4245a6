//! Plans before they are decided on: drafting, editing, asking for approval.

use super::{
    Error, Rollouts,
    approval_ahead::Ahead,
    arranging::arranged,
    control::over,
    deciding::{Turn, held, people},
    digest,
    expiring::terms,
    going_back::known,
    previewing,
    state::{ROLLOUT, legal},
    store::{
        lists,
        plans::{self, NewRollout},
        quorum as asking,
        records::{self, Record},
    },
    validate, way_back,
};
use crate::{
    Result,
    access::{self, Act, Actor, Who, audit, may},
    bus::Event,
    db::Conn,
    releases::{self, RolloutRelease},
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{Digest, OrgId, RolloutId, UserId},
    rollouts::{Problem, RolloutSpec},
    states::RolloutState,
};

/// Which rollout has to be the newest of its name when another one is drafted.
pub(super) enum Newest<'a> {
    /// Whichever.
    Any,
    /// There is none.
    Missing,
    /// This one.
    Is(&'a RolloutId),
}

impl Rollouts {
    /// A new draft. It must be a plan that could run; how many devices it reaches is checked when it is submitted.
    pub async fn draft(&self, actor: &Actor, spec: RolloutSpec) -> Result<RolloutId> {
        self.draft_drawn(actor, None, spec).await
    }

    /// The same by the draw of its preview, its [`wire::rollouts::Preview::draw`]: the same devices are in the same stages. An error when it is too
    /// old, another rollout has it, or no preview of this organization has made it.
    pub async fn draft_drawn(&self, actor: &Actor, draw: Option<RolloutId>, spec: RolloutSpec) -> Result<RolloutId> {
        may(actor, Act::Draft)?;
        match Box::pin(self.draft_while(actor, (draw, spec), Newest::Any)).await? {
            Some(id) => Ok(id),
            None => Err(Error::Stale.into()),
        }
    }

    /// The same, and none when the newest rollout of this name is not the one that is expected.
    pub(super) async fn draft_while(
        &self,
        actor: &Actor,
        (draw, spec): (Option<RolloutId>, RolloutSpec),
        expected: Newest<'_>,
    ) -> Result<Option<RolloutId>> {
        let now = self.clock.now();
        let drawn = draw.is_some();
        let id: RolloutId = draw.unwrap_or_else(|| self.entropy.id(now));
        let mut on = self.db.read().await?;
        let spec = arranged(&mut on, &actor.org, spec).await?;
        let (release, back) = checked(&mut on, &actor.org, &spec, now).await?;
        drop(on);
        let digest = digest_of(&actor.org, &id, &spec, &release, back.as_ref());
        let mut tx = self.db.write().await?;
        let expected = match expected {
            Newest::Any => None,
            Newest::Missing => Some(None),
            Newest::Is(id) => Some(Some(id)),
        };
        // Of two who draft this name at once the second sees what the first has drafted, and a release that is being removed is gone or stays.
        audit::hold(&mut tx, &actor.org).await?;
        if drawn && !self.free(&mut tx, &actor.org, &id, now).await? {
            let used = records::record(&mut tx, &actor.org, &id).await?;
            return Err(used.map_or(Error::DrawGone, |by| Error::DrawUsed { id: by.id, name: by.spec.name }).into());
        }
        if let Some(expected) = expected {
            let newest = records::named(&mut tx, &actor.org, &spec.name).await?;
            if newest.as_ref().map(|r| &r.id) != expected {
                return Ok(None);
            }
        }
        let author = author_name(&mut tx, actor).await?;
        plans::insert(&mut tx, &actor.org, &id, &written(actor, &author, &spec, &release, &digest), now).await?;
        plans::keep_writers(&mut tx, &id, &with(&[], actor)).await?;
        lists::add_event(&mut tx, &actor.org, &id, &format!("Drafted by {}", actor.label()), &actor.label(), "off", now).await?;
        let detail = json!({ "rollout": spec.name, "reason": spec.reason, "digest": digest });
        audit::append(&mut tx, actor, now, "rollout.draft", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: actor.org.clone(), id: id.clone() });
        Ok(Some(id))
    }

    /// Another plan for a rollout that has not begun. Whoever edits is its author then, and those who wrote before them go on to
    /// count as its writers until people have approved what they wrote; what was decided on the old plan is void.
    pub async fn edit(&self, actor: &Actor, id: &RolloutId, generation: i64, spec: RolloutSpec) -> Result<()> {
        may(actor, Act::Draft)?;
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let record = records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        if let Some(why) = not_editable(&record) {
            return Err(Error::NotNow(why).into());
        }
        let spec = arranged(&mut on, &actor.org, spec).await?;
        let (release, back) = checked(&mut on, &actor.org, &spec, now).await?;
        drop(on);
        let digest = digest_of(&actor.org, id, &spec, &release, back.as_ref());
        let mut tx = self.db.write().await?;
        let (before, _) = held(&mut tx, &actor.org, id, Some(generation)).await?;
        let author = author_name(&mut tx, actor).await?;
        if !plans::edit(&mut tx, &actor.org, id, generation, &written(actor, &author, &spec, &release, &digest), now).await? {
            return Err(Error::Stale.into());
        }
        plans::keep_writers(&mut tx, id, &with(unapproved(&before), actor)).await?;
        asking::void(&mut tx, id).await?;
        let text = match record.state() {
            RolloutState::Draft => format!("Edited by {}", actor.label()),
            _ => format!("Edited by {}: what was decided before is void", actor.label()),
        };
        lists::add_event(&mut tx, &actor.org, id, &text, &actor.label(), "off", now).await?;
        let detail = json!({ "rollout": spec.name, "reason": spec.reason, "digest": digest, "before": record.digest });
        audit::append(&mut tx, actor, now, "rollout.edit", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: actor.org.clone(), id: id.clone() });
        Ok(())
    }

    /// Asks for approval, by the rule that is in force now. Every stage must reach somebody by now, and the people there are must be able to fulfil the
    /// rule without those who wrote the plan and whoever sends it.
    pub async fn submit(&self, actor: &Actor, id: &RolloutId) -> Result<()> {
        may(actor, Act::Draft)?;
        let now = self.clock.now();
        let record = self.sendable(actor, id).await?;
        let mut tx = self.db.write().await?;
        let (record, course) = held(&mut tx, &actor.org, id, Some(record.generation())).await?;
        let Ahead { rule, asked, electors, short, .. } = Ahead::read(&mut tx, &record, actor.user(), now).await?;
        if let Some(why) = short {
            return Err(Error::NotNow(why).into());
        }
        let by = if rule.from.is_empty() { String::new() } else { format!(": {}", asked.words()) };
        let barred = record.barred(actor.user());
        let than = if barred.len() > 1 { "those who wrote or sent it" } else { record.author_name.as_str() };
        let turn = Turn {
            action: "rollout.submit",
            through: &[RolloutState::WaitingForApproval],
            summary: format!("Waits for {} than {than} to approve it{by}", people(rule.needed)),
            text: format!("Sent for approval by {}", actor.label()),
            tone: "hold",
            detail: json!({ "approvals_needed": rule.needed, "rule": asked }),
        };
        self.turn(&mut tx, actor, &record, &course, turn).await?;
        let decide_by = terms(&mut tx, &actor.org).await?.decide_by(now);
        let rule_kept = plans::json(&asked)?;
        let (by, by_name) = (actor.user(), actor.label());
        let sent = asking::Asked { needed: rule.needed, rule: &rule_kept, electors: &electors, decide_by, at: now, by, by_name: &by_name };
        asking::ask(&mut tx, &actor.org, id, &sent).await?;
        plans::keep_writers(&mut tx, id, &barred).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: actor.org.clone(), id: id.clone() });
        Ok(())
    }

    /// A draft that could go out: its plan has no problems, every stage reaches somebody by now, and its approval would not expire before its start.
    pub(super) async fn sendable(&self, actor: &Actor, id: &RolloutId) -> Result<Record> {
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let record = records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        if record.state() != RolloutState::Draft {
            return Err(Error::NotNow("Only a draft can be sent for approval.".to_owned()).into());
        }
        let (release, _) = checked(&mut on, &actor.org, &record.spec, now).await?;
        let found = previewing::draw(&mut on, &record, self.last.as_ref(), now).await?;
        let devices: Vec<i64> = found.stages.iter().map(|s| s.devices).collect();
        let mut problems = validate::problems_of_draw(&record.spec, &devices, &found.overlaps, !found.excluded.is_empty());
        problems.extend(previewing::unsigned(&mut on, &actor.org, &release).await?);
        let terms = terms(&mut on, &actor.org).await?;
        if let (Some(at), Some(until)) = (record.spec.start_at, terms.start_by(now))
            && at >= until
        {
            let days = terms.start_days;
            let message = format!("An approval holds for {days} days here, and it begins later. Send it for approval nearer to its start.");
            problems.push(Problem { field: "start_at".to_owned(), message });
        }
        if problems.is_empty() { Ok(record) } else { Err(Error::Problems(problems).into()) }
    }
}

/// Those whose writing nobody has approved yet. A start without approvals frees nobody.
fn unapproved(record: &Record) -> &[UserId] {
    let approved = matches!(record.state(), RolloutState::Approved | RolloutState::Scheduled) && record.glass.is_none();
    if approved { &[] } else { &record.writers }
}

/// These writers, and whoever acts, if a person.
fn with(writers: &[UserId], actor: &Actor) -> Vec<UserId> {
    let own = actor.user().filter(|user| !writers.contains(user));
    writers.iter().chain(own).cloned().collect()
}

/// Those who can't approve a plan that this actor saves and sends now: as another plan of this rollout, or as a new one.
pub(super) fn barred_from(record: Option<&Record>, actor: &Actor) -> Vec<UserId> {
    with(record.map(unapproved).unwrap_or_default(), actor)
}

/// Why a rollout can't be edited any more.
pub(super) fn not_editable(record: &Record) -> Option<String> {
    let state = record.state();
    if record.back_of.is_some() {
        return Some("It is the way back of another rollout and follows from its plan. Stop it, and draft one of your own.".to_owned());
    }
    match state {
        RolloutState::Stopping | RolloutState::Stopped | RolloutState::Completed | RolloutState::RolledBack => {
            Some(format!("{} Draft a new one.", over(state, record.stage())))
        }
        _ => (state != RolloutState::Draft && !legal(ROLLOUT, state, RolloutState::Draft))
            .then(|| "It has begun. Stop it, and draft a new one.".to_owned()),
    }
}

/// The release of a plan that has no problems by itself and does not start in the past, and the one it goes back to.
pub(super) async fn checked(
    on: &mut impl Conn,
    org: &OrgId,
    spec: &RolloutSpec,
    now: Timestamp,
) -> Result<(RolloutRelease, Option<RolloutRelease>)> {
    let release = releases::for_rollout(on, org, &spec.release).await?;
    let back = release_back(on, org, spec).await?;
    let mut problems = validate::problems(spec, release.as_ref().map(validate::Chosen::from), now);
    problems.extend(validate::begun(spec, now));
    problems.extend(validate::names(spec));
    problems.extend(way_back::problems(spec, release.as_ref().map(known), back.as_ref().map(known), now));
    match release {
        Some(release) if problems.is_empty() => Ok((release, back)),
        _ => Err(Error::Problems(problems).into()),
    }
}

/// The release that a plan goes back to; none where it has no way back, or no such release.
pub(super) async fn release_back(on: &mut impl Conn, org: &OrgId, spec: &RolloutSpec) -> Result<Option<RolloutRelease>> {
    match &spec.way_back {
        None => Ok(None),
        Some(id) => Ok(releases::for_rollout(on, org, id).await?),
    }
}

/// What an approval of this plan would bind.
pub(super) fn digest_of(
    org: &OrgId,
    id: &RolloutId,
    spec: &RolloutSpec,
    release: &RolloutRelease,
    back: Option<&RolloutRelease>,
) -> Digest {
    let payloads: Vec<Digest> = release.manifest.payloads.iter().map(|p| p.sha256.clone()).collect();
    digest::of(org, id, spec, &release.digest, &payloads, back.map(|b| &b.digest))
}

fn written<'a>(
    actor: &'a Actor,
    author_name: &'a str,
    spec: &'a RolloutSpec,
    release: &'a RolloutRelease,
    digest: &'a Digest,
) -> NewRollout<'a> {
    NewRollout {
        spec,
        device_type: &release.row.device_type,
        hardware: &release.manifest.hardware,
        version: &release.row.version,
        sequence: release.row.sequence,
        min_sequence: i64::try_from(release.manifest.min_sequence).unwrap_or(i64::MAX),
        digest,
        author: actor.user().map_or("", |u| u.as_str()),
        author_name,
    }
}

/// The name of the person who counts as the author. A token's work is its maker's: it is they who can't approve it.
async fn author_name(on: &mut impl Conn, actor: &Actor) -> Result<String> {
    match &actor.who {
        Who::Session { name, .. } => Ok(name.clone()),
        Who::Token { user, .. } => Ok(access::name_of(on, &actor.org, user).await?),
        Who::Device { .. } | Who::System | Who::Shell => Ok(actor.label()),
    }
}

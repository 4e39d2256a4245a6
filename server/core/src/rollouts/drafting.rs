//! Plans before they are decided on: drafting, editing, asking for approval.

use super::{
    Error, Rollouts,
    arranging::arranged,
    deciding::{Beside, Turn, people},
    digest,
    going_back::known,
    previewing, quorum,
    state::{ROLLOUT, legal},
    store::{
        lists,
        plans::{self, NewRollout},
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
    ids::{Digest, OrgId, RolloutId},
    rollouts::RolloutSpec,
    states::RolloutState,
};

impl Rollouts {
    /// A new draft. It must be a plan that could run; how many devices it reaches is checked when it is submitted.
    pub async fn draft(&self, actor: &Actor, spec: RolloutSpec) -> Result<RolloutId> {
        may(actor, Act::Draft)?;
        let now = self.clock.now();
        let id: RolloutId = self.entropy.id(now);
        let mut on = self.db.read().await?;
        let spec = arranged(&mut on, &actor.org, spec).await?;
        let (release, back) = checked(&mut on, &actor.org, &spec, now).await?;
        drop(on);
        let digest = digest_of(&actor.org, &id, &spec, &release, back.as_ref());
        let mut tx = self.db.write().await?;
        let author = author_name(&mut tx, actor).await?;
        plans::insert(&mut tx, &actor.org, &id, &written(actor, &author, &spec, &release, &digest), now).await?;
        lists::add_event(&mut tx, &actor.org, &id, &format!("Drafted by {}", actor.label()), &actor.label(), "off", now).await?;
        let detail = json!({ "rollout": spec.name, "digest": digest });
        audit::append(&mut tx, actor, now, "rollout.draft", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: actor.org.clone(), id: id.clone() });
        Ok(id)
    }

    /// Another plan for a rollout that has not begun. Whoever edits is its author then; what was decided on the old plan is void.
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
        let author = author_name(&mut tx, actor).await?;
        if !plans::edit(&mut tx, &actor.org, id, generation, &written(actor, &author, &spec, &release, &digest), now).await? {
            return Err(Error::Stale.into());
        }
        lists::void_decisions(&mut tx, id).await?;
        let text = match record.state() {
            RolloutState::Draft => format!("Edited by {}", actor.label()),
            _ => format!("Edited by {}: what was decided before is void", actor.label()),
        };
        lists::add_event(&mut tx, &actor.org, id, &text, &actor.label(), "off", now).await?;
        let detail = json!({ "rollout": spec.name, "digest": digest, "before": record.digest });
        audit::append(&mut tx, actor, now, "rollout.edit", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Rollout { org: actor.org.clone(), id: id.clone() });
        Ok(())
    }

    /// Asks for approval. Every stage must reach somebody by now.
    pub async fn submit(&self, actor: &Actor, id: &RolloutId) -> Result<()> {
        may(actor, Act::Draft)?;
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let (record, course) = records::course(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        if record.state() != RolloutState::Draft {
            return Err(Error::NotNow("Only a draft can be sent for approval.".to_owned()).into());
        }
        checked(&mut on, &actor.org, &record.spec, now).await?;
        let found = previewing::draw(&mut on, &record, self.last.as_ref(), self.clock.now()).await?;
        let devices: Vec<i64> = found.stages.iter().map(|s| s.devices).collect();
        let problems = validate::problems_of_draw(&record.spec, &devices, &found.overlaps);
        if !problems.is_empty() {
            return Err(Error::Problems(problems).into());
        }
        let needed = quorum::of(&mut on, &actor.org, now).await?.needed;
        let others = access::admins_beside(&mut on, &actor.org, &record.author).await?;
        drop(on);
        if needed > 1 && others < i64::from(needed) {
            let why = format!(
                "It needs the approval of {}, and beside its author there are {others} admins. Add an admin first.",
                people(needed)
            );
            return Err(Error::NotNow(why).into());
        }
        let turn = Turn {
            action: "rollout.submit",
            to: Some(RolloutState::WaitingForApproval),
            summary: format!("Waits for {} than {} to approve it", people(needed), record.author_name),
            text: format!("Sent for approval by {}", actor.label()),
            tone: "hold",
        };
        self.decide(actor, &record, &course, turn, Beside::Needs(needed)).await
    }
}

/// Why a rollout can't be edited any more.
pub(super) fn not_editable(record: &Record) -> Option<String> {
    let state = record.state();
    if record.back_of.is_some() {
        return Some("It is the way back of another rollout and follows from its plan. Stop it, and draft one of your own.".to_owned());
    }
    (state != RolloutState::Draft && !legal(ROLLOUT, state, RolloutState::Draft))
        .then(|| "It has begun. Stop it, and draft a new one.".to_owned())
}

/// The release of a plan that has no problems by itself, and the one it goes back to.
async fn checked(on: &mut impl Conn, org: &OrgId, spec: &RolloutSpec, now: Timestamp) -> Result<(RolloutRelease, Option<RolloutRelease>)> {
    let release = releases::for_rollout(on, org, &spec.release).await?;
    let back = release_back(on, org, spec).await?;
    let mut problems = validate::problems(spec, release.as_ref().map(validate::Chosen::from), now);
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

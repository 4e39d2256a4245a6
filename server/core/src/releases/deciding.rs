//! Moving releases through their life: publish, deprecate, recall.

use super::{
    Error, Releases, acceptance, deltas,
    state::{self, Step},
    store,
};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    bus::Event,
    db::Tx,
};
use serde_json::json;
use wire::{
    ids::ReleaseId,
    releases::{ReleaseRow, ReleaseVerb},
    states::ReleaseState,
};

impl Releases {
    /// Lets rollouts use a release. Its signature, files and sequence are checked once more: a key may have been revoked and a newer release
    /// published since it was uploaded.
    pub async fn publish(&self, actor: &Actor, id: &ReleaseId) -> Result<()> {
        may(actor, Act::Publish)?;
        self.advance(actor, id, Step::Publish, "").await
    }

    /// Does this to a release; `reason` is of use where it is recalled.
    pub async fn act(&self, actor: &Actor, id: &ReleaseId, verb: ReleaseVerb, reason: &str) -> Result<()> {
        match verb {
            ReleaseVerb::Publish => self.publish(actor, id).await,
            ReleaseVerb::Deprecate => self.deprecate(actor, id).await,
            ReleaseVerb::Recall => self.recall(actor, id, reason).await,
            ReleaseVerb::Recheck => self.recheck(actor, id).await.map(drop),
            ReleaseVerb::Remove => self.remove(actor, id).await,
        }
    }

    /// Takes a release off the list for new rollouts; running ones go on.
    pub async fn deprecate(&self, actor: &Actor, id: &ReleaseId) -> Result<()> {
        may(actor, Act::Publish)?;
        self.advance(actor, id, Step::Deprecate, "").await
    }

    /// Withdraws a release: nobody installs it any more, rollouts that use it halt. `reason` is kept, for
    /// its page and the audit log, and may be empty.
    pub async fn recall(&self, actor: &Actor, id: &ReleaseId, reason: &str) -> Result<()> {
        may(actor, Act::Recall)?;
        super::label::prose(reason, 500).map_err(|problem| Error::Value { field: "reason", problem })?;
        self.advance(actor, id, Step::Recall, reason).await
    }

    /// Judges a release and its place in the sequence as they are now, while nobody else in the organization decides anything.
    async fn check_again(&self, tx: &mut Tx, actor: &Actor, row: &ReleaseRow) -> Result<()> {
        if row.state == ReleaseState::Draft {
            return Err(Error::Quarantined(row.quarantine.clone()).into());
        }
        let body = store::body(tx, &actor.org, &row.id).await?.ok_or(Error::NoRelease)?;
        let files = store::files(tx, &actor.org, &row.id).await?;
        let (keys, thresholds) = (store::active_keys(tx, &actor.org).await?, store::thresholds(tx, &actor.org).await?);
        let signed = store::signed(tx, &actor.org, &row.id, body.envelope.as_deref()).await?;
        let quarantined = |reason: acceptance::Quarantine| Error::Quarantined(reason.to_string());
        acceptance::judge(signed.as_deref(), (&keys, &thresholds), &files, self.clock.now()).map_err(quarantined)?;
        let artifacts = store::artifacts(tx, &actor.org, &row.id).await?;
        acceptance::of_allowed_formats(artifacts.iter().map(|a| (&a.name, a.container.as_ref()))).map_err(quarantined)?;
        for file in files {
            let stored = self.disk.find(&file.sha256).await.map_err(Error::Store)?;
            let wrong = stored.is_none_or(|s| i64::try_from(s.size) != Ok(file.size)) || self.is_damaged(tx, &file.sha256).await?;
            if wrong {
                return Err(Error::Quarantined(format!("the content of {:?} is lost or damaged; upload the file again", file.name)).into());
            }
        }
        let newest = store::newest(tx, &actor.org, &row.device_type).await?;
        if let Some(newest) = newest.filter(|n| n.sequence >= row.sequence) {
            let (sequence, newest, version) = (row.sequence.unsigned_abs(), newest.sequence, newest.version);
            return Err(quarantined(acceptance::Quarantine::Sequence { sequence, newest, version }).into());
        }
        Ok(())
    }

    async fn advance(&self, actor: &Actor, id: &ReleaseId, step: Step, reason: &str) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Decisions of an organization come one after the other: of two publications the second sees the first.
        audit::hold(&mut tx, &actor.org).await?;
        let row = store::release(&mut tx, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        let illegal = Error::State { from: row.state, step };
        if step == Step::Publish && matches!(row.state, ReleaseState::Draft | ReleaseState::Verified) {
            self.check_again(&mut tx, actor, &row).await?;
        }
        let Some(to) = state::step(row.state, step) else { return Err(illegal.into()) };
        if !store::advance(&mut tx, &actor.org, id, row.state, to, now).await? {
            return Err(illegal.into());
        }
        if step == Step::Recall {
            store::keep_recall(&mut tx, &actor.org, id, (&actor.label(), reason), now).await?;
        }
        if step == Step::Publish {
            deltas::want(&mut tx, &actor.org, &row, now).await?;
        }
        let detail = json!({ "type": row.device_type, "version": row.version, "reason": reason });
        audit::append(&mut tx, actor, now, &format!("release.{step}"), id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Release { org: actor.org.clone(), id: id.clone() });
        match step {
            Step::Publish => self.deltas_wanted.notify_one(),
            // It is done; what stays is swept.
            Step::Recall => {
                if let Err(e) = self.forget_deltas().await {
                    tracing::warn!(release = %id, error = %e, "forgetting the deltas to a recalled release failed; they are swept later");
                }
            }
            _ => {}
        }
        Ok(())
    }
}

//! Going back: the rollout that takes devices back from a bad release is made, approved by those who approved the plan that it is part of.

use super::{
    Error, Rollouts,
    drafting::{digest_of, release_back},
    store::{
        back,
        lists::{self, Decision},
        plans::{self, NewRollout},
        records::Record,
    },
    validate::Chosen,
    way_back::{Known, plan_of},
};
use crate::{
    Result,
    access::{Actor, audit},
    db::{Conn, Tx},
    releases::RolloutRelease,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{ApprovalId, RolloutId},
    rollouts::WayBack,
};

/// Who is written as the author of a way back: it is nobody's plan, it follows from one.
const AUTHOR: &str = "the system";

impl Rollouts {
    /// Why the release that devices would go back to can't be sent any more; none when it can.
    pub(super) async fn cant_go_back(&self, on: &mut impl Conn, record: &Record) -> Result<Option<String>> {
        match release_back(on, &record.org, &record.spec).await? {
            None => Ok(Some("There is no such release any more.".to_owned())),
            Some(release) => Ok(Chosen::from(&release).expired(self.clock.now())),
        }
    }

    /// Makes the rollout that takes so many devices back, with history on both sides. Its approval is the one of the plan it belongs to: the approvers
    /// signed the release that devices go back to with it.
    pub(super) async fn set_out(&self, tx: &mut Tx, of: &Record, devices: i64, now: Timestamp) -> Result<RolloutId> {
        let spec = plan_of(&of.spec, devices).ok_or(Error::NotFound("way back"))?;
        let release = release_back(tx, &of.org, &of.spec).await?.ok_or(Error::NotFound("release"))?;
        let id: RolloutId = self.entropy.id(now);
        let digest = digest_of(&of.org, &id, &spec, &release, None);
        let min_sequence = i64::try_from(release.manifest.min_sequence).unwrap_or(i64::MAX);
        let new = NewRollout {
            spec: &spec,
            device_type: &release.row.device_type,
            hardware: &release.manifest.hardware,
            version: &release.row.version,
            sequence: release.row.sequence,
            // What is taken back: a device that runs anything else does not belong.
            min_sequence: min_sequence.max(of.sequence),
            digest: &digest,
            author: "",
            author_name: AUTHOR,
        };
        plans::insert(tx, &of.org, &id, &new, now).await?;
        let how = if of.glass.is_some() { "Part of the plan, started without approval, of" } else { "Approved with" };
        let summary = format!("{how} “{}”", of.spec.name);
        back::set_out(tx, &id, of, &summary, now).await?;
        let approved: Vec<_> =
            lists::decisions(tx, &of.id).await?.into_iter().filter(|d| d.approved && !d.void && d.digest == of.digest).collect();
        for d in approved.iter().rev() {
            let approval: ApprovalId = self.entropy.id(now);
            let remark = format!("With “{}”: {}", of.spec.name, d.remark);
            // The digest is what they signed: that of the plan whose way back this is.
            let decision = Decision {
                id: &approval,
                by: &d.by,
                by_name: &d.by_name,
                approved: true,
                remark: &remark,
                digest: &d.digest,
                generation: 1,
            };
            lists::add_decision(tx, &of.org, &id, &decision, now).await?;
        }
        let made = format!("Made as the way back of “{}” for {}", of.spec.name, super::plan::devices_of(devices));
        lists::add_event(tx, &of.org, &id, &made, "automatic", "info", now).await?;
        let begun = format!("Way back begun: “{}” takes {} back to {}", spec.name, super::plan::devices_of(devices), release.row.version);
        lists::add_event(tx, &of.org, &of.id, &begun, "automatic", "info", now).await?;
        let detail = json!({ "rollout": spec.name, "back_of": of.id, "digest": digest, "approved_digest": of.digest });
        audit::append(tx, &Actor::system(of.org.clone()), now, "rollout.set_out", id.as_str(), &detail).await?;
        Ok(id)
    }

    /// The way back of a plan, as pages show it.
    pub(super) async fn way_back_of(&self, on: &mut impl Conn, record: &Record) -> Result<Option<WayBack>> {
        let Some(release) = release_back(on, &record.org, &record.spec).await? else { return Ok(None) };
        let rollout = back::backwards(on, record).await?;
        Ok(Some(WayBack {
            release: release.row.id,
            version: release.row.version,
            sequence: release.row.sequence,
            digest: release.digest,
            state: release.state,
            rollout,
        }))
    }
}

/// A release, as a way back is judged by it.
pub(super) fn known(release: &RolloutRelease) -> Known<'_> {
    Known {
        device_type: &release.row.device_type,
        version: &release.row.version,
        sequence: release.row.sequence,
        min_sequence: i64::try_from(release.manifest.min_sequence).unwrap_or(i64::MAX),
        hardware: &release.manifest.hardware,
        state: release.state,
        expires: release.manifest.expires,
    }
}

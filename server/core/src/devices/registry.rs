//! One device: what is known of it, and what a person may change.

use super::{DeviceNo, Devices, Error, groups, pins, rows::Listed, slots, store, words::check_tags};
use crate::{
    access::{Act, Actor, allowed, audit, may},
    bus::Event,
    db::{exec, row, rows},
};
use serde_json::json;
use wire::{
    Timestamp,
    activity::Happening,
    devices::{ConnectionSpan, DeviceDetail, Suspicion},
    ids::{DeviceId, OrgId},
    rollouts::Why,
    states::DeviceState,
    transfers::DataUse,
};

#[derive(sqlx::FromRow)]
struct Detail {
    #[sqlx(flatten)]
    listed: Listed,
    sequence: i64,
    enrolled_at: i64,
    enrolled_by: String,
    connected_at: Option<i64>,
    address: String,
    agent: String,
    suspected_at: Option<i64>,
    suspicion: String,
}

/// A device whose newest update ended in an error.
pub(crate) struct Troubled {
    pub device: DeviceNo,
    pub device_id: DeviceId,
    /// How it ended: the word of an [`UpdateState`](wire::states::UpdateState).
    pub state: String,
    pub last_seen: Timestamp,
}

impl Devices {
    /// The number of a device the actor may see.
    pub async fn find(&self, actor: &Actor, device_id: &DeviceId) -> Result<DeviceNo, Error> {
        may(actor, Act::Read)?;
        store::number(&mut self.db.read().await?, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))
    }

    /// Whether a device is connected; none when there is no such device.
    pub(crate) async fn online(&self, device: DeviceNo) -> Result<Option<bool>, Error> {
        Ok(store::online(&mut self.db.read().await?, device).await?)
    }

    /// What this room knows of a device. Updates, latest values and the reason are other rooms' and left empty.
    pub(crate) async fn detail(&self, actor: &Actor, device_id: &DeviceId) -> Result<(DeviceNo, DeviceDetail), Error> {
        may(actor, Act::Read)?;
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let lower = device_id.as_str().to_lowercase();
        let d = row!(&mut on, Detail, store::DETAIL, actor.org.as_str(), lower)?.ok_or(Error::NotFound("device"))?;
        let device = d.listed.number;
        let tags = rows!(&mut on, (String,), store::TAGS, device)?.into_iter().map(|r| r.0).collect();
        let attributes = rows!(&mut on, (String, String), store::ATTRIBUTES, device)?.into_iter().collect();
        let day_ago = now.plus(-24 * 3600 * 1000).0;
        let mut connections: Vec<ConnectionSpan> = rows!(&mut on, (i64, Option<i64>, String, String), store::CONNECTIONS, device, day_ago)?
            .into_iter()
            .map(|(from, to, address, reason)| ConnectionSpan { from: Timestamp(from), to: to.map(Timestamp), address, reason })
            .collect();
        connections.reverse();
        let groups = rows!(&mut on, (String,), groups::OF, actor.org.as_str(), device)?.into_iter().map(|r| r.0).collect();
        let target_token = super::shared::token_of(&mut on, device).await?;
        let pin = pins::of(&mut on, device).await?;
        let slots = slots::of(&mut on, device).await?;
        let certificates = self.pki.certificates_of(&mut on, device).await?;
        let row = d.listed.shown(tags)?;
        let state = row.state;
        let renewable = state != DeviceState::Suspended && self.pki.renewable(&mut on, device, now).await?;
        let detail = DeviceDetail {
            row,
            sequence: d.sequence,
            enrolled_at: Timestamp(d.enrolled_at),
            enrolled_by: d.enrolled_by,
            connected_at: d.connected_at.map(Timestamp),
            address: d.address,
            agent: d.agent,
            attributes,
            certificates,
            renewable,
            updates: Vec::new(),
            latest: Vec::new(),
            connections,
            update_reason: String::new(),
            why: Why::default(),
            pin,
            slots,
            data: DataUse::default(),
            suspicion: d.suspected_at.map(|at| Suspicion { at: Timestamp(at), sign: d.suspicion }),
            may_clear: allowed(actor, Act::Suspend),
            may_edit: allowed(actor, Act::EditDevices),
            may_revoke: allowed(actor, Act::Revoke),
            groups,
            target_token,
            steps: super::life::offered(actor, state),
            at: now,
        };
        Ok((device, detail))
    }

    /// When a device came and when it went, before an instant and as far back as it is kept: at most so many of each.
    pub(crate) async fn comings(&self, device: DeviceNo, before: Timestamp, most: i64) -> Result<Vec<Happening>, Error> {
        let mut on = self.db.read().await?;
        let came = rows!(&mut on, (i64, String), store::CAME, device, before.0, most)?;
        let went = rows!(&mut on, (i64, i64, String, String), store::WENT, device, before.0, most)?;
        let came = came.into_iter().map(|(at, address)| Happening::Connected { at: Timestamp(at), address });
        let went = went.into_iter().map(|(at, since, address, reason)| {
            let (at, since) = (Timestamp(at), Timestamp(since));
            Happening::Disconnected { at, since, address, reason }
        });
        // The old connection has ended before the new one began, also in one instant: newest first, the beginning comes first.
        Ok(came.chain(went).collect())
    }

    /// Replaces a device's tags.
    pub async fn set_tags(&self, actor: &Actor, device_id: &DeviceId, tags: Vec<String>) -> Result<(), Error> {
        may(actor, Act::EditDevices)?;
        check_tags(&tags)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let device = store::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        exec!(&mut tx, store::TAGS_CLEAR, device)?;
        for tag in &tags {
            exec!(&mut tx, store::TAG_INSERT, device, actor.org.as_str(), tag.as_str())?;
        }
        audit::append(&mut tx, actor, now, "device.tags", device_id.as_str(), &json!({ "tags": tags })).await?;
        tx.commit().await?;
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        Ok(())
    }

    /// Active devices whose last update went wrong, heard of last first.
    pub(crate) async fn troubled(&self, org: &OrgId, limit: i64) -> Result<Vec<Troubled>, Error> {
        rows!(&mut self.db.read().await?, (DeviceNo, String, String, i64), store::TROUBLED, org.as_str(), limit)?
            .into_iter()
            .map(|(device, id, state, seen)| {
                Ok(Troubled { device, device_id: id.parse().map_err(crate::db::Error::corrupt)?, state, last_seen: Timestamp(seen) })
            })
            .collect()
    }

    /// Active devices that were last heard of before this instant, longest ago first. Devices never heard of are left out.
    pub(crate) async fn silent_since(&self, org: &OrgId, before: Timestamp, limit: i64) -> Result<Vec<(DeviceId, Timestamp)>, Error> {
        rows!(&mut self.db.read().await?, (String, i64), store::LONG_OFFLINE, org.as_str(), before.0, limit)?
            .into_iter()
            .map(|(id, at)| Ok((id.parse().map_err(crate::db::Error::corrupt)?, Timestamp(at))))
            .collect()
    }
}

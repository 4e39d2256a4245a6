//! What a live topic looks like at first sight, and who tells the hub of changes: looks into several rooms, owns no table and no rule.

use crate::{
    Fleet, Result,
    access::{Act, Actor, allowed},
    devices,
    telemetry::Reads,
};
use tokio_util::sync::CancellationToken;
use wire::live::{Data, DeviceLive, MetricPoints, Topic};

impl Fleet {
    /// A topic's present state, for its first frame. None when there is no such thing or the actor may not see it; an error when it can't be
    /// read now.
    pub async fn live_state(&self, actor: &Actor, topic: &Topic) -> Result<Option<Data>> {
        if !allowed(actor, Act::Read) {
            return Ok(None);
        }
        Ok(match topic {
            Topic::Fleet => Some(Data::Counts(self.counts(&actor.org).await?)),
            Topic::Devices | Topic::Rollouts | Topic::Releases | Topic::Rollout(_) => Some(Data::Changed),
            Topic::Device(id) => {
                let device = match self.devices().find(actor, id).await {
                    Ok(device) => device,
                    Err(devices::Error::NotFound(_)) => return Ok(None),
                    Err(e) => return Err(e.into()),
                };
                let online = self.devices().online(device).await?;
                let latest = self.telemetry().latest(&actor.org, device).await?;
                let points = latest.into_iter().map(|l| MetricPoints { metric: l.metric, points: vec![(l.at.0, l.value)] }).collect();
                Some(Data::Device(DeviceLive { online, points, at: self.clock().now() }))
            }
        })
    }

    /// Worker: tells the hub what changes in the rooms, until `stop`.
    pub async fn relay(&self, stop: CancellationToken) {
        let (counts, number, online, clock) = (self.clone(), self.clone(), self.clone(), self.clock().clone());
        let reads = Reads {
            counts: Box::new(move |org| {
                let fleet = counts.clone();
                Box::pin(async move { fleet.counts(&org).await.ok() })
            }),
            number: Box::new(move |org, id| {
                let fleet = number.clone();
                Box::pin(async move { fleet.devices().find(&Actor::system(org), &id).await.ok() })
            }),
            online: Box::new(move |device| {
                let fleet = online.clone();
                Box::pin(async move { fleet.devices().online(device).await.ok()? })
            }),
            now: Box::new(move || clock.now()),
        };
        self.telemetry().relay(reads, stop).await;
    }
}

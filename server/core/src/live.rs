//! What a live topic looks like at first sight, and who tells the hub of changes: looks into several rooms, owns no table and no rule.

use crate::{
    Fleet,
    access::{Act, Actor, allowed},
    telemetry::Reads,
};
use tokio_util::sync::CancellationToken;
use wire::live::{Data, DeviceLive, MetricPoints, Topic};

impl Fleet {
    /// A topic's present state, for its first frame. None when there is no such thing, the actor may not see it, or it can't be read now.
    pub async fn live_state(&self, actor: &Actor, topic: &Topic) -> Option<Data> {
        if !allowed(actor, Act::Read) {
            return None;
        }
        match topic {
            Topic::Fleet => self.counts(&actor.org).await.ok().map(Data::Counts),
            Topic::Devices | Topic::Rollouts | Topic::Releases | Topic::Rollout(_) => Some(Data::Changed),
            Topic::Device(id) => {
                let device = self.devices().find(actor, id).await.ok()?;
                let online = self.devices().online(device).await.ok()?;
                let latest = self.telemetry().latest(&actor.org, device).await.ok()?;
                let points = latest.into_iter().map(|l| MetricPoints { metric: l.metric, points: vec![(l.at.0, l.value)] }).collect();
                Some(Data::Device(DeviceLive { online, points, at: self.clock().now() }))
            }
        }
    }

    /// Worker: tells the hub what changes in the rooms, until `stop`.
    pub async fn relay(&self, stop: CancellationToken) {
        let (counts, presence, clock) = (self.clone(), self.clone(), self.clock().clone());
        let reads = Reads {
            counts: Box::new(move |org| {
                let fleet = counts.clone();
                Box::pin(async move { fleet.counts(&org).await.ok() })
            }),
            presence: Box::new(move |org, device| {
                let fleet = presence.clone();
                Box::pin(async move {
                    let (owner, id) = fleet.devices().name(device).await.ok()??;
                    let online = fleet.devices().online(device).await.ok()??;
                    (owner == org).then_some((id, online))
                })
            }),
            now: Box::new(move || clock.now()),
        };
        self.telemetry().relay(reads, stop).await;
    }
}

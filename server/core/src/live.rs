//! What a live topic looks like at first sight, and who tells the hub of changes: looks into several rooms, owns no table and no rule.

use crate::{
    Fleet, Result,
    access::{Act, Actor, allowed},
    devices,
    telemetry::Reads,
};
use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
            // Whoever subscribes has read the list before, and may have missed what changed since: they read it again.
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
        let outage = Arc::<Outage>::default();
        let [counts_fail, number_fails, online_fails] = [(); 3].map(|()| Arc::clone(&outage));
        let reads = Reads {
            counts: Box::new(move |org| {
                let (fleet, outage) = (counts.clone(), Arc::clone(&counts_fail));
                Box::pin(async move { outage.heard(fleet.counts(&org).await) })
            }),
            number: Box::new(move |org, id| {
                let (fleet, outage) = (number.clone(), Arc::clone(&number_fails));
                Box::pin(async move {
                    let found = match fleet.devices().find(&Actor::system(org), &id).await {
                        Err(devices::Error::NotFound(_)) => Ok(None),
                        found => found.map(Some),
                    };
                    outage.heard(found)?
                })
            }),
            online: Box::new(move |device| {
                let (fleet, outage) = (online.clone(), Arc::clone(&online_fails));
                Box::pin(async move { outage.heard(fleet.devices().online(device).await)? })
            }),
            now: Box::new(move || clock.now()),
        };
        self.telemetry().relay(reads, stop).await;
    }
}

/// Whether what screens are told can't be read now. Many topics change in a second, and each finds the same.
#[derive(Debug, Default)]
struct Outage(AtomicBool);

impl Outage {
    /// What was read; a failure is logged once until something is read again.
    fn heard<T>(&self, read: Result<T, impl Display>) -> Option<T> {
        let fails = read.is_err();
        let news = self.turns(fails);
        read.inspect_err(|error| {
            if news {
                tracing::warn!(%error, "what changed can't be read now, so live screens are not told");
            }
        })
        .inspect(|_| {
            if news {
                tracing::info!("live screens are told of changes again");
            }
        })
        .ok()
    }

    /// Whether it is news that reading fails, or works.
    fn turns(&self, fails: bool) -> bool {
        self.0.swap(fails, Ordering::Relaxed) != fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        let outage = Outage::default();
        let told = [false, true, true, false, false, true].map(|fails| outage.turns(fails));
        assert_eq!(told, [false, true, false, true, false, true]);
        assert_eq!((outage.heard(Err::<(), _>("no")), outage.heard(Ok::<_, &str>(7))), (None, Some(7)));
    }
}

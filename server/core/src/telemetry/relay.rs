//! From wake-ups to topics: what the rooms say on the bus becomes "read it again" on the hub, at most as often as a screen can use.

use super::hub::Hub;
use crate::bus::{Bus, Event};
use futures::future::BoxFuture;
use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};
use tokio::{sync::broadcast::error::RecvError, time::Instant};
use tokio_util::sync::CancellationToken;
use wire::{
    Timestamp,
    ids::{DeviceId, OrgId},
    live::{Data, DeviceLive, Topic},
    overview::FleetCounts,
};

/// An asynchronous read of another room; none when there is no answer.
pub type Answer<T> = BoxFuture<'static, Option<T>>;

/// Looks a device up by organization and number: its name, and whether it is connected.
pub type PresenceOf = dyn Fn(OrgId, i64) -> Answer<(DeviceId, bool)> + Send + Sync;

/// What the relay reads from other rooms when a topic that somebody watches changes.
pub struct Reads {
    /// The counts of an organization's fleet; none when they can't be read now.
    pub counts: Box<dyn Fn(OrgId) -> Answer<FleetCounts> + Send + Sync>,
    /// A device's name and whether it is connected.
    pub presence: Box<PresenceOf>,
    /// The time, for a delta's `at`.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reads")
    }
}

/// Shortest time between two changes of a topic.
const fn pace(topic: &Topic) -> Duration {
    match topic {
        Topic::Fleet | Topic::Devices => Duration::from_secs(1),
        Topic::Rollouts | Topic::Releases | Topic::Rollout(_) => Duration::from_millis(500),
        Topic::Device(_) => Duration::ZERO,
    }
}

/// Topics that changed and when each may be told next.
#[derive(Debug, Default)]
struct Agenda {
    due: HashMap<(OrgId, Topic), Instant>,
    told: HashMap<(OrgId, Topic), Instant>,
}

impl Agenda {
    /// The topic changed: at once when it was quiet, otherwise when its pace allows.
    fn note(&mut self, org: &OrgId, topic: Topic) {
        let key = (org.clone(), topic);
        if let Entry::Vacant(e) = self.due.entry(key) {
            let now = Instant::now();
            let at = self.told.get(e.key()).map_or(now, |told| (*told + pace(&e.key().1)).max(now));
            e.insert(at);
        }
    }
    fn next(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }
    fn take_due(&mut self) -> Vec<(OrgId, Topic)> {
        let now = Instant::now();
        let due: Vec<_> = self.due.extract_if(|_, at| *at <= now).map(|(key, _)| key).collect();
        self.told.retain(|key, told| *told + pace(&key.1) > now);
        self.told.extend(due.iter().map(|key| (key.clone(), now)));
        due
    }
}

/// Runs until it is told to stop or the bus is gone.
pub(super) async fn run(hub: Hub, bus: Bus, reads: Reads, stop: CancellationToken) {
    let mut events = bus.listen();
    drop(bus);
    let mut agenda = Agenda::default();
    loop {
        let wake = agenda.next();
        let timer = async move {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => match event {
                Ok(event) => note(&hub, &reads, &mut agenda, event).await,
                // Too many at once to be counted: everything may have changed.
                Err(RecvError::Lagged(_)) => hub.watched_topics().into_iter().filter(|(_, t)| !matches!(t, Topic::Device(_))).for_each(|(org, topic)| agenda.note(&org, topic)),
                Err(RecvError::Closed) => return,
            },
            () = timer => {
                for (org, topic) in agenda.take_due() {
                    tell(&hub, &reads, org, topic).await;
                }
            }
        }
    }
}

async fn note(hub: &Hub, reads: &Reads, agenda: &mut Agenda, event: Event) {
    match event {
        Event::Device { org, device } => {
            agenda.note(&org, Topic::Devices);
            agenda.note(&org, Topic::Fleet);
            // Names are only looked up while somebody of the organization watches a device.
            let watching = hub.watched_topics().into_iter().any(|(o, t)| o == org && matches!(t, Topic::Device(_)));
            if watching && let Some((id, online)) = (reads.presence)(org.clone(), device).await {
                let at = (reads.now)();
                hub.publish(&org, &Topic::Device(id), || Data::Device(DeviceLive { online: Some(online), points: Vec::new(), at }));
            }
        }
        Event::Rollout { org, id } | Event::OffersOpen { org, id } => {
            agenda.note(&org, Topic::Rollouts);
            agenda.note(&org, Topic::Rollout(id));
            agenda.note(&org, Topic::Fleet);
        }
        Event::Cancelled { org, .. } => agenda.note(&org, Topic::Fleet),
        Event::Release { org, .. } => agenda.note(&org, Topic::Releases),
        Event::Trust => {}
    }
}

async fn tell(hub: &Hub, reads: &Reads, org: OrgId, topic: Topic) {
    if topic != Topic::Fleet {
        hub.publish(&org, &topic, || Data::Changed);
    } else if hub.watched(&org, &topic)
        && let Some(counts) = (reads.counts)(org.clone()).await
    {
        hub.publish(&org, &topic, || Data::Counts(counts));
    }
}

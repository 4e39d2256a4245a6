//! From wake-ups to topics: what the rooms say on the bus becomes "read it again" on the hub, at most as often as a screen can use.

use super::hub::Hub;
use crate::bus::{Bus, Event};
use futures::future::BoxFuture;
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    time::Duration,
};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use wire::{
    Timestamp,
    ids::{DeviceId, OrgId},
    live::{Data, DeviceLive, Topic},
    overview::FleetCounts,
};

/// An asynchronous read of another room; none when there is no answer.
pub type Answer<T> = BoxFuture<'static, Option<T>>;

/// Looks a device's number up by organization and name.
pub type NumberOf = dyn Fn(OrgId, DeviceId) -> Answer<i64> + Send + Sync;

/// How often topics that nobody listens to any more are looked for.
const SWEEP: Duration = Duration::from_mins(1);

/// What the relay reads from other rooms when a topic that somebody watches changes.
pub struct Reads {
    /// The counts of an organization's fleet; none when they can't be read now.
    pub counts: Box<dyn Fn(OrgId) -> Answer<FleetCounts> + Send + Sync>,
    /// The number of a device.
    pub number: Box<NumberOf>,
    /// Whether a device is connected, by its number.
    pub online: Box<dyn Fn(i64) -> Answer<bool> + Send + Sync>,
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

/// The devices that somebody watches, by number: wake-ups name numbers, topics names.
#[derive(Debug, Default)]
struct Watched(HashMap<(OrgId, DeviceId), i64>);

impl Watched {
    /// Looks again who is watched. Only a device that was not watched before costs a read.
    async fn look(&mut self, hub: &Hub, reads: &Reads) {
        let now: HashSet<(OrgId, DeviceId)> = hub
            .watched_topics()
            .into_iter()
            .filter_map(|(org, t)| if let Topic::Device(id) = t { Some((org, id)) } else { None })
            .collect();
        self.0.retain(|device, _| now.contains(device));
        for (org, id) in now {
            if let Entry::Vacant(place) = self.0.entry((org.clone(), id.clone()))
                && let Some(number) = (reads.number)(org, id).await
            {
                place.insert(number);
            }
        }
    }

    /// Tells those who watch one of these devices whether it is connected.
    async fn tell(&self, hub: &Hub, reads: &Reads, which: impl Fn(&OrgId, i64) -> bool) {
        for ((org, id), number) in self.0.iter().filter(|((org, _), number)| which(org, **number)) {
            if let Some(online) = (reads.online)(*number).await {
                let at = (reads.now)();
                let change = || Data::Device(DeviceLive { online: Some(online), points: Vec::new(), at });
                hub.publish(org, &Topic::Device(id.clone()), change);
            }
        }
    }
}

/// Runs until it is told to stop or the bus is gone.
pub(super) async fn run(hub: Hub, bus: Bus, reads: Reads, stop: CancellationToken) {
    let mut events = bus.listen();
    drop(bus);
    let (mut agenda, mut watched) = (Agenda::default(), Watched::default());
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                Ok(event) => {
                    if let Event::Device { org, device } = &event {
                        watched.look(&hub, &reads).await;
                        watched.tell(&hub, &reads, |of, number| of == org && number == *device).await;
                    }
                    note(&mut agenda, event);
                }
                // Too many at once to be counted: everything may have changed.
                Err(RecvError::Lagged(_)) => {
                    watched.look(&hub, &reads).await;
                    watched.tell(&hub, &reads, |_, _| true).await;
                    hub.watched_topics().into_iter().filter(|(_, t)| !matches!(t, Topic::Device(_))).for_each(|(org, topic)| agenda.note(&org, topic));
                }
                Err(RecvError::Closed) => return,
            },
            _ = sweep.tick() => hub.sweep(),
            () = timer => {
                for (org, topic) in agenda.take_due() {
                    tell(&hub, &reads, org, topic).await;
                }
            }
        }
    }
}

fn note(agenda: &mut Agenda, event: Event) {
    match event {
        Event::Device { org, .. } => {
            agenda.note(&org, Topic::Devices);
            agenda.note(&org, Topic::Fleet);
        }
        Event::Rollout { org, id } | Event::OffersOpen { org, id } => {
            agenda.note(&org, Topic::Rollouts);
            agenda.note(&org, Topic::Rollout(id));
            agenda.note(&org, Topic::Fleet);
        }
        Event::Cancelled { org, .. } => agenda.note(&org, Topic::Fleet),
        Event::Release { org, .. } => agenda.note(&org, Topic::Releases),
        Event::Enrolment { org } | Event::Consent { org } => agenda.note(&org, Topic::Devices),
        Event::Trust | Event::Frozen { .. } => {}
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

//! A connection's feed: one inbox for all its topics, which folds what the connection is too slow for and says so.

use super::hub::{Hub, Start, points};
use indexmap::IndexMap;
use parking_lot::Mutex;
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};
use tokio::sync::Notify;
use wire::{
    ids::OrgId,
    live::{Data, DeviceLive, MetricPoints, Position, Tell, Topic},
};

/// Topics of one connection.
pub const MAX_TOPICS: usize = 64;
/// Points that wait in one topic; beyond it only the newest of each series is kept.
const WAITING: usize = 2048;

/// What waits for one connection.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<IndexMap<Topic, Change>>,
    arrived: Notify,
}

/// Changes of one topic, folded into one.
#[derive(Debug)]
struct Change {
    seq: u64,
    data: Data,
    /// Changes in it.
    folded: u64,
    /// Whether points were lost in folding.
    lossy: bool,
}

impl Inbox {
    /// Puts a change behind what waits of its topic. Never waits.
    pub fn put(&self, topic: &Topic, seq: u64, data: &Data) {
        let mut waiting = self.waiting.lock();
        match waiting.get_mut(topic) {
            Some(change) => change.fold(seq, data),
            None => {
                waiting.insert(topic.clone(), Change { seq, data: data.clone(), folded: 1, lossy: false });
            }
        }
        drop(waiting);
        self.arrived.notify_one();
    }
}

impl Change {
    fn fold(&mut self, seq: u64, data: &Data) {
        self.seq = seq;
        self.folded += 1;
        match (&mut self.data, data) {
            (Data::Device(waiting), Data::Device(new)) => {
                append(waiting, new);
                if points(&self.data) > WAITING {
                    self.lossy = true;
                    if let Data::Device(d) = &mut self.data {
                        keep_newest(d);
                    }
                }
            }
            (waiting, new) => *waiting = new.clone(),
        }
    }
}

fn append(waiting: &mut DeviceLive, new: &DeviceLive) {
    waiting.online = new.online.or(waiting.online);
    waiting.at = new.at;
    for m in &new.points {
        match waiting.points.iter_mut().find(|w| w.metric == m.metric) {
            Some(w) => w.points.extend_from_slice(&m.points),
            None => waiting.points.push(m.clone()),
        }
    }
}

fn keep_newest(d: &mut DeviceLive) {
    for MetricPoints { points, .. } in &mut d.points {
        if let Some(newest) = points.iter().copied().max_by_key(|p| p.0) {
            *points = vec![newest];
        }
    }
}

/// A connection's subscriptions. Dropping it ends them.
#[derive(Debug)]
pub struct Feed {
    hub: Hub,
    org: OrgId,
    id: u64,
    inbox: Arc<Inbox>,
    topics: HashSet<Topic>,
    ready: VecDeque<Tell>,
}

impl Feed {
    pub(super) fn new(hub: Hub, org: OrgId, id: u64) -> Self {
        Self { hub, org, id, inbox: Arc::default(), topics: HashSet::new(), ready: VecDeque::new() }
    }

    /// Subscribes, or subscribes again. Where the hub still holds what followed `from`, that is told next; otherwise `snapshot` is asked for the
    /// state and that is told next. `None` from it means that there is no such thing, or that it is not to be seen: the topic is refused. When
    /// it fails, nothing is subscribed and nothing told: the same may be asked again.
    pub async fn subscribe<E>(
        &mut self,
        topic: Topic,
        from: Option<Position>,
        snapshot: impl Future<Output = Result<Option<Data>, E>>,
    ) -> Result<(), E> {
        if !self.topics.contains(&topic) && self.topics.len() >= MAX_TOPICS {
            self.ready.push_back(Tell::Refused { topic });
            return Ok(());
        }
        // What waits of an earlier subscription is part of the new one's beginning.
        self.inbox.waiting.lock().shift_remove(&topic);
        let start = self.hub.listen(&self.org, &topic, from, (self.id, &self.inbox));
        self.topics.insert(topic.clone());
        if let Start::Fresh(seq) = start {
            match snapshot.await {
                Ok(Some(data)) => self.ready.push_back(Tell::Snapshot { topic, seq, data }),
                Ok(None) => {
                    self.abandon(&topic);
                    self.ready.push_back(Tell::Refused { topic });
                }
                Err(e) => {
                    self.abandon(&topic);
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// Ends a subscription that never began.
    fn abandon(&mut self, topic: &Topic) {
        self.unsubscribe(topic);
        self.hub.forget(&self.org, topic);
    }

    /// Ends a subscription; nothing of it is told afterwards.
    pub fn unsubscribe(&mut self, topic: &Topic) {
        if self.topics.remove(topic) {
            self.hub.leave(&self.org, topic, self.id);
            self.inbox.waiting.lock().shift_remove(topic);
            let of_it = |t: &Tell| matches!(t, Tell::Snapshot { topic: t, .. } | Tell::Delta { topic: t, .. } | Tell::Lagged { topic: t, .. } if t == topic);
            self.ready.retain(|t| !of_it(t));
        }
    }

    /// The next thing to tell; waits until there is one. Topics take turns. Safe to drop while it waits.
    pub async fn next(&mut self) -> Tell {
        loop {
            if let Some(tell) = self.try_next() {
                return tell;
            }
            self.inbox.arrived.notified().await;
        }
    }

    /// The next thing to tell, if there is one now.
    pub fn try_next(&mut self) -> Option<Tell> {
        if self.ready.is_empty()
            && let Some((topic, change)) = self.inbox.waiting.lock().shift_remove_index(0)
        {
            if change.lossy {
                self.ready.push_back(Tell::Lagged { topic: topic.clone(), skipped: change.folded - 1 });
            }
            self.ready.push_back(Tell::Delta { topic, seq: change.seq, data: change.data });
        }
        self.ready.pop_front()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        for topic in std::mem::take(&mut self.topics) {
            self.hub.leave(&self.org, &topic, self.id);
        }
    }
}

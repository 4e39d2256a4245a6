//! The live hub: topics, their sequence numbers, and what was said lately, so that a browser resumes where a cut left it.
//!
//! A topic exists while somebody subscribes and two to three minutes beyond; what is published to a topic that doesn't exist costs a look-up and nothing
//! else. Publishing never waits: each connection has a [`Feed`] that folds what it can't take.

use super::feed::{Feed, Inbox};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use wire::{
    ids::OrgId,
    live::{Data, Position, Topic},
};

/// How long a topic without subscribers is remembered.
const LINGER: Duration = Duration::from_mins(2);
/// Changes remembered of each topic.
const CHANGES: usize = 256;
/// Points remembered of each topic.
const POINTS: usize = 4096;

/// The hub. A clone is the same hub.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    epoch: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Changes of all topics so far. A topic begins here, so that its numbers never repeat within an epoch.
    published: u64,
    inboxes: u64,
    topics: HashMap<OrgId, HashMap<Topic, Channel>>,
}

/// One topic.
#[derive(Debug)]
struct Channel {
    /// The last change.
    seq: u64,
    /// Everything after this is in `lately`.
    forgotten: u64,
    lately: VecDeque<(u64, Data)>,
    points: usize,
    listeners: Vec<(u64, Arc<Inbox>)>,
    left: Instant,
}

/// How a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// What followed the position has been put into the inbox.
    Resumed,
    /// The state as of this number is needed.
    Fresh(u64),
}

impl Hub {
    /// A hub of this server run.
    pub fn new(epoch: u64) -> Self {
        Self(Arc::new(Shared { epoch, state: Mutex::default() }))
    }

    /// The server run that positions belong to.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// A connection's own feed of an organization's topics.
    pub fn feed(&self, org: OrgId) -> Feed {
        let mut state = self.0.state.lock();
        state.inboxes += 1;
        Feed::new(self.clone(), org, state.inboxes)
    }

    /// Says what changed to whoever listens. The change is only made when there is a topic to publish it to.
    pub fn publish(&self, org: &OrgId, topic: &Topic, change: impl FnOnce() -> Data) {
        let mut state = self.0.state.lock();
        let State { published, topics, .. } = &mut *state;
        let Some(channel) = topics.get_mut(org).and_then(|t| t.get_mut(topic)) else { return };
        let change = change();
        if let Data::Device(d) = &change
            && d.online.is_none()
            && d.points.is_empty()
        {
            return;
        }
        *published += 1;
        channel.seq += 1;
        for (_, inbox) in &channel.listeners {
            inbox.put(topic, channel.seq, &change);
        }
        channel.remember(change);
    }

    /// Whether somebody listens to the topic now.
    pub fn watched(&self, org: &OrgId, topic: &Topic) -> bool {
        let state = self.0.state.lock();
        state.topics.get(org).and_then(|t| t.get(topic)).is_some_and(|c| !c.listeners.is_empty())
    }

    /// Every topic somebody listens to now.
    pub fn watched_topics(&self) -> Vec<(OrgId, Topic)> {
        let state = self.0.state.lock();
        let of = |(org, topics): (&OrgId, &HashMap<Topic, Channel>)| {
            topics.iter().filter(|(_, c)| !c.listeners.is_empty()).map(|(t, _)| (org.clone(), t.clone())).collect::<Vec<_>>()
        };
        state.topics.iter().flat_map(of).collect()
    }

    /// Forgets topics that nobody has listened to for two minutes. For a worker, every minute.
    pub fn sweep(&self) {
        let mut state = self.0.state.lock();
        state.topics.retain(|_, topics| {
            topics.retain(|_, c| !c.listeners.is_empty() || c.left.elapsed() < LINGER);
            !topics.is_empty()
        });
    }

    pub(super) fn listen(&self, org: &OrgId, topic: &Topic, from: Option<Position>, inbox: (u64, &Arc<Inbox>)) -> Start {
        let mut state = self.0.state.lock();
        let begin = state.published;
        let channel = state.topics.entry(org.clone()).or_default().entry(topic.clone()).or_insert_with(|| Channel {
            seq: begin,
            forgotten: begin,
            lately: VecDeque::new(),
            points: 0,
            listeners: Vec::new(),
            left: Instant::now(),
        });
        let start = match from.filter(|p| p.epoch == self.0.epoch && (channel.forgotten..=channel.seq).contains(&p.seq)) {
            Some(p) => {
                for (seq, change) in channel.lately.iter().filter(|(seq, _)| *seq > p.seq) {
                    inbox.1.put(topic, *seq, change);
                }
                Start::Resumed
            }
            None => Start::Fresh(channel.seq),
        };
        channel.listeners.retain(|(id, _)| *id != inbox.0);
        channel.listeners.push((inbox.0, Arc::clone(inbox.1)));
        start
    }

    /// Forgets a topic at once that nobody listens to and nothing was published to: it may not exist, so it must take no memory.
    pub(super) fn forget(&self, org: &OrgId, topic: &Topic) {
        let mut state = self.0.state.lock();
        if let Some(topics) = state.topics.get_mut(org)
            && topics.get(topic).is_some_and(|c| c.listeners.is_empty() && c.lately.is_empty())
        {
            topics.remove(topic);
        }
    }

    /// How many topics are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.state.lock().topics.values().map(HashMap::len).sum()
    }

    pub(super) fn leave(&self, org: &OrgId, topic: &Topic, inbox: u64) {
        let mut state = self.0.state.lock();
        if let Some(channel) = state.topics.get_mut(org).and_then(|t| t.get_mut(topic)) {
            channel.listeners.retain(|(id, _)| *id != inbox);
            channel.left = Instant::now();
        }
    }
}

impl Channel {
    fn remember(&mut self, change: Data) {
        self.points += points(&change);
        self.lately.push_back((self.seq, change));
        while self.lately.len() > CHANGES || self.points > POINTS {
            let Some((seq, change)) = self.lately.pop_front() else { break };
            self.points -= points(&change);
            self.forgotten = seq;
        }
    }
}

/// How many points a change carries.
pub(super) fn points(change: &Data) -> usize {
    match change {
        Data::Device(d) => d.points.iter().map(|m| m.points.len()).sum(),
        Data::Counts(_) | Data::Changed => 0,
    }
}

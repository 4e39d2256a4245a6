//! Pure: frames folded per topic, so that a page changes at most once a frame of the screen, and where to resume.

use std::collections::{BTreeMap, BTreeSet};
use wire::{
    live::{Ask, Data, DeviceLive, Position, Tell, Topic},
    overview::FleetCounts,
};

/// While a page is held still, this many points a metric are kept at most (5 minutes at ten a second).
const KEPT_POINTS: usize = 3000;

/// What a topic's listeners get.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The list or object changed: read it again.
    Changed,
    /// The fleet's counts.
    Counts(FleetCounts),
    /// A device's presence and new points.
    Device(DeviceLive),
}

/// The tab's subscriptions and what has arrived for them since the last [`Inbox::take`].
#[derive(Debug, Default)]
pub struct Inbox {
    wanted: BTreeSet<Topic>,
    epoch: u64,
    positions: BTreeMap<Topic, u64>,
    waiting: BTreeMap<Topic, News>,
}

impl Inbox {
    /// Wants a topic; what to send, if the socket is open.
    pub fn want(&mut self, topic: &Topic) -> Option<Ask> {
        self.wanted.insert(topic.clone()).then(|| self.ask(topic))
    }
    /// Wants it no more.
    pub fn leave(&mut self, topic: &Topic) -> Option<Ask> {
        self.positions.remove(topic);
        self.waiting.remove(topic);
        self.wanted.remove(topic).then(|| Ask::Unsubscribe { topic: topic.clone() })
    }
    /// What to send on a new socket: every topic, from where it left off.
    pub fn resume(&self) -> Vec<Ask> {
        self.wanted.iter().map(|topic| self.ask(topic)).collect()
    }
    fn ask(&self, topic: &Topic) -> Ask {
        let from = self.positions.get(topic).map(|seq| Position { epoch: self.epoch, seq: *seq });
        Ask::Subscribe { topic: topic.clone(), from }
    }

    /// Takes a frame in; true when it carried data.
    pub fn put(&mut self, frame: Tell) -> bool {
        match frame {
            Tell::Hello { epoch, .. } => {
                if epoch != self.epoch {
                    self.epoch = epoch;
                    self.positions.clear();
                }
                false
            }
            Tell::Snapshot { topic, seq, data } | Tell::Delta { topic, seq, data } => {
                if self.wanted.contains(&topic) {
                    self.positions.insert(topic.clone(), seq);
                    self.fold(topic, data);
                }
                true
            }
            Tell::Lagged { topic, .. } => {
                // What was folded for us is in the deltas already; a list is read again to be sure.
                if !matches!(topic, Topic::Fleet | Topic::Device(_)) && self.wanted.contains(&topic) {
                    self.waiting.insert(topic, News::Changed);
                }
                false
            }
            Tell::Refused { topic } => {
                self.leave(&topic);
                false
            }
            Tell::Beat { .. } => false,
        }
    }

    fn fold(&mut self, topic: Topic, data: Data) {
        let news = match data {
            Data::Changed => News::Changed,
            Data::Counts(counts) => News::Counts(counts),
            Data::Device(new) => match self.waiting.remove(&topic) {
                Some(News::Device(mut old)) => {
                    merge(&mut old, new);
                    News::Device(old)
                }
                _ => News::Device(new),
            },
        };
        self.waiting.insert(topic, news);
    }

    /// Everything that arrived since the last time, one entry a topic.
    pub fn take(&mut self) -> BTreeMap<Topic, News> {
        std::mem::take(&mut self.waiting)
    }
    /// Whether something waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn merge(old: &mut DeviceLive, new: DeviceLive) {
    old.at = new.at;
    old.online = new.online.or(old.online);
    for series in new.points {
        match old.points.iter_mut().find(|s| s.metric == series.metric) {
            Some(there) => {
                there.points.extend(series.points);
                let excess = there.points.len().saturating_sub(KEPT_POINTS);
                there.points.drain(..excess);
            }
            None => old.points.push(series),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Timestamp, live::MetricPoints};

    fn points(topic: &Topic, seq: u64, online: Option<bool>, points: &[(i64, f64)]) -> Tell {
        let points = vec![MetricPoints { metric: "cpu".into(), points: points.to_vec() }];
        Tell::Delta { topic: topic.clone(), seq, data: Data::Device(DeviceLive { online, points, at: Timestamp(seq as i64) }) }
    }

    #[test]
    fn frames_of_a_topic_become_one_change_and_the_position_is_kept() {
        let topic: Topic = "device/gw-1".parse().unwrap();
        let mut inbox = Inbox::default();
        assert_eq!(inbox.want(&topic), Some(Ask::Subscribe { topic: topic.clone(), from: None }));
        assert_eq!(inbox.want(&topic), None);
        inbox.put(Tell::Hello { epoch: 7, time: Timestamp(0) });
        assert!(inbox.put(points(&topic, 1, Some(true), &[(1, 1.0)])));
        assert!(inbox.put(points(&topic, 2, None, &[(2, 2.0)])));
        let news = inbox.take();
        let News::Device(device) = &news[&topic] else { panic!("not a device") };
        assert_eq!(device.points[0].points, [(1, 1.0), (2, 2.0)]);
        assert_eq!(device.online, Some(true));
        assert!(inbox.is_empty());
        assert_eq!(inbox.resume(), [Ask::Subscribe { topic: topic.clone(), from: Some(Position { epoch: 7, seq: 2 }) }]);
        inbox.put(Tell::Hello { epoch: 8, time: Timestamp(0) });
        assert_eq!(inbox.resume(), [Ask::Subscribe { topic, from: None }]);
    }

    #[test]
    fn a_topic_nobody_wants_is_not_kept() {
        let mut inbox = Inbox::default();
        inbox.put(Tell::Delta { topic: Topic::Rollouts, seq: 1, data: Data::Changed });
        assert!(inbox.is_empty());
        inbox.want(&Topic::Rollouts);
        inbox.put(Tell::Lagged { topic: Topic::Rollouts, skipped: 3 });
        assert_eq!(inbox.take().get(&Topic::Rollouts), Some(&News::Changed));
    }

    #[test]
    fn a_page_held_still_keeps_a_bounded_tail() {
        let topic: Topic = "device/gw-1".parse().unwrap();
        let mut inbox = Inbox::default();
        inbox.want(&topic);
        for seq in 0..(KEPT_POINTS as u64 + 500) {
            inbox.put(points(&topic, seq, None, &[(seq as i64, 0.0)]));
        }
        let News::Device(device) = &inbox.take()[&topic] else { panic!("not a device") };
        assert_eq!(device.points[0].points.len(), KEPT_POINTS);
        assert_eq!(device.points[0].points[0].0, 500);
    }
}

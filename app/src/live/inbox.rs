//! Pure: frames folded per topic, so that a page changes at most once a frame of the screen, and where to resume.

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
    epoch: u64,
    // A page has a handful of topics: a list is enough.
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    topic: Topic,
    /// The last sequence number seen.
    seq: Option<u64>,
    /// What has arrived and waits to be taken.
    news: Option<News>,
}

impl Inbox {
    /// Wants a topic; what to send, if the socket is open.
    pub fn want(&mut self, topic: &Topic) -> Option<Ask> {
        if self.find(topic).is_some() {
            return None;
        }
        self.wanted.push(Wanted { topic: topic.clone(), seq: None, news: None });
        Some(Ask::Subscribe { topic: topic.clone(), from: None })
    }
    /// Wants it no more.
    pub fn leave(&mut self, topic: &Topic) -> Option<Ask> {
        let before = self.wanted.len();
        self.wanted.retain(|w| w.topic != *topic);
        (self.wanted.len() < before).then(|| Ask::Unsubscribe { topic: topic.clone() })
    }
    /// What to send on a new socket: every topic, from where it left off.
    pub fn resume(&self) -> Vec<Ask> {
        let from = |w: &Wanted| w.seq.map(|seq| Position { epoch: self.epoch, seq });
        self.wanted.iter().map(|w| Ask::Subscribe { topic: w.topic.clone(), from: from(w) }).collect()
    }
    fn find(&mut self, topic: &Topic) -> Option<&mut Wanted> {
        self.wanted.iter_mut().find(|w| w.topic == *topic)
    }

    /// Takes a frame in; true when it carried data.
    pub fn put(&mut self, frame: Tell) -> bool {
        match frame {
            Tell::Hello { epoch, .. } => {
                if epoch != self.epoch {
                    self.epoch = epoch;
                    self.wanted.iter_mut().for_each(|w| w.seq = None);
                }
                false
            }
            Tell::Snapshot { topic, seq, data } | Tell::Delta { topic, seq, data } => {
                if let Some(wanted) = self.find(&topic) {
                    wanted.seq = Some(seq);
                    wanted.fold(data);
                }
                true
            }
            Tell::Lagged { topic, .. } => {
                // What was folded for us is in the deltas already; a list is read again to be sure.
                if !matches!(topic, Topic::Fleet | Topic::Device(_))
                    && let Some(wanted) = self.find(&topic)
                {
                    wanted.news = Some(News::Changed);
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

    /// Everything that arrived since the last time, one entry a topic.
    pub fn take(&mut self) -> Vec<(Topic, News)> {
        self.wanted.iter_mut().filter_map(|w| Some((w.topic.clone(), w.news.take()?))).collect()
    }
    /// Whether something waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.wanted.iter().all(|w| w.news.is_none())
    }
}

impl Wanted {
    fn fold(&mut self, data: Data) {
        self.news = Some(match (data, self.news.take()) {
            (Data::Changed, _) => News::Changed,
            (Data::Counts(counts), _) => News::Counts(counts),
            (Data::Device(new), Some(News::Device(mut old))) => {
                merge(&mut old, new);
                News::Device(old)
            }
            (Data::Device(new), _) => News::Device(new),
        });
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
        Tell::Delta { topic: topic.clone(), seq, data: Data::Device(DeviceLive { online, points, at: Timestamp(seq.cast_signed()) }) }
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
        let News::Device(device) = &news[0].1 else { panic!("not a device") };
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
        assert_eq!(inbox.take(), [(Topic::Rollouts, News::Changed)]);
    }

    #[test]
    fn a_page_held_still_keeps_a_bounded_tail() {
        let topic: Topic = "device/gw-1".parse().unwrap();
        let mut inbox = Inbox::default();
        inbox.want(&topic);
        for seq in 0..(KEPT_POINTS as u64 + 500) {
            inbox.put(points(&topic, seq, None, &[(seq.cast_signed(), 0.0)]));
        }
        let News::Device(device) = &inbox.take()[0].1 else { panic!("not a device") };
        assert_eq!(device.points[0].points.len(), KEPT_POINTS);
        assert_eq!(device.points[0].points[0].0, 500);
    }
}

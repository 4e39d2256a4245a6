//! Who would be where in a plan that has not begun, as it was found a few seconds ago at most: the pages of one list don't each walk the fleet. Owns how
//! long that is shown again, and of how many devices; refuses to know how it was found.

use super::survey::{Miss, Target};
use crate::devices::DeviceNo;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use wire::ids::Digest;

/// How long a list is shown again.
const FRESH: Duration = Duration::from_secs(5);
/// Most devices on all lists that are kept, some 100 bytes each.
const MOST: usize = 500_000;

/// A device that a plan's selector matches.
#[derive(Debug)]
pub(super) struct Seen {
    pub device: DeviceNo,
    pub name: String,
    /// Why the plan is not for it.
    pub missed: Option<Miss>,
    /// In which stage it is, from 1; none also where no stage takes it.
    pub stage: Option<u32>,
    /// Whether that stage's turn comes too early for it: it has used up its data budget.
    pub late: bool,
}

/// All of them, by device number.
#[derive(Debug)]
pub(super) struct Placed {
    /// Whose words the reasons are.
    pub target: Target,
    /// Why those that are late are.
    pub late: String,
    /// Of those that are pinned: by whom, when and why.
    pub pinned: HashMap<DeviceNo, String>,
    pub seen: Vec<Seen>,
}

/// The lists of the last seconds, by the digests of what was drawn: the plan, its release, and the draw.
#[derive(Debug)]
pub(super) struct Lists {
    most: usize,
    kept: Mutex<VecDeque<(Digest, Instant, Arc<Placed>)>>,
}

impl Default for Lists {
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Lists {
    const fn of(most: usize) -> Self {
        Self { most, kept: Mutex::new(VecDeque::new()) }
    }

    /// The list of this digest, where it is fresh.
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Placed>> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        kept.retain(|(_, at, _)| now.duration_since(*at) < FRESH);
        kept.iter().find(|(of, ..)| of == digest).map(|(.., list)| Arc::clone(list))
    }

    /// Keeps a list that was begun at this instant, unless it is too long; older ones make room for it.
    pub(super) fn keep(&self, digest: Digest, at: Instant, list: Placed) -> Arc<Placed> {
        let list = Arc::new(list);
        let mut kept = self.kept.lock();
        kept.retain(|(of, ..)| *of != digest);
        kept.push_back((digest, at, Arc::clone(&list)));
        // An empty one takes its room too.
        let mut devices: usize = kept.iter().map(|(.., list)| list.seen.len().max(1)).sum();
        while devices > self.most
            && let Some((.., oldest)) = kept.pop_front()
        {
            devices -= oldest.seen.len().max(1);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::Selector;

    fn digest(n: u8) -> Digest {
        format!("{n:064x}").parse().unwrap()
    }

    fn placed(devices: DeviceNo) -> Placed {
        let target = Target {
            device_type: "gateway".into(),
            hardware: vec![],
            version: "2.0.0".into(),
            sequence: 2,
            min_sequence: 0,
            runs: None,
            selector: Selector::parse("-tag:lab").unwrap(),
            signed: None,
        };
        let seen = (1..=devices).map(|device| Seen { device, name: format!("gw-{device}"), missed: None, stage: Some(1), late: false });
        Placed { target, late: String::new(), pinned: HashMap::new(), seen: seen.collect() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_shown_again_for_a_few_seconds() {
        let lists = Lists::default();
        lists.keep(digest(1), Instant::now(), placed(3));
        tokio::time::advance(Duration::from_millis(4_999)).await;
        assert_eq!(lists.get(&digest(1)).unwrap().seen.len(), 3);
        assert!(lists.get(&digest(2)).is_none(), "of another plan, or by another draw");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(lists.get(&digest(1)).is_none());
        assert!(lists.kept.lock().is_empty(), "nothing is left of it");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_devices_are_kept_than_there_is_room_for() {
        let lists = Lists::of(10);
        for (n, devices) in [(1, 4), (2, 4), (1, 5), (3, 3)] {
            assert_eq!(lists.keep(digest(n), Instant::now(), placed(devices)).seen.len(), usize::try_from(devices).unwrap());
        }
        let lengths = |lists: &Lists| [1, 2, 3].map(|n| lists.get(&digest(n)).map(|list| list.seen.len()));
        assert_eq!(lengths(&lists), [Some(5), None, Some(3)], "the oldest has gone");
        assert_eq!(lists.keep(digest(2), Instant::now(), placed(11)).seen.len(), 11, "it is shown");
        assert_eq!(lengths(&lists), [None; 3], "and not kept");
    }
}

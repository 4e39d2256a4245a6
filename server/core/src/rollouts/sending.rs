//! What devices were sent of a release that they only fetch, by either protocol and over any instance: their word that they have it counts for what
//! was sent. Keyed by device and content, because a second attempt need not fetch again what the first has left. Of what is installed nothing is
//! kept: there a success is what the device runs.

use super::{
    Rollouts,
    ddi::Action,
    store::{sent, updates},
};
use crate::{Result, devices::DeviceNo};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, ops::Range};
use wire::ids::{Digest, OrgId, UpdateId};

/// Most ranges that are kept of one file. Who reads it in more pieces, each apart from the others, is not believed to have it all.
const MOST: usize = 1000;

/// Ranges of a file, in order and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Portions(Vec<(u64, u64)>);

impl Portions {
    /// One more, joined with what it touches.
    fn add(&mut self, more: &Range<u64>) {
        let (mut from, mut until) = (more.start, more.end);
        if from >= until {
            return;
        }
        self.0.retain(|&(first, behind)| {
            let touches = first <= until && from <= behind;
            if touches {
                (from, until) = (from.min(first), until.max(behind));
            }
            !touches
        });
        if self.0.len() < MOST {
            let at = self.0.partition_point(|&(first, _)| first < from);
            self.0.insert(at, (from, until));
        }
    }

    /// Whether they are all of a file of this size.
    fn is_all(&self, size: u64) -> bool {
        size == 0 || matches!(self.0.as_slice(), [(0, behind)] if *behind >= size)
    }
}

/// For which update a device fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetching {
    /// Its organization.
    pub org: OrgId,
    /// The device.
    pub device: DeviceNo,
    /// The update.
    pub update: UpdateId,
    /// After how many milliseconds of silence that times out.
    pub timeout_ms: i64,
    /// Whether what is sent is to be noted: the update is over when it is there.
    pub counted: bool,
}

impl From<&Action> for Fetching {
    fn from(action: &Action) -> Self {
        Self {
            org: action.org.clone(),
            device: action.device,
            update: action.update.clone(),
            timeout_ms: action.timeout_ms,
            counted: action.timing.download_only,
        }
    }
}

/// A file of a release, and what a device was sent of it.
#[derive(Debug)]
pub(super) struct File {
    pub sha256: String,
    pub size: u64,
    pub sent: Portions,
}

/// A delta from one file to another, and what a device was sent of it.
#[derive(Debug)]
pub(super) struct Difference {
    pub target: String,
    pub base: String,
    pub size: u64,
    pub sent: Portions,
}

/// What a device can have of a release.
#[derive(Debug, Default)]
pub(super) struct Shipment {
    pub files: Vec<File>,
    pub differences: Vec<Difference>,
    /// The files of the release that it says it runs.
    pub runs: HashSet<String>,
}

impl Shipment {
    /// Whether the device can have all of it: each file is one that it runs, or was sent whole, or as a whole delta to what it runs.
    pub(super) fn is_there(&self) -> bool {
        let by_delta = |file: &File| {
            let leads = |d: &&Difference| d.target == file.sha256 && self.runs.contains(&d.base);
            self.differences.iter().filter(leads).any(|d| d.sent.is_all(d.size))
        };
        self.files.iter().all(|file| self.runs.contains(&file.sha256) || file.sent.is_all(file.size) || by_delta(file))
    }
}

impl Rollouts {
    /// These bytes of a file go to a device. When this returns it is written down, so that the device's word which follows is judged by it on whatever
    /// instance.
    pub async fn was_sent(&self, to: &Fetching, file: &Digest, part: &Range<u64>) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let mut all = sent::hold(&mut tx, to, file, now).await?;
        all.add(part);
        sent::set(&mut tx, to, file, &all, now).await?;
        updates::alive(&mut tx, &to.update, now.plus(to.timeout_ms)).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_in_any_order_are_a_whole_when_none_is_missing() {
        let mut sent = Portions::default();
        assert!(!sent.is_all(10) && sent.is_all(0));
        for part in [4..6, 0..2, 8..10, 2..4] {
            sent.add(&part);
        }
        assert_eq!(sent, Portions(vec![(0, 6), (8, 10)]));
        assert!(!sent.is_all(10));
        sent.add(&(5..9));
        assert_eq!((sent.is_all(10), sent.is_all(11)), (true, false));
    }

    #[test]
    fn a_file_is_there_that_runs_or_was_sent_whole_or_as_a_delta_to_what_runs() {
        let sent = |until: u64| {
            let mut sent = Portions::default();
            sent.add(&(0..until));
            sent
        };
        let shipment = |whole: u64, delta: u64, runs: &[&str]| Shipment {
            files: vec![File { sha256: "new".into(), size: 10, sent: sent(whole) }, File { sha256: "kept".into(), size: 5, sent: sent(0) }],
            differences: vec![Difference { target: "new".into(), base: "old".into(), size: 3, sent: sent(delta) }],
            runs: runs.iter().map(|sha256| (*sha256).to_owned()).collect(),
        };
        assert!(shipment(10, 0, &["kept"]).is_there(), "sent whole");
        assert!(shipment(0, 3, &["kept", "old"]).is_there(), "made of a delta");
        assert!(shipment(0, 0, &["kept", "new"]).is_there(), "it runs both");
        for (whole, delta, runs) in
            [(9, 2, &["kept", "old"][..]), (0, 3, &["kept"][..]), (10, 3, &["old"][..]), (0, 0, &["kept", "old"][..])]
        {
            assert!(!shipment(whole, delta, runs).is_there(), "{whole} {delta} {runs:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_sent(parts in prop::collection::vec((0_u64..60, 0_u64..20), 0..30)) {
            let mut sent = Portions::default();
            for (from, length) in &parts {
                sent.add(&(*from..from + length));
            }
            for byte in 0..90 {
                let kept = sent.0.iter().any(|(first, behind)| (*first..*behind).contains(&byte));
                prop_assert_eq!(kept, parts.iter().any(|(from, length)| (*from..from + length).contains(&byte)));
            }
            prop_assert!(sent.0.is_sorted_by(|a, b| a.1 < b.0), "in order, and apart");
        }
    }
}

//! What devices were sent of a release that they only fetch, by either protocol and over any instance: their word that they have it counts for what
//! was sent. Keyed by device and content, because a second attempt need not fetch again what the first has left. Of what is installed it is kept only that
//! the end of a file was sent, and only by hawkBit's protocol, which has no word for what runs: elsewhere a success is what the device runs.

use super::{
    Rollouts,
    ddi::Action,
    store::{sent, updates},
};
use crate::{Result, devices::DeviceNo};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, ops::Range, path::Path};
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
    pub name: String,
    pub size: u64,
    pub sent: Portions,
    /// Its end was sent, from wherever the device went on.
    pub to_end: bool,
}

impl File {
    /// Whether SWUpdate takes it; where it finds any, it passes over all the others.
    fn is_image(&self) -> bool {
        Path::new(&self.name).extension().is_some_and(|ending| ending == "swu")
    }
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
        self.files.iter().all(|file| self.runs.contains(&file.sha256) || file.sent.is_all(file.size) || self.by_delta(file))
    }

    /// Whether the device fetched all of it that a client installs: each file, or each image where there are some, to its end at least, or as a whole
    /// delta to what it runs. What it runs already speaks for no success.
    pub(super) fn was_fetched(&self) -> bool {
        let images = self.files.iter().any(File::is_image);
        let mut installed = self.files.iter().filter(|file| !images || file.is_image());
        installed.all(|file| file.to_end || file.sent.is_all(file.size) || self.by_delta(file))
    }

    fn by_delta(&self, file: &File) -> bool {
        let leads = |d: &&Difference| d.target == file.sha256 && self.runs.contains(&d.base);
        self.differences.iter().filter(leads).any(|d| d.sent.is_all(d.size))
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

    /// The end of a file of what an action installs goes to its device. When this returns it is written down, so that the success which follows is judged
    /// by it on whatever instance.
    pub async fn goes_to_end(&self, action: &Action, file: &Digest) -> Result<()> {
        let mut tx = self.db.write().await?;
        sent::to_end(&mut tx, action, file, self.clock.now()).await?;
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

    fn file(sha256: &str, name: &str, size: u64, sent: Portions) -> File {
        File { sha256: sha256.into(), name: name.into(), size, sent, to_end: false }
    }

    #[test]
    fn a_release_was_fetched_whose_every_file_was_sent_to_its_end_or_every_image() {
        let sent = |ends: &[&str], files: &[&str]| {
            let of = |name: &&str| File { to_end: ends.contains(name), ..file(name, name, 10, Portions::default()) };
            Shipment { files: files.iter().map(of).collect(), ..Shipment::default() }.was_fetched()
        };
        let all = ["one.bin", "two.bin"];
        assert!(sent(&all, &all));
        assert!(!sent(&all[..1], &all) && !sent(&[], &all), "another one was not");
        let mixed = ["one.swu", "two.swu", "notes.txt"];
        assert!(sent(&mixed[..2], &mixed), "SWUpdate fetches nothing else");
        assert!(!sent(&mixed[1..], &mixed));
        let mut whole = Portions::default();
        whole.add(&(0..10));
        let earlier = Shipment { files: vec![file("a", "a.bin", 10, whole)], ..Shipment::default() };
        assert!(earlier.was_fetched(), "it was fetched only, by another action");
        let runs = HashSet::from(["a".to_owned()]);
        let same = Shipment { files: vec![file("a", "a.bin", 10, Portions::default())], runs, ..Shipment::default() };
        assert!(same.is_there() && !same.was_fetched(), "that it ran it before is no sign of an update");
    }

    #[test]
    fn a_file_is_there_that_runs_or_was_sent_whole_or_as_a_delta_to_what_runs() {
        let sent = |until: u64| {
            let mut sent = Portions::default();
            sent.add(&(0..until));
            sent
        };
        let shipment = |whole: u64, delta: u64, runs: &[&str]| Shipment {
            files: vec![file("new", "new.bin", 10, sent(whole)), file("kept", "kept.bin", 5, sent(0))],
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

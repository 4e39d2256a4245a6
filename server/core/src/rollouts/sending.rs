//! What devices were sent of a release, over any instance. Of one that they only fetch, by either protocol: their word that they have it counts for what
//! was sent. Of one that they install only by hawkBit's protocol, which has no word for what runs: elsewhere a success is what the device runs. Keyed by
//! device and content, because a second attempt need not fetch again what the first has left; but what was sent before an installation of the release
//! ended badly speaks for no later action: the device may have thrown it away.

use super::{
    Error, Rollouts,
    ddi::Action,
    reporting::MAX_DETAIL,
    store::{
        log::{self, NewLine},
        sent::{self, Ending},
        updates,
    },
};
use crate::{
    Result,
    db::{self, Tx},
    devices::DeviceNo,
    text::spaced,
};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, ops::Range, path::Path};
use wire::{
    Timestamp,
    ids::{Digest, OrgId, UpdateId},
    manifest::Payload,
    updates::MOST_LINES,
};

/// Most ranges that are kept of one file, about 20 KiB. Who reads it in more pieces, each apart from the others, is not believed to have it all.
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
    /// Whether the update is over when what is sent is there.
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

    /// Whether the device fetched all of it that a client installs: each file, or each image where there are some, whole, or as a whole delta to what it
    /// runs. The end alone is not enough: a client that checks a signature reads it first. What it runs already speaks for no success.
    pub(super) fn was_fetched(&self) -> bool {
        let images = self.files.iter().any(File::is_image);
        let mut installed = self.files.iter().filter(|file| !images || file.is_image());
        installed.all(|file| file.sent.is_all(file.size) || self.by_delta(file))
    }

    fn by_delta(&self, file: &File) -> bool {
        let leads = |d: &&Difference| d.target == file.sha256 && self.runs.contains(&d.base);
        self.differences.iter().filter(leads).any(|d| d.sent.is_all(d.size))
    }
}

impl Rollouts {
    /// A device asks for a file of its action, from this byte to the end: its silence begins anew. Where it was sent some of it for this update before, it
    /// was cut off there, or has begun once more by itself; it has no word for that, so the log says it.
    pub async fn fetches(&self, action: &Action, file: &Payload, from: u64) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        if action.open() {
            updates::alive(&mut tx, &action.update, now.plus(action.timeout_ms)).await?;
        }
        if sent::is_sent_for(&mut tx, action.device, &file.sha256, &action.update).await? {
            let line = spaced(&again(&file.name, from), MAX_DETAIL);
            let line = NewLine::new(&action.org, &action.update, now, &line);
            if !log::repeats(&mut tx, &line).await? {
                log::say(&mut tx, &[line]).await?;
                log::trim(&mut tx, &action.update, MOST_LINES).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// These bytes of a file go to a device. When this returns it is written down, so that the device's word which follows is judged by it on whatever
    /// instance. Nothing more of what was taken back goes, unless its device refuses to stop: a download that runs is cut at its next part.
    pub async fn was_sent(&self, to: &Fetching, file: &Digest, part: &Range<u64>) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        if sent::is_taken_back(&mut tx, &to.update).await? {
            return Err(Error::NotNow("The update was taken back.".to_owned()).into());
        }
        let mut all = sent::hold(&mut tx, to, file, now).await?;
        all.add(part);
        sent::set(&mut tx, to, file, &all, now).await?;
        updates::alive(&mut tx, &to.update, now.plus(to.timeout_ms)).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What the log says of a device that asks for a file once more.
fn again(name: &str, from: u64) -> String {
    if from == 0 { format!("asks for {name} again, from its beginning") } else { format!("asks for {name} again, from byte {from} on") }
}

/// Forgets what a device was sent of the release of an update whose action begins, where an installation of that has ended badly since.
pub(super) async fn begins_anew(tx: &mut Tx, device: DeviceNo, update: &UpdateId) -> Result<(), db::Error> {
    let endings = sent::bad_endings(tx, device, update).await?;
    match last_bad(&endings) {
        Some(at) => sent::forget_until(tx, device, update, at).await,
        None => Ok(()),
    }
}

/// When an installation ended badly last. What was only to be fetched has changed nothing on the device, however it ended.
fn last_bad(endings: &[Ending]) -> Option<Timestamp> {
    endings.iter().filter(|ending| !ending.download_only).map(|ending| ending.at).max()
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
        File { sha256: sha256.into(), name: name.into(), size, sent }
    }

    fn parts(parts: &[(u64, u64)]) -> Portions {
        let mut sent = Portions::default();
        for (from, until) in parts {
            sent.add(&(*from..*until));
        }
        sent
    }

    #[test]
    fn a_release_was_fetched_whose_every_file_was_sent_whole_or_every_image() {
        let sent = |whole: &[&str], files: &[&str]| {
            let of = |name: &&str| file(name, name, 10, parts(&[(u64::from(!whole.contains(name)), 10)]));
            Shipment { files: files.iter().map(of).collect(), ..Shipment::default() }.was_fetched()
        };
        let all = ["one.bin", "two.bin"];
        assert!(sent(&all, &all));
        assert!(!sent(&all[..1], &all) && !sent(&[], &all), "another one lacks its beginning");
        let mixed = ["one.swu", "two.swu", "notes.txt"];
        assert!(sent(&mixed[..2], &mixed), "SWUpdate fetches nothing else");
        assert!(!sent(&mixed[1..], &mixed));
        let of = |sent: Portions| Shipment { files: vec![file("a", "a.bin", 10, sent)], ..Shipment::default() };
        assert!(!of(parts(&[(8, 10)])).was_fetched(), "who reads a signature begins at the end");
        assert!(of(parts(&[(8, 10), (0, 4), (4, 8)])).was_fetched(), "and has it all when it has read the rest");
        let runs = HashSet::from(["a".to_owned()]);
        let same = Shipment { runs, ..of(Portions::default()) };
        assert!(same.is_there() && !same.was_fetched(), "that it ran it before is no sign of an update");
    }

    #[test]
    fn only_an_installation_that_ended_badly_makes_what_was_sent_before_it_worthless() {
        let ending = |at, download_only| Ending { at: Timestamp(at), download_only };
        assert_eq!(last_bad(&[]), None);
        assert_eq!(last_bad(&[ending(3, true)]), None);
        assert_eq!(last_bad(&[ending(3, true), ending(1, false), ending(2, false)]), Some(Timestamp(2)));
    }

    #[test]
    fn ranges_that_are_kept_are_bounded_and_what_joins_them_still_counts() {
        let mut sent = Portions::default();
        for n in 0..2 * MOST as u64 {
            sent.add(&(3 * n..3 * n + 1));
        }
        assert_eq!(sent.0.len(), MOST);
        sent.add(&(0..6 * MOST as u64));
        assert!(sent.is_all(6 * MOST as u64), "{sent:?}");
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

//! What devices that speak hawkBit's protocol were sent of a release that they only fetch: their word that they have it counts for what was sent. Keyed by
//! device and content, because a second attempt need not fetch again what the first has left.

use super::{
    Rollouts,
    ddi::Action,
    store::{ddi, updates},
};
use crate::Result;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use wire::ids::Digest;

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

impl Rollouts {
    /// These bytes of a file went to the device of an action.
    pub async fn was_sent(&self, action: &Action, file: &Digest, part: &Range<u64>) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let mut sent = ddi::hold_sent(&mut tx, action, file, now).await?;
        sent.add(part);
        ddi::set_sent(&mut tx, action, file, &sent, now).await?;
        updates::alive(&mut tx, &action.update, now.plus(action.timeout_ms)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether the device of an action was sent every byte of what the action is about.
    pub async fn has_all(&self, action: &Action) -> Result<bool> {
        // What was recalled is taken back, whatever the device has of it.
        let Some(release) = self.content(action).await? else { return Ok(true) };
        let mut on = self.db.read().await?;
        for file in &release.manifest.payloads {
            if !ddi::sent(&mut on, action.device, &file.sha256).await?.is_all(file.size) {
                return Ok(false);
            }
        }
        Ok(true)
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

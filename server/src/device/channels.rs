//! Channels that are open, by device, so that one listener of the bus can nudge those concerned instead of waking ten thousand.

use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Notify;
use wire::ids::OrgId;

type Open = HashMap<(OrgId, i64), Vec<(u64, Arc<Notify>)>>;

/// The registry. A clone is the same registry.
///
/// A nudge says "look", never at what: the channel compares what it told its device with what stands. So nudges may fall together, and none
/// that came before a look is lost.
#[derive(Debug, Clone, Default)]
pub struct Channels(Arc<Mutex<(u64, Open)>>);

/// A channel's place in the registry; leaving it takes the place back.
#[derive(Debug)]
pub struct Place {
    channels: Channels,
    key: (OrgId, i64),
    id: u64,
    nudge: Arc<Notify>,
}

impl Place {
    /// Waits for the next nudge; at once when one came since the last.
    pub async fn nudged(&self) {
        self.nudge.notified().await;
    }
}

impl Channels {
    /// A new channel of this device.
    pub fn join(&self, org: &OrgId, device: i64) -> Place {
        let nudge = Arc::<Notify>::default();
        let key = (org.clone(), device);
        let mut inner = self.0.lock();
        inner.0 += 1;
        let id = inner.0;
        inner.1.entry(key.clone()).or_default().push((id, Arc::clone(&nudge)));
        drop(inner);
        Place { channels: self.clone(), key, id, nudge }
    }

    /// Nudges one device's channels.
    pub fn nudge(&self, org: &OrgId, device: i64) {
        if let Some(open) = self.0.lock().1.get(&(org.clone(), device)) {
            for (_, nudge) in open {
                nudge.notify_one();
            }
        }
    }

    /// Nudges every channel of the organization.
    pub fn nudge_all(&self, org: &OrgId) {
        self.nudge_those(|of| of == org);
    }

    /// Nudges every channel there is.
    pub fn nudge_everybody(&self) {
        self.nudge_those(|_| true);
    }

    fn nudge_those(&self, which: impl Fn(&OrgId) -> bool) {
        let inner = self.0.lock();
        inner.1.iter().filter(|((org, _), _)| which(org)).flat_map(|(_, open)| open).for_each(|(_, nudge)| nudge.notify_one());
    }

    /// How many channels are open.
    pub fn len(&self) -> usize {
        self.0.lock().1.values().map(Vec::len).sum()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.0.lock().1.is_empty()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.channels.0.lock();
        if let Some(open) = inner.1.get_mut(&self.key) {
            open.retain(|(id, _)| *id != self.id);
            if open.is_empty() {
                inner.1.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn a_nudge_is_never_lost_and_reaches_only_those_concerned() {
        let (one, two): (OrgId, OrgId) =
            ("org_00000000000000000000000000000001".parse().unwrap(), "org_00000000000000000000000000000002".parse().unwrap());
        let channels = Channels::default();
        let (a, b) = (channels.join(&one, 1), channels.join(&two, 2));
        let nudged = |p: &Place| p.nudged().now_or_never().is_some();
        for _ in 0..100 {
            channels.nudge(&one, 1);
        }
        assert!(nudged(&a) && !nudged(&a), "many nudges before a look are one");
        channels.nudge_all(&two);
        assert!(!nudged(&a) && nudged(&b));
        channels.nudge_everybody();
        assert!(nudged(&a) && nudged(&b));
        drop((a, b));
        assert!(channels.is_empty());
    }
}

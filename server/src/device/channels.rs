//! Channels that are open, by device, so that one listener of the bus can nudge those concerned instead of waking ten thousand.

use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::mpsc;
use wire::ids::{OrgId, UpdateId};

/// Something a channel should look at.
#[derive(Debug, Clone)]
pub enum Nudge {
    /// There may be an offer: ask.
    Ask,
    /// This update was taken back: tell.
    Cancel(UpdateId),
}

type Open = HashMap<(OrgId, i64), Vec<(u64, mpsc::Sender<Nudge>)>>;

/// The registry. A clone is the same registry.
#[derive(Debug, Clone, Default)]
pub struct Channels(Arc<Mutex<(u64, Open)>>);

/// A channel's place in the registry; leaving it takes the place back.
#[derive(Debug)]
pub struct Place {
    channels: Channels,
    key: (OrgId, i64),
    id: u64,
}

impl Channels {
    /// A new channel of this device. Nudges that find the queue full are dropped: the one in it already makes the channel look.
    pub fn join(&self, org: &OrgId, device: i64) -> (Place, mpsc::Receiver<Nudge>) {
        let (sender, receiver) = mpsc::channel(4);
        let key = (org.clone(), device);
        let mut inner = self.0.lock();
        inner.0 += 1;
        let id = inner.0;
        inner.1.entry(key.clone()).or_default().push((id, sender));
        drop(inner);
        (Place { channels: self.clone(), key, id }, receiver)
    }

    /// Nudges one device's channels.
    pub fn nudge(&self, org: &OrgId, device: i64, nudge: &Nudge) {
        if let Some(open) = self.0.lock().1.get(&(org.clone(), device)) {
            for (_, sender) in open {
                let _ = sender.try_send(nudge.clone());
            }
        }
    }

    /// Nudges every channel of the organization.
    pub fn nudge_all(&self, org: &OrgId) {
        for ((of, _), open) in &self.0.lock().1 {
            if of == org {
                for (_, sender) in open {
                    let _ = sender.try_send(Nudge::Ask);
                }
            }
        }
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

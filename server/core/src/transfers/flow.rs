//! One download under way: its pieces wait for their turns, and its bytes are counted. A download without limits waits for nothing and asks nobody.

use super::{
    UnderWay,
    governor::{self, Share},
    store::Shared,
};
use crate::devices::DeviceNo;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A download to a device. When it is dropped, what was sent is counted.
pub struct Flow {
    under_way: Arc<UnderWay>,
    device: DeviceNo,
    /// The narrowest first, so that nothing waits for a slow site with a turn of everybody's.
    shares: Vec<Share>,
    piece: Option<usize>,
    sent: AtomicU64,
}

impl Flow {
    pub(super) fn new(under_way: Arc<UnderWay>, device: DeviceNo, shared: Option<Shared>) -> Self {
        let mut limits = Vec::new();
        if let Some(Shared { org, bandwidth, site, rollout }) = shared {
            limits.extend(rollout.map(|(rollout, rate)| (Share::Rollout(rollout), rate)));
            limits.extend(site.map(|(site, rate)| (Share::Site(org.clone(), site), rate)));
            limits.extend(bandwidth.map(|rate| (Share::Organization(org), rate)));
        }
        let piece = limits.iter().map(|(_, rate)| *rate).min().map(governor::piece);
        if !limits.is_empty() {
            let now = micros(&under_way);
            let mut governor = under_way.governor.lock();
            for (share, rate) in &limits {
                governor.join(share, *rate, now);
            }
        }
        let shares = limits.into_iter().map(|(share, _)| share).collect();
        Self { under_way, device, shares, piece, sent: AtomicU64::new(0) }
    }

    /// Most bytes of a piece, 64 KiB at most; none when there is no limit and pieces are as large as they come.
    pub const fn piece(&self) -> Option<usize> {
        self.piece
    }

    /// Resolves when a piece may go.
    pub async fn turn(&self, bytes: usize) {
        for share in &self.shares {
            let wait = self.under_way.governor.lock().take(share, bytes as u64, micros(&self.under_way));
            if wait > 0 {
                tokio::time::sleep(Duration::from_micros(wait.unsigned_abs())).await;
            }
        }
    }

    /// Counts a piece.
    pub fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let bytes = *self.sent.get_mut();
        if bytes > 0 {
            *self.under_way.sent.lock().entry(self.device).or_default() += bytes;
        }
    }
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flow(to {} by {:?})", self.device, self.shares)
    }
}

fn micros(under_way: &UnderWay) -> i64 {
    under_way.clock.steady().saturating_mul(1000)
}

//! Devices of registered authorities that were seen for the first time, on their way from the handshake to the worker that decides about them: bounded
//! in number and in pace, because the handshake waits for nobody (E-10, A-32). Refuses to know what becomes of them.

use super::{
    super::{csr::sha256, peer::Fingerprint},
    RegisteredAnchor,
};
use parking_lot::Mutex;
use std::{collections::HashMap, net::IpAddr, sync::Arc};
use tokio::sync::mpsc;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

/// Most that wait. Each is at most 8 KiB.
const WAITING: usize = 1024;
/// Most of one authority in [`WINDOW`].
const PACE: u32 = 3000;
/// The same of those that were refused for what they are: nobody has proved a key there.
const UNFIT_PACE: u32 = 100;
/// Milliseconds in which the pace is counted, and for which a certificate that was decided on is not brought up again.
const WINDOW: i64 = 60_000;
/// The longest that a handshake takes, in milliseconds.
const HANDSHAKE: i64 = 30_000;
/// Most certificates that are remembered as brought up, and most that are expected.
const REMEMBERED: usize = 8192;

/// A certificate of an active registered authority that nobody knows yet. Its chain was checked, and whoever showed it has proved its key; or it was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The authority its chain ends in.
    pub authority: AuthorityId,
    /// That authority's organization.
    pub org: OrgId,
    /// The certificate, DER.
    pub leaf: Vec<u8>,
    /// From where; none when the listener does not know.
    pub from: Option<IpAddr>,
    /// Why its handshake was refused, though the authority has signed it: a word for the books. There is nothing to decide then, only to tell.
    pub unfit: Option<&'static str>,
}

/// What was brought up lately.
#[derive(Debug, Default)]
struct Lane {
    brought_up: HashMap<Fingerprint, Timestamp>,
    /// By authority: when its minute began, and how many came in it.
    pace: HashMap<AuthorityId, (Timestamp, u32)>,
}

impl Lane {
    fn has(&self, fingerprint: &Fingerprint, now: Timestamp) -> bool {
        self.brought_up.get(fingerprint).is_some_and(|at| now.since(*at).abs() < WINDOW)
    }

    /// Sends it on, unless that was done within the last minute, its authority has brought up `most`, or too many wait.
    fn send(&mut self, queue: &mpsc::Sender<Arrival>, (arrival, fingerprint): (Arrival, Fingerprint), most: u32, now: Timestamp) -> bool {
        if self.has(&fingerprint, now) {
            return false;
        }
        if self.brought_up.len() >= REMEMBERED {
            self.brought_up.retain(|_, at| now.since(*at).abs() < WINDOW);
        }
        let (began, count) = self.pace.get(&arrival.authority).copied().filter(|(at, _)| now.since(*at).abs() < WINDOW).unwrap_or((now, 0));
        if count >= most || self.brought_up.len() >= REMEMBERED {
            return false;
        }
        let authority = arrival.authority.clone();
        if queue.try_send(arrival).is_err() {
            return false;
        }
        self.pace.insert(authority, (began, count + 1));
        self.brought_up.insert(fingerprint, now);
        true
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// Chains that were checked, of handshakes whose other side has yet to prove its key.
    expected: HashMap<Fingerprint, (Timestamp, Arc<RegisteredAnchor>)>,
    to_decide: Lane,
    /// Apart, so that whoever shows somebody's certificate in a way that is refused keeps nobody out.
    unfit: Lane,
}

/// The way in.
#[derive(Debug)]
pub(in crate::pki) struct Arrivals {
    queue: mpsc::Sender<Arrival>,
    seen: Mutex<Seen>,
}

/// The other end; the `devices` room's worker holds it.
pub(in crate::pki) type Waiting = mpsc::Receiver<Arrival>;

impl Arrivals {
    pub fn new() -> (Self, Waiting) {
        let (queue, waiting) = mpsc::channel(WAITING);
        (Self { queue, seen: Mutex::default() }, waiting)
    }

    /// Expects the other side of a handshake to prove the key of this certificate; `false` when its fate was decided within the last minute, or too many
    /// are expected: then the handshake may end here.
    pub fn expect(&self, fingerprint: Fingerprint, anchor: &Arc<RegisteredAnchor>, now: Timestamp) -> bool {
        let mut seen = self.seen.lock();
        if seen.to_decide.has(&fingerprint, now) {
            return false;
        }
        if seen.expected.len() >= REMEMBERED {
            seen.expected.retain(|_, (at, _)| now.since(*at).abs() < HANDSHAKE);
        }
        if seen.expected.len() >= REMEMBERED {
            return false;
        }
        seen.expected.insert(fingerprint, (now, Arc::clone(anchor)));
        true
    }

    /// The authority in which the chain of an expected certificate ends.
    pub fn expected(&self, fingerprint: &Fingerprint) -> Option<Arc<RegisteredAnchor>> {
        self.seen.lock().expected.get(fingerprint).map(|(_, anchor)| Arc::clone(anchor))
    }

    /// Brings one up for a decision; `false` when that was done within the last minute, when its authority has brought up too many, or when too many
    /// wait. Then its device may try again later.
    pub fn bring(&self, arrival: Arrival, now: Timestamp) -> bool {
        let fingerprint = sha256(&arrival.leaf);
        let seen = &mut *self.seen.lock();
        if arrival.unfit.is_some() {
            return seen.unfit.send(&self.queue, (arrival, fingerprint), UNFIT_PACE, now);
        }
        seen.expected.remove(&fingerprint);
        seen.to_decide.send(&self.queue, (arrival, fingerprint), PACE, now)
    }

    /// Lets certificates be brought up again at once: a policy has changed.
    pub fn forget(&self) {
        self.seen.lock().to_decide.brought_up.clear();
    }

    /// The same for one certificate: nobody could decide.
    pub fn forget_one(&self, leaf: &[u8]) {
        let fingerprint = sha256(leaf);
        let mut seen = self.seen.lock();
        seen.to_decide.brought_up.remove(&fingerprint);
        seen.unfit.brought_up.remove(&fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Entropy, SeededEntropy};

    fn arrival(authority: &AuthorityId, org: &OrgId, n: u32) -> Arrival {
        Arrival { authority: authority.clone(), org: org.clone(), leaf: n.to_be_bytes().to_vec(), from: None, unfit: None }
    }

    #[test]
    fn a_32_a_flood_is_bounded_in_number_and_in_pace() {
        let entropy: &dyn Entropy = &SeededEntropy::new(1);
        let (org, one, other): (OrgId, AuthorityId, AuthorityId) =
            (entropy.id(Timestamp(0)), entropy.id(Timestamp(0)), entropy.id(Timestamp(0)));
        let (arrivals, mut waiting) = Arrivals::new();
        let now = Timestamp(1_000_000);
        assert!(arrivals.bring(arrival(&one, &org, 0), now));
        assert!(!arrivals.bring(arrival(&one, &org, 0), now), "the same one is not brought up twice");
        let taken = (1..5000).filter(|n| arrivals.bring(arrival(&one, &org, *n), now)).count();
        assert_eq!(taken, WAITING - 1, "what finds no room is not kept");
        let mut decided = WAITING;
        for n in 5000..20_000 {
            while waiting.try_recv().is_ok() {}
            decided += usize::from(arrivals.bring(arrival(&one, &org, n), now));
        }
        assert_eq!(decided, PACE as usize, "a worker that keeps up is not flooded either");
        assert!(arrivals.bring(arrival(&other, &org, 30_000), now), "others have a pace of their own");
        assert!(arrivals.bring(arrival(&one, &org, 0), now.plus(WINDOW)), "a minute later it may try again");
        assert!(arrivals.seen.lock().to_decide.brought_up.len() <= REMEMBERED);
        arrivals.forget_one(&30_000_u32.to_be_bytes());
        assert!(arrivals.bring(arrival(&other, &org, 30_000), now));
        // Those that were refused for what they are have a pace of their own, and stand in nobody's way.
        while waiting.try_recv().is_ok() {}
        let unfit = |n| Arrival { unfit: Some("malformed"), ..arrival(&other, &org, n) };
        assert_eq!((40_000..41_000).filter(|n| arrivals.bring(unfit(*n), now)).count(), UNFIT_PACE as usize);
        assert!(!arrivals.bring(unfit(40_000), now.plus(WINDOW - 1)));
        assert!(arrivals.bring(arrival(&other, &org, 40_000), now), "the same one, shown as it should be");
    }
}

//! Certificates with the signature of one of our authorities that memory does not know (H-4). They wait until the database was asked, after another
//! instance that may have issued one a moment ago has had its time; what they say of themselves, their beginning for example, is chosen by whoever made them
//! and only decides how long that is. Refuses to ask the database; the room's worker does.

use super::super::{
    peer::{Fingerprint, Refusal},
    profile, recognise,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;
use wire::Timestamp;

/// One that says it was issued at most so long ago may be known in a moment.
const JUST_ISSUED: i64 = 60_000;
/// How long that moment is, in milliseconds: every instance reads what others have issued within five seconds at the latest.
const GRACE: i64 = 6_000;
/// One that was not shown for so long is forgotten.
const FORGOTTEN: i64 = 10 * 60_000;
/// Most that are kept. Each is at most 8 KiB.
const MOST: usize = 512;
/// Most about which the database is asked at once.
const AT_ONCE: usize = 64;

/// One of them.
#[derive(Debug, Clone)]
pub(in crate::pki) struct Stranger {
    pub fingerprint: Fingerprint,
    pub der: Vec<u8>,
    /// From where it was shown last.
    pub from: Option<IpAddr>,
    /// How often it was shown since the database was asked.
    pub shown: u64,
    ask_at: Timestamp,
    last: Timestamp,
    forged: bool,
}

#[derive(Debug, Default)]
pub(in crate::pki) struct Strangers {
    all: Mutex<HashMap<Fingerprint, Stranger>>,
    told: Notify,
    forged: AtomicU64,
}

impl Strangers {
    /// Takes one in, and says how its handshake is refused.
    pub fn see(&self, fingerprint: Fingerprint, der: &[u8], now: Timestamp) -> Refusal {
        let issued = recognise::not_before(der).map(|from| from.plus(profile::BACKDATE));
        let young = issued.is_some_and(|at| now.since(at).abs() < JUST_ISSUED);
        let mut all = self.all.lock();
        if all.len() >= MOST && !all.contains_key(&fingerprint) {
            all.retain(|_, s| !s.forged || s.shown > 0);
            if all.len() >= MOST {
                // So many at once have one maker, of whom the others tell.
                return Refusal::Unknown;
            }
        }
        let stranger = all.entry(fingerprint).or_insert_with(|| Stranger {
            fingerprint,
            der: der.to_vec(),
            from: None,
            shown: 0,
            ask_at: if young { now.plus(GRACE) } else { now },
            last: now,
            forged: false,
        });
        stranger.shown += 1;
        stranger.last = now;
        if young && !stranger.forged { Refusal::NotYetKnown } else { Refusal::Unknown }
    }

    /// From where it was shown: all that can be known of it is known then.
    pub fn from(&self, fingerprint: &Fingerprint, from: IpAddr) {
        if let Some(stranger) = self.all.lock().get_mut(fingerprint) {
            stranger.from = Some(from);
        }
        self.told.notify_one();
    }

    /// Waits until the database may be asked about one.
    pub async fn told(&self) {
        self.told.notified().await;
    }

    /// Those about which the database is to be asked now.
    pub fn due(&self, now: Timestamp) -> Vec<Stranger> {
        let mut all = self.all.lock();
        all.retain(|_, s| s.shown > 0 || now.since(s.last).abs() < FORGOTTEN);
        // One that nobody has said the address of yet may be in the middle of its handshake.
        let ask_at = |s: &Stranger| if s.from.is_some() { s.ask_at } else { s.ask_at.plus(GRACE) };
        let waited = |s: &&Stranger| s.shown > 0 && (now >= ask_at(s) || now < s.ask_at.plus(-GRACE));
        all.values().filter(waited).take(AT_ONCE).cloned().collect()
    }

    /// The database knows it.
    pub fn known(&self, fingerprint: &Fingerprint) {
        self.all.lock().remove(fingerprint);
    }

    /// The database knows nothing of it, and the alarm was given for so many times that it was shown.
    pub fn unknown(&self, stranger: &Stranger) {
        self.forged.fetch_add(stranger.shown, Ordering::Relaxed);
        if let Some(kept) = self.all.lock().get_mut(&stranger.fingerprint) {
            kept.forged = true;
            kept.shown = kept.shown.saturating_sub(stranger.shown);
        }
    }

    /// How often such were shown.
    pub fn forged(&self) -> u64 {
        self.forged.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    const NOW: Timestamp = Timestamp(1_795_341_600_000);

    fn leaf(begins: Timestamp) -> (Fingerprint, Vec<u8>) {
        let mut params = CertificateParams::default();
        params.not_before = profile::instant(begins).unwrap();
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        (super::super::sha256(&der), der)
    }

    #[test]
    fn h4_one_that_says_it_was_issued_just_now_waits_and_never_longer() {
        let strangers = Strangers::default();
        let (fingerprint, der) = leaf(NOW.plus(-profile::BACKDATE));
        assert_eq!(strangers.see(fingerprint, &der, NOW), Refusal::NotYetKnown);
        assert!(strangers.due(NOW.plus(GRACE - 1)).is_empty());
        // Shown again and again it does not wait longer.
        assert_eq!(strangers.see(fingerprint, &der, NOW.plus(GRACE - 1)), Refusal::NotYetKnown);
        strangers.from(&fingerprint, "192.0.2.1".parse().unwrap());
        let due = strangers.due(NOW.plus(GRACE));
        assert_eq!((due.len(), due[0].shown, strangers.forged()), (1, 2, 0));
        assert!(due[0].from.is_some());
        strangers.unknown(&due[0]);
        assert_eq!(strangers.forged(), 2);
        assert!(strangers.due(NOW.plus(GRACE)).is_empty(), "told once");
        // From then on it is what it is, and told each time.
        assert_eq!(strangers.see(fingerprint, &der, NOW.plus(GRACE)), Refusal::Unknown);
        assert_eq!(strangers.due(NOW.plus(GRACE)).len(), 1);
    }

    #[test]
    fn h4_an_old_one_is_asked_about_at_once_and_a_known_one_is_none() {
        let strangers = Strangers::default();
        let (fingerprint, der) = leaf(NOW.plus(-86_400_000));
        assert_eq!(strangers.see(fingerprint, &der, NOW), Refusal::Unknown);
        assert!(strangers.due(NOW).is_empty(), "its handshake is not over");
        strangers.from(&fingerprint, "192.0.2.1".parse().unwrap());
        assert_eq!(strangers.due(NOW).len(), 1);
        strangers.known(&fingerprint);
        assert!(strangers.due(NOW).is_empty() && strangers.forged() == 0);
    }

    #[test]
    fn h4_a_flood_of_them_is_kept_in_bounds() {
        let strangers = Strangers::default();
        let (_, der) = leaf(NOW.plus(-86_400_000));
        for n in 0..2 * MOST {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&n.to_be_bytes());
            assert_eq!(strangers.see(fingerprint, &der, NOW), Refusal::Unknown);
        }
        assert_eq!(strangers.all.lock().len(), MOST);
        assert_eq!(strangers.due(NOW.plus(GRACE)).len(), AT_ONCE);
        assert!(strangers.due(NOW.plus(FORGOTTEN)).len() == AT_ONCE, "nobody is forgotten before the database was asked");
    }
}

//! Which serial numbers our authorities have given out and how each stands, in memory: what the OCSP responder answers from, and what says that a
//! list of revoked certificates is out of date. Follows the trust clock like [`TrustHandle`](super::TrustHandle). Refuses to know devices: who is
//! suspended is nobody else's business, the certificate stands.

use super::{Error, profile::BACKDATE, store};
use crate::{clock::Clock, db::Db};
use parking_lot::RwLock;
use std::collections::HashMap;
use wire::{Timestamp, ids::AuthorityId, pki::RevocationReason};

/// A revocation as others are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Revocation {
    /// Since when.
    pub at: Timestamp,
    /// `CRLReason` (RFC 5280 §5.3.1); 0, unspecified, is never written.
    pub reason: u8,
}

impl Revocation {
    /// Of a stored row. A word that is no reason counts as unspecified: the certificate is revoked all the same.
    pub fn of(reason: &str, at: Option<i64>) -> Self {
        let code = RevocationReason::ALL.iter().find(|r| r.as_str() == reason).map_or(0, |r| r.code());
        Self { at: Timestamp(at.unwrap_or_default()), reason: code }
    }
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Issued and not revoked.
    Good,
    /// Revoked, or superseded by a successor in use.
    Revoked(Revocation),
}

impl Standing {
    /// Whether its issuer's list of revoked certificates has it.
    const fn is_listed(self) -> bool {
        matches!(self, Self::Revoked(_))
    }
}

struct Entry {
    standing: Standing,
    ends: Timestamp,
}

#[derive(Default)]
struct Given {
    serials: HashMap<Vec<u8>, Entry>,
    /// How many of them are on the list of revoked certificates.
    listed: usize,
    /// Trust clock of the last revocation.
    revoked_seq: i64,
}

impl Given {
    /// Takes one over; gives how it stood before.
    fn put(&mut self, serial: Vec<u8>, entry: Entry) -> Option<Standing> {
        self.listed += usize::from(entry.standing.is_listed());
        let before = self.serials.insert(serial, entry)?.standing;
        self.listed -= usize::from(before.is_listed());
        Some(before)
    }

    /// Forgets those that ended by then.
    fn forget(&mut self, limit: Timestamp) {
        let Self { serials, listed, .. } = self;
        serials.retain(|_, entry| {
            let stays = entry.ends > limit;
            *listed -= usize::from(!stays && entry.standing.is_listed());
            stays
        });
    }
}

/// The index.
#[derive(Default)]
pub(super) struct Statuses {
    seq: tokio::sync::Mutex<i64>,
    given: RwLock<HashMap<AuthorityId, Given>>,
}

impl Statuses {
    /// How the issuer's certificate with this serial stands; none when it was never issued, or ended more than an hour ago.
    pub fn standing(&self, issuer: &AuthorityId, serial: &[u8]) -> Option<Standing> {
        self.given.read().get(issuer)?.serials.get(serial).map(|entry| entry.standing)
    }

    /// The trust clock of the issuer's last revocation that is known here; 0 before the first.
    pub fn revoked_seq(&self, issuer: &AuthorityId) -> i64 {
        self.given.read().get(issuer).map_or(0, |given| given.revoked_seq)
    }

    /// How many of the issuer's certificates are revoked or superseded and have not ended: as many as its next list has.
    pub fn listed(&self, issuer: &AuthorityId) -> usize {
        self.given.read().get(issuer).map_or(0, |given| given.listed)
    }

    /// Takes over what changed in the database since the last time. Idempotent; calls queue up.
    pub async fn reload(&self, db: &Db, clock: &dyn Clock) -> Result<(), Error> {
        let mut seq = self.seq.lock().await;
        let mut on = db.read().await?;
        // Changes are numbered in the order their transactions end, so every row up to this number can be seen by the next statement.
        let latest = store::trust_seq(&mut on).await?;
        if latest > *seq {
            let records = store::standings(&mut on, *seq, clock.now().plus(-BACKDATE)).await?;
            drop(on);
            let mut given = self.given.write();
            for r in records {
                let issuer: AuthorityId = r.issuer_id.parse().map_err(crate::db::Error::corrupt)?;
                let standing = match r.state.as_str() {
                    "revoked" | "superseded" => Standing::Revoked(Revocation::of(&r.reason, r.revoked_at)),
                    _ => Standing::Good,
                };
                let of = given.entry(issuer).or_default();
                let before = of.put(r.serial, Entry { standing, ends: Timestamp(r.not_after) });
                // A suspended device touches its revoked certificates too; only news makes the list out of date. What a successor in use has
                // replaced is no news: it is in the next list that is due.
                if r.state == "revoked" && before.is_none_or(|before| before != standing) {
                    of.revoked_seq = of.revoked_seq.max(r.trust_seq);
                }
            }
            drop(given);
            *seq = latest;
        }
        Ok(())
    }

    /// Forgets certificates that ended more than an hour ago: whoever checks one sees that by itself.
    pub fn forget_ended(&self, now: Timestamp) {
        let limit = now.plus(-BACKDATE);
        for of in self.given.write().values_mut() {
            of.forget(limit);
        }
    }
}

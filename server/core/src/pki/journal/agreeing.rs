//! Bringing the database and the journal of revocations to the same state, each by what the other does not know: when the room opens, and when the
//! journal could not take something.

use super::{
    super::{Error, Pki, aftermath, bundle, recall, store},
    Entry, LeakedKey, Revoked,
    leaked::Leaked,
};
use crate::access::{Actor, audit};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    pki::RevocationReason,
    states::AuthorityState,
};

/// Most certificates whose revocation is read or written at once.
const SLICE: usize = 500;

/// Whether a stored reason says that somebody else may have the key.
fn compromised(reason: &str) -> bool {
    reason == RevocationReason::KeyCompromise.as_str()
}

impl Pki {
    /// Worker: writes what the journal could not take before.
    pub(in crate::pki) async fn catch_up_journal(&self) -> Result<(), Error> {
        if self.journal_behind.swap(false, std::sync::atomic::Ordering::Relaxed)
            && let Err(error) = self.agree_with_journal().await
        {
            self.journal_behind.store(true, std::sync::atomic::Ordering::Relaxed);
            return Err(error);
        }
        Ok(())
    }

    /// Brings the database and the journal to the same state, each taking from the other what it does not know. Called when the room opens, before
    /// anybody can connect.
    pub(in crate::pki) async fn agree_with_journal(&self) -> Result<(), Error> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let now = self.clock.now();
        let told = journal.read()?;
        // Each with whether its key is said to be compromised: that may be said later than the revocation.
        let mut known: HashMap<Vec<u8>, bool> = HashMap::with_capacity(told.len());
        let mut given_up: HashSet<AuthorityId> = HashSet::new();
        let mut leaked = Leaked::default();
        let mut recalled = recall::Told::default();
        let revoked = store::revoked_fingerprints(&mut self.db.read().await?, now).await?;
        let revoked: HashMap<Vec<u8>, bool> =
            revoked.into_iter().map(|(fingerprint, reason)| (fingerprint, compromised(&reason))).collect();
        let mut missing = Vec::new();
        for entry in told {
            match entry {
                Entry::Revoked(one) => {
                    let worst = compromised(&one.reason);
                    *known.entry(one.fingerprint.clone()).or_default() |= worst;
                    if worst {
                        leaked.hear(LeakedKey::of(&one));
                    }
                    // What has ended by itself is refused by itself.
                    if revoked.get(&one.fingerprint).is_none_or(|said| worst && !said) && one.not_after > now.0 {
                        missing.push(one);
                    }
                }
                Entry::Blocked(key) => leaked.hear(key),
                Entry::Unblocked { org, spki_sha256, .. } => leaked.free(&org, spki_sha256),
                Entry::Compromised { org, authority, at } => {
                    self.give_up_again(&org, &authority, at).await?;
                    given_up.insert(authority);
                }
                Entry::Named { .. } | Entry::Offline { .. } | Entry::Registered { .. } | Entry::OwnersList { .. } | Entry::List { .. } => {
                    recalled.hear(entry);
                }
            }
        }
        for slice in missing.chunks(SLICE) {
            self.revoke_again(slice, &leaked, now).await?;
        }
        let mut untold = self.block_all_again(leaked, now).await?;
        for (org, authority, at) in store::compromised(&mut self.db.read().await?).await? {
            let authority: AuthorityId = authority.parse().map_err(crate::db::Error::corrupt)?;
            if !given_up.contains(&authority) {
                untold.push(Entry::Compromised { org: org.parse().map_err(crate::db::Error::corrupt)?, authority, at: Timestamp(at) });
            }
        }
        untold.extend(self.recall(recalled).await?);
        let all = store::all_revoked(&mut self.db.read().await?, now).await?;
        let unknown = |one: &Revoked| known.get(&one.fingerprint).is_none_or(|said| compromised(&one.reason) && !said);
        untold.extend(all.into_iter().filter(unknown).map(Entry::Revoked));
        for slice in untold.chunks(SLICE) {
            journal.append(slice).await?;
        }
        Ok(())
    }

    /// Revokes what a database that was set back does not know as revoked. A certificate that it does not know at all is noted as revoked, so that its
    /// issuer's list has it.
    async fn revoke_again(&self, missing: &[Revoked], leaked: &Leaked, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        let seq = store::next_trust(&mut tx).await?;
        for one in missing {
            if !store::revoke_again(&mut tx, one, seq).await? {
                tracing::error!(
                    certificate = one.id,
                    "the issuer of a revoked certificate is not in this database; nothing of it is believed"
                );
                continue;
            }
            let org: OrgId = one.org_id.parse().map_err(crate::db::Error::corrupt)?;
            if compromised(&one.reason) {
                store::block_key(&mut tx, &leaked.whole(LeakedKey::of(one))).await?;
            }
            let detail = json!({ "reason": one.reason, "by": one.revoked_by, "from": "journal", "subject": one.subject });
            audit::append(&mut tx, &Actor::system(org), now, "certificate.revoke", &one.id, &detail).await?;
            tracing::warn!(certificate = one.id, device = one.subject, "revoked again from the journal: the database was set back");
        }
        tx.commit().await?;
        Ok(())
    }

    async fn give_up_again(&self, org: &OrgId, authority: &AuthorityId, at: Timestamp) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        let seq = store::next_trust(&mut tx).await?;
        let Some((_, state)) = store::authority_state(&mut tx, authority, org).await? else { return Ok(()) };
        let state: AuthorityState = state.parse().map_err(crate::db::Error::corrupt)?;
        if state == AuthorityState::Compromised {
            return Ok(());
        }
        store::set_state(&mut tx, authority, org, state, AuthorityState::Compromised, Some((at, seq))).await?;
        // Up to now: what the backup has of tokens was made before.
        aftermath::freeze(&mut tx, authority, org, state, self.clock.now()).await?;
        let detail = json!({ "was": state.as_str(), "from": "journal" });
        audit::append(&mut tx, &Actor::system(org.clone()), self.clock.now(), "authority.compromise", authority.as_str(), &detail).await?;
        bundle::raise(&mut tx, &Actor::system(org.clone()), self.clock.now()).await?;
        tx.commit().await?;
        tracing::warn!(%authority, "given up again from the journal: the database was set back");
        Ok(())
    }
}

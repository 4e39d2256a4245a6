//! Blocked keys, of which the database and the journal tell each other. They outlive their certificates: who has one can ask for another certificate at
//! any time.

use super::{
    super::{Error, Pki, store},
    Entry, LeakedKey,
};
use crate::access::{Actor, audit};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use wire::{Timestamp, ids::OrgId};

/// Most keys that are written at once.
const SLICE: usize = 500;

/// An organization and the SHA-256 of a key.
type Place = (String, Vec<u8>);

/// What the journal tells, the worst of each key.
#[derive(Default)]
pub(super) struct Leaked {
    blocked: HashMap<Place, LeakedKey>,
    /// Those that may be used again.
    freed: HashSet<Place>,
}

fn place(key: &LeakedKey) -> Place {
    (key.org_id.clone(), key.spki_sha256.clone())
}

impl Leaked {
    /// A key was blocked. What was said first stands, but for this, as in the database: that it is compromised follows every other reason.
    pub fn hear(&mut self, key: LeakedKey) {
        let place = place(&key);
        self.freed.remove(&place);
        match self.blocked.get_mut(&place) {
            Some(held) if held.by_hand() && !key.by_hand() => {
                held.reason = key.reason;
                held.certificate_id = key.certificate_id;
            }
            Some(_) => {}
            None => drop(self.blocked.insert(place, key)),
        }
    }

    /// A key that was blocked by hand may be used again.
    pub fn free(&mut self, org: &OrgId, spki_sha256: Vec<u8>) {
        let place = (org.as_str().to_owned(), spki_sha256);
        if self.blocked.get(&place).is_none_or(LeakedKey::by_hand) {
            self.blocked.remove(&place);
            self.freed.insert(place);
        }
    }

    /// What is told of this key beside that its certificate was revoked: by whom and when it was blocked first, and why.
    pub fn whole(&self, key: LeakedKey) -> LeakedKey {
        self.blocked.get(&place(&key)).cloned().unwrap_or(key)
    }

    /// Whether the journal does not know that this one, which the database has, is blocked. One that was freed after a backup is blocked by it again until
    /// somebody frees it again, and of that there is nothing to tell.
    fn lacks(&self, held: &LeakedKey) -> bool {
        match self.blocked.get(&place(held)) {
            Some(told) => told.by_hand() && !held.by_hand(),
            None => !held.by_hand() || !self.freed.contains(&place(held)),
        }
    }
}

impl Pki {
    /// Blocks again what a database that was set back does not know as blocked: certificates have ended, or it has never heard of them. Gives what the
    /// journal does not know.
    pub(super) async fn block_all_again(&self, leaked: Leaked, now: Timestamp) -> Result<Vec<Entry>, Error> {
        let held = store::all_blocked(&mut self.db.read().await?).await?;
        let untold: Vec<Entry> = held.iter().filter(|key| leaked.lacks(key)).cloned().map(Entry::Blocked).collect();
        let held: HashMap<Place, bool> = held.into_iter().map(|key| (place(&key), key.by_hand())).collect();
        let open = |(at, key): (Place, LeakedKey)| match held.get(&at) {
            Some(by_hand) => (*by_hand && !key.by_hand()).then_some(key),
            None => Some(key),
        };
        let mut open: Vec<LeakedKey> = leaked.blocked.into_iter().filter_map(open).collect();
        open.sort_by(|a, b| (a.blocked_at, &a.spki_sha256, &a.org_id).cmp(&(b.blocked_at, &b.spki_sha256, &b.org_id)));
        for slice in open.chunks(SLICE) {
            self.block_again(slice, now).await?;
        }
        Ok(untold)
    }

    async fn block_again(&self, keys: &[LeakedKey], now: Timestamp) -> Result<(), Error> {
        let mut tx = self.db.write().await?;
        store::next_trust(&mut tx).await?;
        for key in keys {
            let name = hex::encode(&key.spki_sha256);
            if !store::block_key(&mut tx, key).await? {
                tracing::error!(key = name, "the organization of a blocked key is not in this database");
                continue;
            }
            let org: OrgId = key.org_id.parse().map_err(crate::db::Error::corrupt)?;
            let mut detail = json!({ "reason": key.reason, "by": key.blocked_by, "from": "journal" });
            if !key.note.is_empty() {
                detail["note"] = json!(key.note);
            }
            audit::append(&mut tx, &Actor::system(org), now, "key.block", &name, &detail).await?;
            tracing::warn!(key = name, "blocked again from the journal: the database was set back");
        }
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_the_journal_counts_and_a_compromise_is_never_taken_back() {
        let org: OrgId = format!("org_{:032}", 1).parse().unwrap();
        let key = |reason: &str| LeakedKey {
            spki_sha256: vec![5; 32],
            org_id: org.as_str().to_owned(),
            reason: reason.to_owned(),
            blocked_at: 3,
            blocked_by: "ada".to_owned(),
            certificate_id: String::new(),
            note: String::new(),
        };
        let by_hand = LeakedKey { note: "in the image of 2.1".to_owned(), ..key("by_hand") };
        let worst = LeakedKey { blocked_at: 4, certificate_id: "a".to_owned(), ..key("key_compromise") };
        let mut told = Leaked::default();
        assert!(told.lacks(&by_hand) && told.lacks(&worst));
        told.hear(by_hand.clone());
        assert!(!told.lacks(&by_hand) && told.lacks(&worst));
        told.free(&org, vec![5; 32]);
        assert!(told.blocked.is_empty() && !told.lacks(&by_hand) && told.lacks(&worst), "freed since");
        told.hear(by_hand.clone());
        told.hear(worst.clone());
        told.hear(by_hand.clone());
        told.free(&org, vec![5; 32]);
        let both = LeakedKey { blocked_at: by_hand.blocked_at, note: by_hand.note.clone(), ..worst.clone() };
        assert!(told.blocked.values().eq([&both]) && !told.lacks(&by_hand) && !told.lacks(&worst), "who said it first, when and why stay");
        assert_eq!(told.whole(worst), both);
    }
}

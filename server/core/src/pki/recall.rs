//! What the journal tells of authorities after a database was set back (K-5, K-7): a root's key that was removed stays removed, a list that was
//! brought is not followed by an older one, no name is given to a second key, a registered authority that was disabled stays so, and one whose list
//! is forgotten lets nobody in. Refuses to know how the journal is kept.

use super::{
    Error, Pki,
    journal::Entry,
    registered::{self, ListMark},
    store,
};
use crate::access::{Actor, audit};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
};

/// What was told, the newest of each authority.
#[derive(Default)]
pub(super) struct Told {
    offline: HashMap<AuthorityId, (OrgId, Timestamp)>,
    lists: HashMap<AuthorityId, (OrgId, store::CrlRecord)>,
    /// Whether it is believed.
    registered: HashMap<AuthorityId, (OrgId, bool)>,
    owners: HashMap<AuthorityId, (OrgId, ListMark)>,
    /// The newest number of the names that were given, by slug and kind.
    named: BTreeMap<(String, String), i64>,
}

impl Told {
    /// Takes a line of the journal.
    pub fn hear(&mut self, entry: Entry) {
        match entry {
            Entry::Offline { org, authority, at } => {
                self.offline.insert(authority, (org, at));
            }
            Entry::List { org, authority, number, this_update, next_update, der } => {
                let newer = self.lists.get(&authority).is_none_or(|(_, held)| held.number < number);
                if newer {
                    let list = store::CrlRecord { number, this_update: this_update.0, next_update: next_update.0, trust_seq: 0, der };
                    self.lists.insert(authority, (org, list));
                }
            }
            Entry::Registered { org, authority, believed, .. } => {
                self.registered.insert(authority, (org, believed));
            }
            Entry::OwnersList { org, authority, number, this_update, sha256 } => {
                let list = ListMark { number, this_update, sha256 };
                if self.owners.get(&authority).is_none_or(|(_, held)| list.follows(held)) {
                    self.owners.insert(authority, (org, list));
                }
            }
            Entry::Named { organization, kind, generation } => {
                let newest = self.named.entry((organization, kind)).or_default();
                *newest = generation.max(*newest);
            }
            Entry::Revoked(_) | Entry::Blocked(_) | Entry::Unblocked { .. } | Entry::Compromised { .. } => {}
        }
    }
}

impl Pki {
    /// Does again what the database has forgotten; gives what the journal does not know.
    pub(super) async fn recall(&self, told: Told) -> Result<Vec<Entry>, Error> {
        for (authority, (org, at)) in &told.offline {
            let mut tx = self.db.write().await?;
            if store::take_offline(&mut tx, authority, org, *at).await? {
                let system = Actor::system(org.clone());
                audit::append(&mut tx, &system, self.clock.now(), "authority.offline", authority.as_str(), &json!({ "from": "journal" }))
                    .await?;
                tx.commit().await?;
                tracing::warn!(%authority, "a root's key was removed again: the database was set back");
            }
        }
        for (authority, (org, list)) in &told.lists {
            let mut tx = self.db.write().await?;
            let known = store::authority_state(&mut tx, authority, org).await?.is_some();
            let (before, _) = store::crl_before(&mut tx, authority).await?;
            if known && before < list.number && store::put_crl(&mut tx, authority, org, list, before).await? {
                tx.commit().await?;
                tracing::warn!(%authority, number = list.number, "a root's list was taken from the journal: the database was set back");
            }
        }
        for (authority, (org, believed)) in &told.registered {
            if !believed && self.disable_again(org, authority).await? {
                tracing::warn!(%authority, "a registered authority was disabled again: the database was set back");
            }
        }
        for (authority, (org, list)) in &told.owners {
            if self.await_list(org, authority, list).await? {
                tracing::warn!(%authority, "a registered authority lets nobody in until its newest list is here: the database was set back");
            }
        }
        let mut untold = self.untold(&told).await?;
        untold.extend(self.recall_names(&told.named).await?);
        Ok(untold)
    }

    /// Keeps the names that were given and of which the database does not know: also those of a database before this one, whose devices may still be there.
    async fn recall_names(&self, told: &BTreeMap<(String, String), i64>) -> Result<Vec<Entry>, Error> {
        let given = store::given_names(&mut self.db.read().await?).await?;
        let given: BTreeMap<(String, String), i64> =
            given.into_iter().map(|(organization, kind, generation)| ((organization, kind), generation)).collect();
        let newer = |one: &BTreeMap<(String, String), i64>, place: &(String, String), generation: i64| {
            one.get(place).is_none_or(|known| *known < generation)
        };
        let forgotten: Vec<_> = told.iter().filter(|(place, generation)| newer(&given, place, **generation)).collect();
        if !forgotten.is_empty() {
            let mut tx = self.db.write().await?;
            for ((organization, kind), generation) in forgotten {
                store::keep_name(&mut tx, organization, kind, *generation).await?;
                tracing::warn!(
                    organization,
                    kind,
                    generation,
                    "authorities of this name are known from the journal; it is not given again"
                );
            }
            tx.commit().await?;
        }
        let untold = given.into_iter().filter(|(place, generation)| newer(told, place, *generation));
        Ok(untold.map(|((organization, kind), generation)| Entry::Named { organization, kind, generation }).collect())
    }

    async fn untold(&self, told: &Told) -> Result<Vec<Entry>, Error> {
        let corrupt = |e: wire::ids::BadId| crate::db::Error::corrupt(e);
        let mut untold = Vec::new();
        for (org, authority, list) in self.counted_lists().await? {
            if told.owners.get(&authority).is_none_or(|(_, held)| list.follows(held)) {
                untold.push(Entry::owners_list(org, authority, list));
            }
        }
        let mut on = self.db.read().await?;
        for (org, authority, at) in store::offline(&mut on).await? {
            let authority: AuthorityId = authority.parse().map_err(corrupt)?;
            if !told.offline.contains_key(&authority) {
                untold.push(Entry::Offline { org: org.parse().map_err(corrupt)?, authority, at: Timestamp(at) });
            }
        }
        for (org, authority) in registered::store::disabled(&mut on).await? {
            if told.registered.get(&authority).is_none_or(|(_, believed)| *believed) {
                untold.push(Entry::Registered { org, authority, believed: false, at: self.clock.now() });
            }
        }
        for list in store::brought_lists(&mut on).await? {
            let authority: AuthorityId = list.authority_id.parse().map_err(corrupt)?;
            if told.lists.get(&authority).is_none_or(|(_, held)| held.number < list.number) {
                untold.push(Entry::List {
                    org: list.org_id.parse().map_err(corrupt)?,
                    authority,
                    number: list.number,
                    this_update: Timestamp(list.this_update),
                    next_update: Timestamp(list.next_update),
                    der: list.der,
                });
            }
        }
        Ok(untold)
    }
}

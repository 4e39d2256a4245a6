//! Lists of registered authorities that have counted and that a database which was set back does not have (K-7). Owns that nobody gets in by an
//! authority until that list, or one that follows it, is here again. Refuses to know how the journal is kept.
//!
//! The journal has what a list is told by, and not the list: it may be 10 MiB long and another one every hour, in a file that only grows. What the
//! forgotten list had revoked is not known then, so nothing of its authority is believed. A list that is fetched comes within seconds of the start.

use super::{
    super::{Error, Pki, store::next_trust},
    address_store,
    list_gate::ListMark,
    list_store, store,
};
use crate::{
    access::{Actor, audit},
    db,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    registered::awaited_warning,
};

impl Pki {
    /// Closes the authority until the list that had counted is here, as the journal says; `false` when it is, or a newer one, or when that is so already.
    pub(in crate::pki) async fn await_list(&self, org: &OrgId, id: &AuthorityId, counted: &ListMark) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let Some(row) = store::held(&mut tx, id).await?.filter(|row| row.org_id == org.as_str()) else { return Ok(false) };
        let held = list_store::held_list(&mut tx, id).await?.map(|list| list.mark());
        let awaited = list_store::awaited(&mut tx, id).await?;
        if held.iter().chain(&awaited).any(|known| !counted.follows(known)) {
            return Ok(false);
        }
        list_store::put_awaited(&mut tx, id, org, counted, now).await?;
        address_store::ask_anew(&mut tx, id, now).await?;
        next_trust(&mut tx).await?;
        let detail = json!({
            "label": row.label,
            "number": counted.number.trim_start_matches('0'),
            "this_update": counted.this_update,
            "sha256": hex::encode(&counted.sha256),
            "from": "journal",
        });
        audit::append(&mut tx, &Actor::system(org.clone()), now, "registered_authority.await_list", id.as_str(), &detail).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The lists that count, of every organization.
    pub(in crate::pki) async fn counted_lists(&self) -> Result<Vec<(OrgId, AuthorityId, ListMark)>, Error> {
        Ok(list_store::marks(&mut self.db.read().await?).await?)
    }

    /// Authorities that let nobody in until a list is here again: which, in words, and since when.
    pub(super) async fn awaited_lists(&self, org: &OrgId) -> Result<Vec<(AuthorityId, String, Timestamp)>, Error> {
        let awaited = list_store::all_awaited(&mut self.db.read().await?, org).await?.into_iter().map(|row| {
            let text = awaited_warning(&row.label, Timestamp(row.this_update));
            Ok((row.authority_id.parse().map_err(db::Error::corrupt)?, text, Timestamp(row.since)))
        });
        Ok(awaited.collect::<Result<_, db::Error>>()?)
    }
}

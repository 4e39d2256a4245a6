//! Certificates that are on their owner's list of revoked certificates, as pages and counts see them (E-10): a mark at the row that follows what handshakes
//! judge by. Refuses to decide about connections: memory has done that before.

use super::super::{Error, Pki};
use crate::db::{Sql, exec, list, many, rows};
use serde_json::json;
use std::collections::HashSet;

pub(super) const MARKED: Sql = Sql::same("SELECT id FROM certificates WHERE owner_listed_at >= 0");
pub(super) const MARK: Sql = many!(
    "UPDATE certificates SET owner_listed_at = COALESCE((SELECT l.received_at FROM registered_lists l WHERE l.authority_id = certificates.issuer_id), $2), \
     owner_list = COALESCE((SELECT l.number FROM registered_lists l WHERE l.authority_id = certificates.issuer_id), '') FROM (SELECT ",
    [text id],
    ") AS w WHERE certificates.id = w.id"
);
pub(super) const UNMARK: Sql = many!(
    "UPDATE certificates SET owner_listed_at = NULL, owner_list = '' FROM (SELECT ",
    [text id],
    ") AS w WHERE certificates.id = w.id"
);

impl Pki {
    /// Marks what is on its owner's list by now, and takes the mark from what no longer is. Idempotent; any instance may do it.
    pub(in crate::pki) async fn follow_owners_lists(&self) -> Result<(), Error> {
        let listed = self.trust.owner_listed();
        let marked: HashSet<String> = rows!(&mut self.db.read().await?, (String,), MARKED)?.into_iter().map(|(id,)| id).collect();
        let only = |these: &HashSet<String>, those: &HashSet<String>| {
            let mut ids: Vec<&String> = these.difference(those).collect();
            // In one order, whoever does it.
            ids.sort();
            ids.into_iter().map(|id| json!({ "id": id })).collect::<Vec<_>>()
        };
        let (come, gone) = (only(&listed, &marked), only(&marked, &listed));
        if come.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        exec!(&mut tx, MARK, list(&come)?, self.clock.now().0)?;
        exec!(&mut tx, UNMARK, list(&gone)?)?;
        tx.commit().await?;
        Ok(())
    }
}

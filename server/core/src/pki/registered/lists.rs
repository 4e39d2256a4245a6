//! Lists of revoked certificates that registered authorities' owners bring, or let be fetched (E-10). Owns that a list never goes back; what is on it
//! is refused by handshakes, which hold it in memory (`anchors.rs`), and live connections by it are cut.

use super::{
    super::{Error, Pki, consents::Alone, csr::sha256},
    Refused,
    list_gate::{self, ListMark},
    list_store,
};
use crate::access::{Act, Actor, may};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;
use wire::{
    ids::AuthorityId,
    registered::{RegisteredAuthority, RegisteredState},
};

/// A list that counts.
pub(super) struct Taken {
    /// Its authority.
    pub shown: RegisteredAuthority,
    /// SHA-256 of it.
    pub sha256: Vec<u8>,
    /// Whether it was not here before.
    pub new: bool,
}

impl Pki {
    /// Takes a registered authority's list of revoked certificates, PEM or DER, in the place of the one before. What is on it is refused from when this
    /// returns, and its connections are being cut. Bringing the same list again changes nothing.
    pub async fn bring_list(&self, actor: &Actor, id: &AuthorityId, list: Vec<u8>) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Revoke)?;
        Ok(self.take_list(actor, id, list, None).await?.shown)
    }

    /// The same for one that was brought, or fetched from this address. After a database was set back only the list that had counted by then, or one that
    /// follows it, is taken (K-7).
    pub(super) async fn take_list(&self, actor: &Actor, id: &AuthorityId, list: Vec<u8>, from: Option<&str>) -> Result<Taken, Error> {
        let now = self.clock.now();
        let found = self.registered_authority(actor, id).await?;
        if found.state == RegisteredState::Unverified {
            return Err(Refused::State(found.state).into());
        }
        // A long one takes a while to read; nobody waits behind it.
        let authority = CertificateDer::from_pem_slice(found.pem.as_bytes()).map_err(|_| Refused::NotCertificate)?;
        let read = tokio::task::spawn_blocking(move || list_gate::list(&list, &authority, now)).await;
        let read = read.map_err(|e| Error::Build(e.to_string()))??;
        let mark = ListMark { number: read.number.clone(), this_update: read.this_update, sha256: sha256(&read.der).to_vec() };

        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        if list_store::awaited(&mut tx, id).await?.is_some_and(|counted| !mark.reaches(&counted)) {
            return Err(Refused::ListForgotten.into());
        }
        if let Some(held) = list_store::held_list(&mut tx, id).await?.map(|held| held.mark()) {
            if held.sha256 == mark.sha256 {
                drop(tx);
                let shown = self.registered_authority(actor, id).await?;
                return Ok(Taken { shown, sha256: mark.sha256, new: false });
            }
            if !mark.follows(&held) {
                return Err(Refused::ListNotNewer.into());
            }
        }
        let by = from.map_or_else(|| actor.label(), str::to_owned);
        list_store::put_list(&mut tx, id, &actor.org, &read, &mark.sha256, (now, &by)).await?;
        list_store::delete_awaited(&mut tx, id).await?;
        let mut detail = json!({
            "label": row.label,
            "number": read.number.trim_start_matches('0'),
            "this_update": read.this_update,
            "next_update": read.next_update,
            "entries": read.entries,
            "sha256": hex::encode(&mark.sha256),
        });
        if let Some(from) = from {
            detail["from"] = json!(from);
        }
        let shown = self.changed((tx, Alone::default()), actor, "registered_authority.list", id, &detail, now).await?;
        // Not before it counts: a list that the journal knows and the database does not closes the authority with the next start, or when a command beside
        // the server looks now.
        self.journal_owners_list(&actor.org, id, &mark).await;
        if let Err(error) = self.follow_owners_lists().await {
            tracing::warn!(%error, "pages don't say yet what is on an owner's list; it is tried again");
        }
        Ok(Taken { shown, sha256: mark.sha256, new: true })
    }
}

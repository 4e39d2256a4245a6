//! Lists of revoked certificates that registered authorities' owners bring, or let be fetched (pki.md E-10). Owns that a list never goes back; what is on it
//! is refused by handshakes, which hold it in memory (`anchors.rs`), and live connections by it are cut.

use super::{
    super::{Error, Pki, csr::sha256},
    Refused, list_gate, list_store,
};
use crate::access::{Act, Actor, may};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;
use wire::{
    ids::AuthorityId,
    registered::{RegisteredAuthority, RegisteredState},
};

impl Pki {
    /// Takes a registered authority's list of revoked certificates, PEM or DER, in the place of the one before. What is on it is refused from when this
    /// returns, and its connections are being cut. Bringing the same list again changes nothing.
    pub async fn bring_list(&self, actor: &Actor, id: &AuthorityId, list: Vec<u8>) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Revoke)?;
        self.take_list(actor, id, list, None).await
    }

    /// The same for one that was brought, or fetched from this address.
    pub(super) async fn take_list(
        &self,
        actor: &Actor,
        id: &AuthorityId,
        list: Vec<u8>,
        from: Option<&str>,
    ) -> Result<RegisteredAuthority, Error> {
        let now = self.clock.now();
        let found = self.registered_authority(actor, id).await?;
        if found.state == RegisteredState::Unverified {
            return Err(Refused::State(found.state).into());
        }
        // A long one takes a while to read; nobody waits behind it.
        let authority = CertificateDer::from_pem_slice(found.pem.as_bytes()).map_err(|_| Refused::NotCertificate)?;
        let read = tokio::task::spawn_blocking(move || list_gate::list(&list, &authority, now)).await;
        let read = read.map_err(|e| Error::Build(e.to_string()))??;
        let digest = sha256(&read.der);

        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        if let Some(held) = list_store::held_list(&mut tx, id).await? {
            if held.sha256 == digest {
                drop(tx);
                return self.registered_authority(actor, id).await;
            }
            // Numbers only grow, and so does time (RFC 5280 §5.2.3): an old list must not bring back what a newer one has revoked.
            let goes_on = if held.number.is_empty() {
                read.this_update.0 > held.this_update
            } else {
                read.number > held.number && read.this_update.0 >= held.this_update
            };
            if !goes_on {
                return Err(Refused::ListNotNewer.into());
            }
        }
        let by = from.map_or_else(|| actor.label(), str::to_owned);
        list_store::put_list(&mut tx, id, &actor.org, &read, &digest, (now, &by)).await?;
        let mut detail = json!({
            "label": row.label,
            "number": read.number.trim_start_matches('0'),
            "this_update": read.this_update,
            "next_update": read.next_update,
            "entries": read.entries,
            "sha256": hex::encode(digest),
        });
        if let Some(from) = from {
            detail["from"] = json!(from);
        }
        self.changed(tx, actor, "registered_authority.list", id, &detail, now).await
    }
}

//! A registered authority whose owner has renewed its certificate: same key, same name, a later end (E-10). Possession was proved for the key, so
//! nothing is proved anew; everything but the certificate stays as it is.

use super::{
    super::{Error, Pki, consent::ConsentError, consents::Alone, csr::sha256},
    gate::{self, AuthorityCertificate},
    refused::Refused,
    store,
};
use crate::{access::Actor, db::Tx};
use serde_json::json;
use wire::{
    Timestamp,
    consents::Deed,
    ids::AuthorityId,
    registered::{RegisteredAuthority, RegisteredState},
};

impl Pki {
    /// Puts the certificate in the place of the one that this authority has.
    pub(super) async fn replace_certificate(
        &self,
        mut tx: Tx,
        actor: &Actor,
        id: &AuthorityId,
        certificate: &AuthorityCertificate,
        now: Timestamp,
    ) -> Result<RegisteredAuthority, Error> {
        let row = self.registered_held(&mut tx, actor, id).await?;
        let fingerprint = sha256(&certificate.der);
        if row.fingerprint == fingerprint {
            return Err(Refused::Known.into());
        }
        match self.key_is_free(&mut tx, actor, certificate).await {
            Ok(()) | Err(Error::Registered(Refused::Known)) => {}
            refused => refused?,
        }
        // Devices' certificates name it: under another name none of theirs would lead to it.
        if gate::link(&row.der).is_none_or(|there| there.name != certificate.name) {
            return Err(Refused::OtherName.into());
        }
        // Possession is not proved anew, so an end that was written by hand must not count.
        if !gate::stands(&certificate.der) {
            return Err(Refused::Malformed(
                "it names itself as its signer, but is not signed by its key, or by an algorithm that is not accepted",
            )
            .into());
        }
        if now < certificate.not_before {
            return Err(Refused::NotYet.into());
        }
        let state = row.state()?;
        let alone = if matches!(state, RegisteredState::Active | RegisteredState::Disabled) {
            // It decides for longer than was decided when it was enabled, and maybe not for the same chains (K-6).
            match self.alone(&mut tx, actor, &Deed::Activate { authority: id.clone(), force: false }).await {
                Err(Error::Consent(ConsentError::Needed)) => return Err(ConsentError::AtServer.into()),
                other => other?,
            }
        } else {
            Alone::default()
        };
        if !store::replace(&mut tx, id, certificate, &fingerprint).await? {
            return Err(Refused::NotLater.into());
        }
        let detail = json!({
            "label": row.label,
            "state": state,
            "was": { "fingerprint": hex::encode(&row.fingerprint), "not_after": Timestamp(row.not_after) },
            "is": { "fingerprint": hex::encode(fingerprint), "not_after": certificate.not_after },
        });
        self.changed((tx, alone), actor, "registered_authority.replace", id, &detail, now).await
    }
}

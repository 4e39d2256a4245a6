//! The alarm about a certificate that one of our authorities has signed and nobody has issued here (H-4): the database is asked, and if it knows
//! nothing of it either, that is in the audit log, and stands on the overview and on the authority until a person has looked at it. Owns the note and its
//! end; what is told to the other side, `trust` has decided.

use super::{Csr, Error, Pki, authorities::Authority, recognise, registered::leaves, store, trust::Stranger};
use crate::{
    access::{
        Act, Actor,
        attacks::{Kind, Sign},
        audit, may,
    },
    bus::Event,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    pki::AuthorityAlarm,
};

impl Pki {
    /// Asks the database about certificates that memory does not know, and gives the alarm about those that it does not know either. A failure leaves
    /// the rest for the next time.
    pub(super) async fn judge_strangers(&self) -> Result<(), Error> {
        let strangers = self.trust.strangers();
        for stranger in strangers.due(self.clock.now()) {
            if leaves::known(&mut self.db.read().await?, &stranger.fingerprint).await? {
                strangers.known(&stranger.fingerprint);
                continue;
            }
            let (authority, serial) = self.signer_of(&stranger.der).unzip();
            if self.was_issued(&stranger, authority.as_deref(), serial.as_deref()).await? {
                self.attacks.tell_of(sign(Kind::AlteredSignature, authority.as_deref(), &stranger), stranger.shown);
                strangers.known(&stranger.fingerprint);
                continue;
            }
            tracing::error!(
                fingerprint = hex::encode(stranger.fingerprint),
                from = ?stranger.from,
                "a certificate signed by one of our authorities has no row: the database was set back, or an authority's key is stolen"
            );
            let sign = sign(Kind::NeverIssued, authority.as_deref(), &stranger);
            if let Some(authority) = &authority {
                self.note_alarm(authority, &sign).await?;
            }
            self.attacks.tell_of(sign, stranger.shown);
            strangers.unknown(&stranger);
        }
        Ok(())
    }

    /// Whether the same was issued with another signature: anybody can write an ECDSA signature in a second way, and needs no key for that.
    async fn was_issued(&self, stranger: &Stranger, authority: Option<&Authority>, serial: Option<&[u8]>) -> Result<bool, Error> {
        let (Some(authority), Some(serial)) = (authority, serial) else { return Ok(false) };
        let issued = store::issued_as(&mut self.db.read().await?, &authority.id, serial).await?;
        Ok(issued.is_some_and(|der| recognise::say_the_same(&der, &stranger.der)))
    }

    /// Notes it on the authority, unless something was noted there before.
    async fn note_alarm(&self, authority: &Authority, sign: &Sign) -> Result<(), Error> {
        if store::alarm_of(&mut self.db.read().await?, &authority.id, &authority.org).await?.is_some() {
            return Ok(());
        }
        let word = |key: &str| sign.detail.get(key).and_then(Value::as_str).unwrap_or_default();
        let from = if sign.from.is_empty() { String::new() } else { format!(" from {}", sign.from) };
        let text = format!(
            "A certificate for {} with SHA-256 {} was shown{from}: it has this authority's signature and was never issued here.",
            word("subject"),
            word("fingerprint")
        );
        let mut tx = self.db.write().await?;
        store::alarm(&mut tx, &authority.id, self.clock.now(), &text).await?;
        tx.commit().await?;
        // Open pages of the overview and of authorities read again.
        self.bus.tell(Event::Consent { org: authority.org.clone() });
        Ok(())
    }

    /// The authority that a certificate names as its issuer, and its serial number. Every one of ours has a name of its own (P-7).
    fn signer_of(&self, leaf: &[u8]) -> Option<(Arc<Authority>, Vec<u8>)> {
        let (issuer, serial) = recognise::issued_by(leaf)?;
        let named = |a: &&Arc<Authority>| recognise::authority(&a.der).is_some_and(|(name, ..)| name == issuer);
        Some((self.authorities.load().iter().find(named).cloned()?, serial))
    }

    /// Tells that somebody asks for a certificate for a key that is not theirs; whose device has it, the books say where it is of the same
    /// organization.
    pub(crate) async fn tell_key_in_use(
        &self,
        org: Option<OrgId>,
        from: &str,
        object: String,
        csr: Option<&Csr>,
        whose: &str,
        mut detail: Map<String, Value>,
    ) {
        detail.insert("key".into(), json!(whose));
        if let Some(csr) = csr {
            detail.insert("spki_sha256".into(), json!(hex::encode(csr.spki_sha256)));
            if let Some(digest) = csr.digest() {
                detail.insert("csr_sha256".into(), json!(digest));
            }
            if let Some(name) = &csr.common_name {
                detail.entry("device_id").or_insert_with(|| json!(name));
            }
        }
        if let (Some(csr), Some(org)) = (csr, &org)
            && let Some(device) = self.holder_of(org, &csr.spki_sha256).await
        {
            detail.insert("key_of".into(), json!(device));
        }
        self.attacks.tell(Sign { kind: Kind::KeyInUse, org, from: from.to_owned(), object, detail });
    }

    /// The device whose key this is. Nobody depends on the answer, so a database that gives none is no failure.
    async fn holder_of(&self, org: &OrgId, spki_sha256: &[u8]) -> Option<String> {
        store::holder(&mut self.db.read().await.ok()?, org, spki_sha256).await.ok().flatten()
    }

    /// Says that a person has looked at it. The next such certificate gives the alarm again.
    pub async fn clear_alarm(&self, actor: &Actor, id: &AuthorityId) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let mut tx = self.db.write().await?;
        let Some((sign, _)) = store::alarm_of(&mut tx, id, &actor.org).await? else {
            return match store::authority_state(&mut tx, id, &actor.org).await? {
                Some(_) => Ok(()),
                None => Err(Error::NoSuchAuthority),
            };
        };
        if store::clear_alarm(&mut tx, id, &actor.org).await? {
            audit::append(&mut tx, actor, self.clock.now(), "authority.cleared", id.as_str(), &json!({ "seen": sign })).await?;
            tx.commit().await?;
            self.bus.tell(Event::Consent { org: actor.org.clone() });
        }
        Ok(())
    }

    /// What nobody has looked at yet, of authorities that are believed, newest first.
    pub(crate) async fn alarms(&self, org: &OrgId, limit: i64) -> Result<Vec<(AuthorityId, String, AuthorityAlarm)>, Error> {
        store::alarmed(&mut self.db.read().await?, org, limit)
            .await?
            .into_iter()
            .map(|(id, subject, sign, at)| {
                Ok((id.parse().map_err(crate::db::Error::corrupt)?, subject, AuthorityAlarm { sign, at: Timestamp(at) }))
            })
            .collect()
    }
}

/// What is known of it, for the books of whom it concerns.
fn sign(kind: Kind, authority: Option<&Authority>, stranger: &Stranger) -> Sign {
    let fingerprint = hex::encode(stranger.fingerprint);
    let mut detail = Map::new();
    recognise::describe(&stranger.der, &mut detail);
    detail.insert("fingerprint".into(), json!(fingerprint));
    Sign {
        kind,
        org: authority.map(|a| a.org.clone()),
        from: stranger.from.map(|from| from.to_string()).unwrap_or_default(),
        object: authority.map_or(fingerprint, |a| a.id.to_string()),
        detail,
    }
}

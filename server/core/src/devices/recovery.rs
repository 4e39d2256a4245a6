//! Devices that come back after their certificate has ended. The `pki` room has the proof; here it is decided whether a person has to
//! approve it, and it is issued once for each key.

use super::{
    Devices, Error,
    requests::{self, LIFE_MS, RequestRow},
    store,
};
use crate::{
    access::{Actor, audit},
    bus::Event,
    db::{exec, row},
    pki::{self, Proven, signed_ahead},
    source::Source,
};
use serde_json::{Map, json};
use wire::{
    Timestamp,
    enrolment::{Enrolled, RecoverRequest, RecoveryNonce},
    ids::{CertificateId, EnrolmentRequestId},
    states::{EnrolmentRequestState, RecoveryPolicy},
};

/// What a request of such a device has in place of a token.
const CREDENTIAL: &str = "recovery";
const BY: &str = "recovery";

impl Devices {
    /// A word to sign, which counts for five minutes on every instance.
    pub fn recovery_nonce(&self) -> RecoveryNonce {
        self.pki.recovery_nonce()
    }

    /// Gives a device whose certificate has ended a new one, at once or when a person has approved it ([`Error::Pending`]), as the organization
    /// wants. The same key gets the same certificate again until that was used.
    pub async fn recover(&self, request: &RecoverRequest, address: &str) -> Result<Enrolled, Error> {
        let now = self.clock.now();
        let proven = match self.pki.prove(request, address).await {
            Ok(proven) => proven,
            Err(refusal) => {
                tracing::info!(address, error = %refusal, "recovery refused");
                // Only what nobody would say who holds the key counts as a guess.
                if matches!(refusal, pki::Error::RecoveryNonce | pki::Error::RecoveryRefused | pki::Error::Csr(_)) {
                    if !self.guesses.open(&Source::of(address), now) {
                        return Err(Error::TooMany);
                    }
                    self.guesses.fail(&Source::of(address), now);
                }
                return Err(refusal.into());
            }
        };
        let certificate = match self.pki.replaced_by(&proven).await? {
            Some(given) => given,
            None => match self.replace(&proven, address, now).await {
                Err(Error::Pki(pki::Error::KeyInUse(whose))) => {
                    let object = proven.device_id.to_string();
                    self.pki.tell_key_in_use(Some(proven.org.clone()), address, object, Some(&proven.csr), whose, Map::new()).await;
                    self.guesses.fail(&Source::of(address), now);
                    return Err(pki::Error::KeyInUse(whose).into());
                }
                outcome => outcome?,
            },
        };
        Ok(self.pki.enrolled(&proven.org, &certificate, &self.urls.device, now).await?)
    }

    async fn replace(&self, proven: &Proven, address: &str, now: Timestamp) -> Result<CertificateId, Error> {
        if proven.rules.recovery == RecoveryPolicy::Auto {
            return self.give_anew(proven, None, address, now).await;
        }
        let key = proven.csr.spki_sha256.as_slice();
        let asked = row!(&mut self.db.read().await?, RequestRow, store::REQUEST_OF, proven.org.as_str(), CREDENTIAL, key, now.0)?;
        match asked.as_ref().map(RequestRow::state).transpose()? {
            None => self.ask(proven, address, now).await,
            Some(EnrolmentRequestState::Approved) => self.give_anew(proven, asked.as_ref(), address, now).await,
            Some(EnrolmentRequestState::Rejected) => Err(Error::Rejected(proven.device_id.to_string())),
            Some(EnrolmentRequestState::Pending) => Err(Error::Pending),
            // What it was given was used, so the certificate it asks for again has a successor, and the proof has refused it; or it was revoked.
            Some(EnrolmentRequestState::Enrolled) => Err(pki::Error::NotRecoverable.into()),
        }
    }

    async fn ask(&self, proven: &Proven, address: &str, now: Timestamp) -> Result<CertificateId, Error> {
        let mut tx = self.db.write().await?;
        requests::forget(&mut tx, Some((&proven.org, CREDENTIAL)), now).await?;
        // One question a device: with another key it asks anew, in the place of what it asked before.
        exec!(&mut tx, store::RECOVERIES_REPLACE, proven.org.as_str(), proven.certificate.as_str())?;
        let id: EnrolmentRequestId = self.entropy.id(now);
        let inserted = exec!(
            &mut tx,
            store::RECOVERY_INSERT,
            id.as_str(),
            proven.org.as_str(),
            CREDENTIAL,
            proven.csr.spki_sha256.as_slice(),
            proven.csr.csr_sha256.as_slice(),
            proven.device,
            proven.csr.key_alg.to_string(),
            address,
            now.0,
            now.plus(LIFE_MS).0,
            proven.certificate.as_str()
        )?;
        if inserted == 0 {
            return Err(Error::Pending);
        }
        let actor = Actor::stranger(proven.org.clone(), address);
        let csr = hex::encode(proven.csr.csr_sha256);
        let detail = json!({ "device_id": proven.device_id, "certificate": proven.certificate, "csr_sha256": csr });
        audit::append(&mut tx, &actor, now, "recovery.ask", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: proven.org.clone() });
        Err(Error::Pending)
    }

    async fn give_anew(
        &self,
        proven: &Proven,
        request: Option<&RequestRow>,
        address: &str,
        now: Timestamp,
    ) -> Result<CertificateId, Error> {
        signed_ahead!(self.pki, Box::pin(self.give_anew_at_once(proven, request, address, now)).await)
    }

    async fn give_anew_at_once(
        &self,
        proven: &Proven,
        request: Option<&RequestRow>,
        address: &str,
        now: Timestamp,
    ) -> Result<CertificateId, Error> {
        let actor = Actor::device(&proven.org, proven.device, &proven.device_id, address);
        let mut tx = self.db.write().await?;
        if let Some(request) = request {
            let csr = proven.csr.csr_sha256.as_slice();
            if exec!(&mut tx, store::REQUEST_TAKE, request.id(), csr, now.0, now.plus(LIFE_MS).0)? == 0 {
                return Err(Error::Pending);
            }
        }
        let deeds = |serials: &[String]| {
            let csr = hex::encode(proven.csr.csr_sha256);
            let detail = json!({
                "replaces": proven.certificate, "serial": serials.first(), "csr_sha256": csr, "ignored_extensions": proven.csr.ignored,
            });
            vec![audit::Deed { actor: &actor, action: "device.recover", object: proven.device_id.as_str(), detail }]
        };
        let issued = match self.pki.replace_ended(&mut tx, proven, BY, actor.origin(), deeds).await? {
            Ok(issued) => issued,
            // The same device, asking twice at the same moment.
            Err(given) => return Ok(given),
        };
        if let Some(request) = request {
            exec!(&mut tx, store::REQUEST_GAVE, request.id(), issued.id.as_str())?;
        }
        tx.commit().await?;
        self.pki.admit(&issued);
        self.pki.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: proven.org.clone(), device: proven.device });
        Ok(issued.id)
    }
}

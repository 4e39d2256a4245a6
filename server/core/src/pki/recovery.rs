//! Coming back after the end, of the certificate or of its authority: a device proves with its old key who it is. Owns the proof; whether a person
//! has to approve it, and the new certificate, are the `devices` room's business.
//!
//! The nonce is not kept: it is the time, randomness and a tag that only instances of this fleet can make, so any of them may be asked. It may be
//! used again within its life; what is signed names one CSR, and the same CSR gets the same certificate.

use super::{
    Csr, Error, Pki, aftermath,
    csr::{self, KeyAlg, sha256},
    issue::{Issued, NewLeaf},
    store,
};
use crate::{access::audit::Deed, asked::Origin, db::Tx};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use wire::{
    Timestamp,
    enrolment::{RecoverRequest, RecoveryNonce},
    ids::{CertificateId, DeviceId, OrgId},
    pki::IdentityRules,
    states::{CertificateState, DeviceState, RecoveryPolicy, RekeyPolicy},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

/// How long a nonce counts.
const NONCE_MS: i64 = 5 * 60_000;
const STAMP: usize = 8;
const RANDOM: usize = 16;
const TAG: usize = 32;
const PURPOSE: &[u8] = b"recovery nonce/v1";
/// Largest certificate that is looked at, PEM.
const MAX_PEM: usize = 16 * 1024;

/// A device that has proved that it holds the key of a certificate that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Proven {
    pub org: OrgId,
    pub device: i64,
    pub device_id: DeviceId,
    pub certificate: CertificateId,
    pub fingerprint: [u8; 32],
    pub csr: Csr,
    pub rules: IdentityRules,
}

impl Pki {
    /// A word to sign.
    pub fn recovery_nonce(&self) -> RecoveryNonce {
        let now = self.clock.now();
        let drawn: [u8; RANDOM] = self.entropy.bytes();
        let body = [now.0.to_be_bytes().as_slice(), &drawn].concat();
        let tag = self.kek.tag(&[PURPOSE, &body].concat());
        RecoveryNonce { nonce: STANDARD.encode([body.as_slice(), &tag].concat()), expires_at: now.plus(NONCE_MS) }
    }

    /// Whose certificate it is, once its key has signed. Until then every refusal sounds the same, so nobody learns which certificates exist. A blocked key
    /// proves nothing: whoever signs with it, `from` where, is told of as a sign of attack.
    pub(crate) async fn prove(&self, request: &RecoverRequest, from: &str) -> Result<Proven, Error> {
        let now = self.clock.now();
        let nonce = self.fresh(&request.nonce, now).ok_or(Error::RecoveryNonce)?;
        if request.certificate.len() > MAX_PEM {
            return Err(Error::RecoveryRefused);
        }
        let leaf = CertificateDer::from_pem_slice(request.certificate.as_bytes()).map_err(|_| Error::RecoveryRefused)?;
        let csr = csr::gate(request.csr.as_bytes(), None)?;
        let signature = STANDARD.decode(request.signature.trim()).map_err(|_| Error::RecoveryRefused)?;
        let mut on = self.db.read().await?;
        let found = store::to_recover(&mut on, &sha256(&leaf)).await?.ok_or(Error::RecoveryRefused)?;
        let message = [nonce.as_slice(), &csr.csr_sha256].concat();
        if !signed(&leaf, &message, &signature) {
            return Err(Error::RecoveryRefused);
        }
        // From here on it is the device that asks, and may be told what is wrong.
        let device_id: DeviceId = found.device_id.parse().map_err(crate::db::Error::corrupt)?;
        if csr.common_name.as_ref().is_some_and(|cn| *cn != device_id) {
            return Err(csr::CsrError::Identity("another device").into());
        }
        let org: OrgId = found.org_id.parse().map_err(crate::db::Error::corrupt)?;
        let certificate: CertificateId = found.id.parse().map_err(crate::db::Error::corrupt)?;
        if let Some(proof) = self.blocked_proof(&mut on, &certificate).await? {
            drop(on);
            self.tell_blocked_proof(&org, from, &device_id, &csr, &proof).await;
            return Err(Error::NotRecoverable);
        }
        let mut rules = self.rules_of(&mut on, &org).await?;
        if found.ended_issuer {
            // An admin's word about this authority counts, whatever holds for certificates that end by themselves.
            rules.recovery = aftermath::open_way(&found, now)?;
        }
        if rules.recovery == RecoveryPolicy::Off {
            return Err(if found.ended_issuer { Error::NotRecoverable } else { Error::NoRecovery });
        }
        let same_key = spki_sha256(&leaf) == Some(csr.spki_sha256);
        match store::rekey(&mut on, &org, &found.validity_profile).await? {
            RekeyPolicy::Required if same_key => return Err(Error::RekeyRequired),
            RekeyPolicy::Forbidden if !same_key => return Err(Error::RekeyForbidden),
            RekeyPolicy::Required | RekeyPolicy::Allowed | RekeyPolicy::Forbidden => {}
        }
        let fingerprint = sha256(&leaf);
        replaceable(&found, rules, now)?;
        Ok(Proven { org, device: found.device, device_id, certificate, fingerprint, csr, rules })
    }

    /// The certificate that this key was given in the place of the ended one, until it was used.
    pub(crate) async fn replaced_by(&self, proven: &Proven) -> Result<Option<CertificateId>, Error> {
        let given = store::given_for(&mut self.db.read().await?, &proven.certificate, &proven.csr.spki_sha256).await?;
        Ok(given.map(|id| id.parse().map_err(crate::db::Error::corrupt)).transpose()?)
    }

    /// Signs the successor inside the caller's transaction, unless the same key was just given one. What else the device was given in the ended one's place
    /// and has not used is superseded; one from before, if it is still usable, stays. `deeds` is what the books say of it beside the certificate, with
    /// its serial in hex.
    pub(crate) async fn replace_ended<'d>(
        &self,
        tx: &mut Tx,
        proven: &Proven,
        by: &str,
        origin: Origin<'_>,
        deeds: impl FnOnce(&[String]) -> Vec<Deed<'d>> + Send,
    ) -> Result<Result<Issued, CertificateId>, Error> {
        let now = self.clock.now();
        // From here on no other change of trust comes in between; what the proof saw is looked at again.
        let seq = store::next_trust(tx).await?;
        if self.blocked_proof(tx, &proven.certificate).await?.is_some() {
            return Err(Error::NotRecoverable);
        }
        if let Some(given) = store::given_for(tx, &proven.certificate, &proven.csr.spki_sha256).await? {
            return Ok(Err(given.parse().map_err(crate::db::Error::corrupt)?));
        }
        let found = store::to_recover(tx, &proven.fingerprint).await?.ok_or(Error::RecoveryRefused)?;
        replaceable(&found, proven.rules, now)?;
        let new = NewLeaf {
            org: &proven.org,
            device: proven.device,
            device_id: &proven.device_id,
            csr: &proven.csr,
            enrolled_by: by,
            replaces: Some(&proven.certificate),
            profile: &found.validity_profile,
            origin,
        };
        let issued = self.issue_at(tx, new, seq, deeds).await?;
        store::drop_unused(tx, proven.device, &proven.certificate, &issued.id, now, seq).await?;
        Ok(Ok(issued))
    }

    /// The bytes of a nonce of ours that still counts.
    fn fresh(&self, text: &str, now: Timestamp) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(text.trim()).ok().filter(|b| b.len() == STAMP + RANDOM + TAG)?;
        let (body, tag) = bytes.split_at(STAMP + RANDOM);
        let at = Timestamp(i64::from_be_bytes(body.get(..STAMP)?.try_into().ok()?));
        (self.kek.made(&[PURPOSE, body].concat(), tag) && (0..=NONCE_MS).contains(&now.since(at))).then_some(bytes)
    }
}

/// Whether a certificate may still be replaced after its end, or that of its authority.
fn replaceable(found: &store::RecoveryRecord, rules: IdentityRules, now: Timestamp) -> Result<(), Error> {
    let state: CertificateState = found.state.parse().map_err(crate::db::Error::corrupt)?;
    let device: DeviceState = found.device_state.parse().map_err(crate::db::Error::corrupt)?;
    let ended = Timestamp(found.not_after);
    if !matches!(state, CertificateState::Active | CertificateState::Expired) || device != DeviceState::Active {
        return Err(Error::NotRecoverable);
    }
    if found.ended_issuer {
        let closed = aftermath::open_way(found, now)? == RecoveryPolicy::Off;
        return if closed || found.has_successor { Err(Error::NotRecoverable) } else { Ok(()) };
    }
    if now.0 <= ended.0 {
        return Err(Error::NotEnded);
    }
    if found.has_successor || now.since(ended) > i64::from(rules.recovery_days) * 24 * 3_600_000 {
        return Err(Error::NotRecoverable);
    }
    Ok(())
}

/// The identity of a certificate's key.
fn spki_sha256(leaf: &[u8]) -> Option<[u8; 32]> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    Some(sha256(certificate.public_key().raw))
}

/// Whether the certificate's key has signed the message.
fn signed(leaf: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return false };
    let spki = certificate.public_key();
    let algorithm: &dyn VerificationAlgorithm = match csr::key(spki) {
        Ok(KeyAlg::P256) => &ECDSA_P256_SHA256_ASN1,
        Ok(KeyAlg::P384) => &ECDSA_P384_SHA384_ASN1,
        Ok(KeyAlg::Ed25519) => &ED25519,
        Ok(KeyAlg::Rsa(_)) => &RSA_PKCS1_2048_8192_SHA256,
        Err(_) => return false,
    };
    UnparsedPublicKey::new(algorithm, &spki.subject_public_key.data).verify(message, signature).is_ok()
}

//! Keys that are blocked by hand: found in a repository or a firmware image, maybe before any certificate for them exists. Owns the list and who may change
//! it; whoever issues asks the database (`issue.rs`), and what was compromised is blocked where its certificate is revoked (`revoke.rs`).
//!
//! A blocked key proves nothing either: whoever shows a certificate for it, to come back or to have another, may be anybody, and gets none.
//!
//! An organization blocks for itself alone: anybody knows the public keys of others' devices.

use super::{
    Csr, Error, Pki,
    csr::{self, sha256},
    der,
    journal::{Entry, LeakedKey},
    store,
};
use crate::{
    access::{Act, Actor, audit, may},
    db::Conn,
    hash::printed,
    text::readable_text,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use serde_json::{Map, json};
use wire::{
    blocked::{BY_HAND, BlockedKey, MAX_BLOCK_REASON, NewBlockedKey},
    ids::{CertificateId, DeviceId, OrgId},
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
};
use x509_parser::{
    certificate::X509Certificate, certification_request::X509CertificationRequest, prelude::FromDer as _, x509::SubjectPublicKeyInfo,
};

/// Where the list begins.
pub(super) const NEWEST: (i64, &[u8]) = (i64::MAX, &[]);
/// Why nobody may have such a key, as refusals and the books say it.
pub(super) const BLOCKED_BY_HAND: &str = "blocked by hand";
/// The same of one that was compromised.
pub(super) const BLOCKED_FOR_GOOD: &str = "blocked after a compromise";
/// How many the page of rules shows.
pub(super) const FEW: i64 = 20;

impl Pki {
    /// The organization's blocked keys, newest first.
    pub async fn blocked_keys(&self, actor: &Actor, cursor: Option<&str>, rows: Option<u32>) -> Result<Page<BlockedKey>, Error> {
        may(actor, Act::Read)?;
        let rows = rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
        let after = cursor.map(|cursor| placed(cursor).ok_or(Error::Cursor)).transpose()?;
        let after = after.as_ref().map_or(NEWEST, |(at, spki)| (*at, spki.as_slice()));
        let mut on = self.db.read().await?;
        let total = store::blocked_count(&mut on, &actor.org).await?;
        let found = store::blocked(&mut on, &actor.org, after, i64::from(rows) + 1).await?;
        Ok(Page::cut(found, rows, total, |key| format!("{}-{}", key.blocked_at.0, key.spki_sha256)))
    }

    /// Blocks a key: no certificate is made for it any more in this organization. Those that were made before stay until they are revoked. Idempotent: what
    /// was said first stands and is the answer. The key of an authority that is here, or that waits for its certificate, is none that anybody else could have
    /// one for: it is refused ([`Error::AuthorityKey`]), because blocking it would only undo what admins do.
    pub async fn block_key(&self, actor: &Actor, new: &NewBlockedKey) -> Result<BlockedKey, Error> {
        may(actor, Act::Revoke)?;
        let (spki, note, now) = (named(new)?, reason(&new.reason)?, self.clock.now());
        let key = LeakedKey {
            spki_sha256: spki.to_vec(),
            org_id: actor.org.as_str().to_owned(),
            reason: BY_HAND.to_owned(),
            blocked_at: now.0,
            blocked_by: actor.label(),
            certificate_id: String::new(),
            note,
        };
        let mut tx = self.db.write().await?;
        // As whoever issues does: of two at once the second sees what the first did.
        store::next_trust(&mut tx).await?;
        if store::is_authority_key(&mut tx, &actor.org, &spki).await? {
            return Err(Error::AuthorityKey);
        }
        if store::block_key(&mut tx, &key).await? {
            audit::append(&mut tx, actor, now, "key.block", &hex::encode(spki), &json!({ "reason": BY_HAND, "note": key.note })).await?;
            self.journal_all(&[Entry::Blocked(key)]).await;
        }
        let blocked = store::blocked_one(&mut tx, &actor.org, &spki).await?.ok_or(Error::NoBlockedKey)?;
        tx.commit().await?;
        Ok(blocked)
    }

    /// Lets a key that was blocked by hand be used again. One that was compromised stays blocked.
    pub async fn unblock_key(&self, actor: &Actor, spki_sha256: &str) -> Result<(), Error> {
        may(actor, Act::Rules)?;
        let (spki, now) = (printed(spki_sha256).ok_or(Error::NoBlockedKey)?, self.clock.now());
        let mut tx = self.db.write().await?;
        store::next_trust(&mut tx).await?;
        let blocked = store::blocked_one(&mut tx, &actor.org, &spki).await?.ok_or(Error::NoBlockedKey)?;
        if !store::unblock_key(&mut tx, &actor.org, &spki).await? {
            return Err(Error::BlockedForGood);
        }
        let detail = json!({ "note": blocked.reason, "by": blocked.blocked_by, "at": blocked.blocked_at });
        audit::append(&mut tx, actor, now, "key.unblock", &blocked.spki_sha256, &detail).await?;
        self.journal_unblocked(&actor.org, &spki, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A certificate that somebody wants another one with, and whose key is blocked.
pub(super) struct BlockedProof {
    certificate: CertificateId,
    spki_sha256: Vec<u8>,
    whose: &'static str,
}

impl Pki {
    /// The SHA-256 of this certificate's key, and whether that key is blocked.
    pub(super) async fn proof(&self, on: &mut impl Conn, certificate: &CertificateId) -> Result<(Vec<u8>, Option<BlockedProof>), Error> {
        let (key, reason) = store::key_of(on, certificate).await?.ok_or(Error::NotFound)?;
        let blocked = reason.map(|reason| BlockedProof {
            certificate: certificate.clone(),
            spki_sha256: key.clone(),
            whose: if reason == BY_HAND { BLOCKED_BY_HAND } else { BLOCKED_FOR_GOOD },
        });
        Ok((key, blocked))
    }

    /// Whether the key of this certificate is blocked.
    pub(super) async fn blocked_proof(&self, on: &mut impl Conn, certificate: &CertificateId) -> Result<Option<BlockedProof>, Error> {
        Ok(self.proof(on, certificate).await?.1)
    }

    /// Tells that somebody wants a certificate with it. Call it with no transaction open.
    pub(super) async fn tell_blocked_proof(&self, org: &OrgId, from: &str, device: &DeviceId, csr: &Csr, proof: &BlockedProof) {
        let mut detail = Map::new();
        detail.insert("proved_with".into(), json!(proof.certificate));
        detail.insert("spki_sha256".into(), json!(hex::encode(&proof.spki_sha256)));
        if let Some(digest) = csr.digest() {
            detail.insert("csr_sha256".into(), json!(digest));
        }
        self.tell_key_in_use(Some(org.clone()), from, device.to_string(), None, proof.whose, detail).await;
    }
}

/// What a cursor says: when, and which.
fn placed(cursor: &str) -> Option<(i64, Vec<u8>)> {
    let (at, spki) = cursor.split_once('-')?;
    Some((at.parse().ok()?, printed(spki)?.to_vec()))
}

/// Why it is blocked, as it is written down.
fn reason(text: &str) -> Result<String, Error> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_BLOCK_REASON as usize || !readable_text(text) {
        return Err(Error::BlockReason);
    }
    Ok(text.to_owned())
}

/// The SHA-256 of the key that is named, by itself or by what it is in.
fn named(new: &NewBlockedKey) -> Result<[u8; 32], Error> {
    match (new.spki_sha256.trim(), new.public_key.trim()) {
        ("", "") => {
            Err(Error::NoKeyNamed("Name the key: by the SHA-256 of its SubjectPublicKeyInfo, or by a public key, a CSR or a certificate."))
        }
        (hash, "") => printed(hash).ok_or(Error::NoKeyNamed("Give the SHA-256 of the key's SubjectPublicKeyInfo as 64 hex digits.")),
        ("", pem) => Ok(sha256(&key_in(pem)?)),
        _ => Err(Error::NoKeyNamed("Name one key: by its hash or by a file, not by both.")),
    }
}

/// The `SubjectPublicKeyInfo` in a PEM block.
fn key_in(pem: &str) -> Result<Vec<u8>, Error> {
    let none = || Error::NoKeyNamed("Give one PEM block: a public key, a CSR or a certificate.");
    if pem.contains("PRIVATE KEY-----") {
        return Err(Error::NoKeyNamed("Never send a private key. Its public key is enough: openssl pkey -in key.pem -pubout."));
    }
    if pem.matches("-----BEGIN ").count() != 1 {
        return Err(none());
    }
    let pem = pem.as_bytes();
    let spki = if let Ok(key) = SubjectPublicKeyInfoDer::from_pem_slice(pem) {
        key.as_ref().to_vec()
    } else if let Ok(request) = CertificateSigningRequestDer::from_pem_slice(pem) {
        let (_, parsed) = X509CertificationRequest::from_der(&request).map_err(|_| none())?;
        parsed.certification_request_info.subject_pki.raw.to_vec()
    } else if let Ok(certificate) = CertificateDer::from_pem_slice(pem) {
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| none())?;
        parsed.public_key().raw.to_vec()
    } else {
        return Err(none());
    };
    // Written otherwise it would be another key to whoever issues, who takes it in one form alone.
    der::strict(&spki).map_err(|_| none())?;
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| none())?;
    csr::key(&parsed).map_err(|_| Error::NoKeyNamed("No device gets a certificate for a key of this type, size or encoding anyway."))?;
    Ok(spki)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::csr_by;
    use rcgen::{KeyPair, PublicKeyData as _};

    #[test]
    fn a_key_is_named_by_its_hash_or_by_what_it_is_in_and_never_by_its_private_half() {
        let pair = KeyPair::generate().unwrap();
        let hash = sha256(&pair.subject_public_key_info());
        let by = |spki_sha256: &str, public_key: &str| {
            let new = NewBlockedKey { spki_sha256: spki_sha256.to_owned(), public_key: public_key.to_owned(), reason: String::new() };
            named(&new).map_err(|e| e.fault().message)
        };
        let own = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        for pem in [pair.public_key_pem(), csr_by(&pair, "gw-1"), own.pem()] {
            assert_eq!(by("", &pem), Ok(hash), "{pem}");
        }
        let plain = hex::encode(hash);
        let colons = plain.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two).to_uppercase()).collect::<Vec<_>>().join(":");
        assert!(by(&plain, "") == Ok(hash) && by(&format!(" {colons} "), "") == Ok(hash));
        assert!(by(&plain, &pair.public_key_pem()).unwrap_err().contains("not by both"));
        assert!(by("", &pair.serialize_pem()).unwrap_err().contains("-pubout"));
        assert!(by("", &[pair.public_key_pem(), pair.serialize_pem()].concat()).unwrap_err().contains("-pubout"));
        for (hash, pem) in [("", ""), ("12", ""), ("", "a key"), ("", &*pair.public_key_pem().repeat(2))] {
            assert!(by(hash, pem).is_err(), "{hash}{pem}");
        }
        let large = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        assert!(by("", &large.public_key_pem()).unwrap_err().contains("anyway"));
    }
}

//! Who answers OCSP requests: for each issuing authority a signer whose key is made here and never leaves memory, and whose certificate the
//! authority signs for a week. Answers come from memory; the common ones are signed once for half an hour.

use super::{
    Error, Pki,
    authorities::Authority,
    ocsp::{self, CertId, Said, Status},
    profile::{Kind, Subject},
    statuses::Standing,
};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use std::{collections::HashMap, sync::Arc};
use wire::{Timestamp, ids::AuthorityId};

/// For how long an answer holds.
const LIFE: i64 = 3_600_000;
/// For how long a signed answer is given again.
const REUSE: i64 = LIFE / 2;
/// Most answers that are kept.
const KEPT: usize = 4096;

struct Signer {
    key: KeyPair,
    der: Vec<u8>,
    renew_at: Timestamp,
    not_after: Timestamp,
}

struct Kept {
    der: Bytes,
    standing: Standing,
    until: Timestamp,
}

/// The signers and the answers that are kept. The keys of these answers are certificates that were issued, so strangers' questions don't fill it.
#[derive(Default)]
pub(super) struct Responder {
    signers: RwLock<HashMap<AuthorityId, Arc<Signer>>>,
    kept: Mutex<HashMap<Vec<u8>, Kept>>,
}

/// An answer to an OCSP request.
#[derive(Debug, Clone)]
pub struct OcspAnswer {
    /// DER.
    pub der: Bytes,
    /// Until when caches may give it again; none when they may not.
    pub fresh_until: Option<Timestamp>,
}

impl From<Status> for OcspAnswer {
    fn from(status: Status) -> Self {
        Self { der: ocsp::refusal(status).into(), fresh_until: None }
    }
}

impl Pki {
    /// Answers an OCSP request, whatever its bytes are. Memory only. One message is about certificates of one authority: a signer speaks for its own.
    pub fn ocsp(&self, request: &[u8]) -> OcspAnswer {
        let Some(request) = ocsp::request(request) else { return Status::Malformed.into() };
        // An answer of a wrong time would be given again until then.
        if self.clock_jump().is_some() {
            return Status::TryLater.into();
        }
        let all = self.authorities.load();
        let issuer = all.iter().find(|a| answers_for(a) && request.certificates.iter().all(|id| a.names.are_in(id)));
        let Some(issuer) = issuer else { return Status::Unauthorized.into() };
        let now = self.clock.now();
        let signer = self.responder.signers.read().get(&issuer.id).filter(|s| now < s.not_after).cloned();
        let Some(signer) = signer else { return Status::TryLater.into() };

        let standing = |id: &CertId<'_>| self.statuses.standing(&issuer.id, id.serial);
        let said: Vec<_> = request.certificates.iter().map(|id| Said { id, standing: standing(id) }).collect();
        // Unknown serials are not kept: anybody can make them up.
        let keeps = match (&said[..], request.nonce) {
            ([Said { id, standing: Some(standing) }], None) => Some((&id.raw, *standing)),
            _ => None,
        };
        if let Some((id, standing)) = keeps
            && let Some(kept) = self.responder.kept.lock().get(id).filter(|k| now < k.until && k.standing == standing)
        {
            return OcspAnswer { der: kept.der.clone(), fresh_until: Some(kept.until) };
        }
        let data = ocsp::data(signer.key.der_bytes(), &said, request.nonce, now, now.plus(LIFE).min(signer.not_after));
        let Ok(signature) = signer.key.sign(&data) else { return Status::TryLater.into() };
        let der: Bytes = ocsp::response(&data, &signature, &signer.der).into();
        let until = now.plus(REUSE);
        if let Some((id, standing)) = keeps {
            let mut kept = self.responder.kept.lock();
            if kept.len() >= KEPT {
                kept.retain(|_, k| now < k.until);
            }
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(id.clone(), Kept { der: der.clone(), standing, until });
        }
        OcspAnswer { der, fresh_until: keeps.map(|_| until) }
    }

    /// Makes a signer for every authority that has none, or whose signer's life is over by two thirds. [`Pki::work`] keeps calling it.
    pub async fn renew_responders(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let all = self.authorities.load_full();
        let mut failed = None;
        for issuer in all.iter().filter(|a| answers_for(a) && now < a.not_after && a.signer().is_ok()) {
            if self.responder.signers.read().get(&issuer.id).is_some_and(|s| now < s.renew_at) {
                continue;
            }
            match self.make_signer(issuer).await {
                Ok(()) => {}
                // It ends within the hour, and with it everything there is to ask about.
                Err(Error::AuthorityExpiring) => tracing::warn!(authority = %issuer.id, "no OCSP signer: the authority is about to end"),
                // One authority's trouble is not another's.
                Err(error) => {
                    tracing::error!(authority = %issuer.id, %error, "an OCSP signer could not be made");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether nobody here answers for an authority that somebody could answer for.
    pub(super) fn unanswered(&self, issuer: &Authority) -> bool {
        let could = answers_for(issuer) && self.clock.now() < issuer.not_after && issuer.signer().is_ok();
        could && !self.responder.signers.read().contains_key(&issuer.id)
    }

    async fn make_signer(&self, issuer: &Arc<Authority>) -> Result<(), Error> {
        let key = KeyPair::generate()?;
        let name = issuer.subject.rsplit_once("CN=").map_or(issuer.subject.as_str(), |(_, cn)| cn);
        let subject = Subject::responder(&issuer.slug, name);
        let (leaf, renew_at) = self.own_leaf(issuer, Kind::OcspSigner, &key, &subject, "OCSP responder").await?;
        let signer = Signer { key, der: leaf.der, renew_at, not_after: leaf.validity.until };
        self.responder.signers.write().insert(issuer.id.clone(), Arc::new(signer));
        Ok(())
    }
}

/// Issuing authorities that are trusted. The root's few certificates are in its list.
fn answers_for(authority: &Authority) -> bool {
    matches!(authority.kind, Kind::DeviceAuthority | Kind::ServerAuthority | Kind::ClaimAuthority) && authority.trusted()
}

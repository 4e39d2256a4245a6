//! Signing, whoever it is for: a serial under its unique index, then the signature, in the caller's transaction (E-2, P-2, P-6); for many at
//! once as for one. What a certificate looks like is `profile.rs`'s business; who may have one is not asked here.

use super::{
    Error, Pki,
    authorities::Authority,
    csr::{KeyAlg, sha256},
    peer::Fingerprint,
    profile::{self, Kind, Subject, Validity},
    store, turns,
};
use crate::{
    access::{Actor, audit},
    db::{Bytes, Tx},
};
use rcgen::{CertificateParams, PublicKeyData, SubjectPublicKeyInfo};
use serde_json::json;
use std::{collections::HashSet, sync::Arc};
use wire::{Timestamp, ids::CertificateId, states::KeyOrigin};

/// How often a serial is drawn before giving up: with 158 random bits a second time means a broken generator.
const DRAWS: usize = 16;

/// What is signed, whoever it is for.
pub(super) struct Order<'a> {
    pub issuer: &'a Arc<Authority>,
    pub key: SubjectPublicKeyInfo,
    pub kind: Kind,
    pub key_origin: KeyOrigin,
    pub device: Option<i64>,
    pub subject: &'a Subject,
    pub shown: &'a str,
    pub key_alg: String,
    pub csr_sha256: &'a [u8],
    pub enrolled_by: &'a str,
    pub replaces: Option<&'a CertificateId>,
    pub trust_seq: i64,
    /// Another life than that of its kind, in milliseconds.
    pub life: Option<i64>,
    /// An end before that of its kind.
    pub until: Option<Timestamp>,
    /// The organization's profile that it is of; empty for none.
    pub profile: &'a str,
}

/// A signed leaf.
pub(super) struct Leaf {
    pub id: CertificateId,
    pub serial: [u8; 20],
    pub der: Vec<u8>,
    pub validity: Validity,
    pub fingerprint: Fingerprint,
}

impl Pki {
    /// A leaf of our own for a key that stays in memory: in a transaction by itself, with the instant from which a new one should be made.
    pub(super) async fn own_leaf(
        &self,
        issuer: &Arc<Authority>,
        kind: Kind,
        key: &impl PublicKeyData,
        subject: &Subject,
        purpose: &str,
    ) -> Result<(Leaf, Timestamp), Error> {
        let mut tx = self.db.write().await?;
        let order = Order {
            issuer,
            key: SubjectPublicKeyInfo::from_der(&key.subject_public_key_info())?,
            kind,
            key_origin: KeyOrigin::Server,
            device: None,
            subject,
            shown: &subject.common_name,
            key_alg: KeyAlg::P256.to_string(),
            csr_sha256: &[],
            enrolled_by: purpose,
            replaces: None,
            trust_seq: store::next_trust(&mut tx).await?,
            life: None,
            until: None,
            profile: "",
        };
        let leaf = self.issue_one(&mut tx, order).await?;
        tx.commit().await?;
        let life = leaf.validity.until.since(leaf.validity.from);
        let renew_at = leaf.validity.from.plus(life / 3 * 2);
        Ok((leaf, renew_at))
    }

    pub(super) async fn issue_one(&self, tx: &mut Tx, order: Order<'_>) -> Result<Leaf, Error> {
        self.issue(tx, &[order]).await?.pop().ok_or(Error::Serial)
    }

    /// Serials, rows, signatures, rows again, audit; each for all of them at once.
    pub(super) async fn issue(&self, tx: &mut Tx, orders: &[Order<'_>]) -> Result<Vec<Leaf>, Error> {
        self.time_is_right()?;
        let now = self.clock.now();
        let mut drafts = Vec::with_capacity(orders.len());
        for order in orders {
            let ends = order.until.map_or(order.issuer.not_after, |end| end.min(order.issuer.not_after));
            let life = order.life.unwrap_or(order.kind.life()).min(order.kind.longest());
            let validity = profile::validity_for(life, now, Some(ends)).ok_or(Error::AuthorityExpiring)?;
            let spki_sha256 = sha256(&order.key.subject_public_key_info());
            drafts.push(Draft { order, id: self.entropy.id(now), validity, spki_sha256, serial: [0; 20] });
        }
        self.reserve(tx, &mut drafts, now).await?;
        let leaves = self.signed(&drafts).await?;
        let signed = leaves.iter().map(|l| store::Signed { id: l.id.as_str(), der: Bytes(&l.der), fingerprint: Bytes(&l.fingerprint) });
        store::signed(tx, &signed.collect::<Vec<_>>()).await?;
        let actors: Vec<Actor> = drafts.iter().map(|d| Actor::system(d.order.issuer.org.clone())).collect();
        let deeds = drafts.iter().zip(&leaves).zip(&actors).map(|((draft, leaf), actor)| audit::Deed {
            actor,
            action: "certificate.issue",
            object: leaf.id.as_str(),
            detail: json!({
                "subject": draft.order.shown,
                "serial": hex::encode(leaf.serial),
                "issuer": draft.order.issuer.id,
                "spki_sha256": hex::encode(draft.spki_sha256),
                "fingerprint": hex::encode(leaf.fingerprint),
                "profile": draft.order.profile,
                "profile_version": profile::VERSION,
                "key_origin": draft.order.key_origin,
                "by": draft.order.enrolled_by,
            }),
        });
        audit::append_all(tx, now, &deeds.collect::<Vec<_>>()).await?;
        Ok(leaves)
    }

    /// The signatures. A token has a deadline: the caller's transaction keeps others waiting, and is undone when it does not answer.
    async fn signed(&self, drafts: &[Draft<'_>]) -> Result<Vec<Leaf>, Error> {
        let unsigned = drafts.iter().map(Draft::unsigned).collect::<Result<Vec<Unsigned>, Error>>()?;
        let sign = move || unsigned.into_iter().map(Unsigned::sign).collect::<Result<Vec<Leaf>, Error>>();
        if !drafts.iter().any(|draft| draft.order.issuer.on_token()) {
            // 22 µs for P-256: not worth another thread.
            return sign();
        }
        self.turns.take(turns::LONGEST, sign).await.unwrap_or_else(|turns::Late| Err(Error::TokenLate))
    }

    /// Draws serials until each is its own (P-2).
    async fn reserve(&self, tx: &mut Tx, drafts: &mut [Draft<'_>], now: Timestamp) -> Result<(), Error> {
        let mut open: HashSet<CertificateId> = drafts.iter().map(|d| d.id.clone()).collect();
        for _ in 0..DRAWS {
            for draft in drafts.iter_mut().filter(|d| open.contains(&d.id)) {
                draft.serial = profile::serial(self.entropy.bytes());
            }
            let rows: Vec<_> = drafts.iter().filter(|d| open.contains(&d.id)).map(|d| d.reservation(now)).collect();
            for (id,) in store::reserve(tx, &rows).await? {
                open.remove(&id.parse().map_err(crate::db::Error::corrupt)?);
            }
            if open.is_empty() {
                return Ok(());
            }
        }
        Err(Error::Serial)
    }
}

/// A certificate between its order and its signature.
struct Draft<'a> {
    order: &'a Order<'a>,
    id: CertificateId,
    validity: Validity,
    spki_sha256: [u8; 32],
    serial: [u8; 20],
}

impl Draft<'_> {
    fn reservation(&self, now: Timestamp) -> store::Reservation<'_> {
        let order = self.order;
        store::Reservation {
            id: self.id.as_str(),
            org: order.issuer.org.as_str(),
            issuer: order.issuer.id.as_str(),
            serial: Bytes(&self.serial),
            profile: order.kind.as_str(),
            profile_version: profile::VERSION,
            device: order.device,
            subject: order.shown,
            key_alg: &order.key_alg,
            sig_alg: store::SIG_ALG,
            spki_sha256: Bytes(&self.spki_sha256),
            csr_sha256: Bytes(order.csr_sha256),
            not_before: self.validity.from.0,
            not_after: self.validity.until.0,
            issued_at: now.0,
            enrolled_by: order.enrolled_by,
            replaces: order.replaces.map(CertificateId::as_str),
            trust_seq: order.trust_seq,
            key_origin: order.key_origin.as_str(),
            validity_profile: order.profile,
        }
    }

    fn unsigned(&self) -> Result<Unsigned, Error> {
        let order = self.order;
        let params = profile::parameters(order.kind, order.subject, self.serial, self.validity, order.issuer.publication())?;
        let (id, issuer, key) = (self.id.clone(), Arc::clone(order.issuer), order.key.clone());
        Ok(Unsigned { id, serial: self.serial, validity: self.validity, params, key, issuer })
    }
}

/// All that a signature takes, for a thread of its own.
struct Unsigned {
    id: CertificateId,
    serial: [u8; 20],
    validity: Validity,
    params: CertificateParams,
    key: SubjectPublicKeyInfo,
    issuer: Arc<Authority>,
}

impl Unsigned {
    fn sign(self) -> Result<Leaf, Error> {
        let der = self.params.signed_by(&self.key, self.issuer.signer()?)?.der().to_vec();
        let fingerprint = sha256(&der);
        Ok(Leaf { id: self.id, serial: self.serial, der, validity: self.validity, fingerprint })
    }
}

//! Signing, whoever it is for: a serial under its unique index, then the signature, in the caller's transaction (E-2, P-2, P-6); for many at
//! once as for one. What a token signs is signed before that transaction: `ahead.rs` has the way. What a certificate looks like is `profile.rs`'s
//! business; who may have one is not asked here.

use super::{
    Error, Pki,
    ahead::{Lack, Lacking, ToSign, Wanted, signed_ahead},
    authorities::Authority,
    csr::{self, KeyAlg, sha256},
    peer::Fingerprint,
    profile::{self, Kind, Subject, Validity},
    store,
};
use crate::{
    access::{Actor, audit},
    asked::Origin,
    db::{Bytes, Tx},
};
use rcgen::{CertificateParams, PublicKeyData, SubjectPublicKeyInfo};
use serde_json::{Value, json};
use std::{collections::HashSet, sync::Arc};
use wire::{Timestamp, ids::CertificateId, states::KeyOrigin};

/// How often a serial is drawn before giving up: with 158 random bits a second time means a broken generator.
pub(super) const DRAWS: usize = 16;

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
    /// From where it is asked for, and by which request (K-8).
    pub origin: Origin<'a>,
}

/// A signed leaf.
#[derive(Clone)]
pub(super) struct Leaf {
    pub id: CertificateId,
    pub serial: [u8; 20],
    pub der: Vec<u8>,
    pub validity: Validity,
    pub fingerprint: Fingerprint,
}

impl Leaf {
    /// Its serial as people and books have it.
    pub(super) fn serial_hex(&self) -> String {
        hex::encode(self.serial)
    }
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
        let key = SubjectPublicKeyInfo::from_der(&key.subject_public_key_info())?;
        signed_ahead!(self, Box::pin(self.own_leaf_at_once(issuer, kind, &key, subject, purpose)).await)
    }

    async fn own_leaf_at_once(
        &self,
        issuer: &Arc<Authority>,
        kind: Kind,
        key: &SubjectPublicKeyInfo,
        subject: &Subject,
        purpose: &str,
    ) -> Result<(Leaf, Timestamp), Error> {
        let mut tx = self.db.write().await?;
        let order = Order {
            issuer,
            key: key.clone(),
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
            origin: Origin::default(),
        };
        let leaf = self.issue_one(&mut tx, order).await?;
        tx.commit().await?;
        self.ahead.forget(&leaf.id);
        let life = leaf.validity.until.since(leaf.validity.from);
        let renew_at = leaf.validity.from.plus(life / 3 * 2);
        Ok((leaf, renew_at))
    }

    pub(super) async fn issue_one(&self, tx: &mut Tx, order: Order<'_>) -> Result<Leaf, Error> {
        self.issue(tx, &[order]).await?.pop().ok_or(Error::Serial)
    }

    /// Serials, rows, signatures, rows again, audit; each for all of them at once. [`Error::ToSign`] where a token has to sign first: the transaction must
    /// be undone then, and done anew when it has (`signed_ahead!`).
    pub(super) async fn issue(&self, tx: &mut Tx, orders: &[Order<'_>]) -> Result<Vec<Leaf>, Error> {
        self.issue_for(tx, orders, |_| Vec::new()).await
    }

    /// The same, and what the certificates are for goes into the books behind them, in the same trips: `deeds` says it, with their serials in hex.
    pub(super) async fn issue_for<'d>(
        &self,
        tx: &mut Tx,
        orders: &[Order<'_>],
        deeds: impl FnOnce(&[String]) -> Vec<audit::Deed<'d>> + Send,
    ) -> Result<Vec<Leaf>, Error> {
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
        let leaves = if orders.iter().any(|order| order.issuer.signs_slowly()) {
            self.signed_before(tx, &mut drafts, now).await?
        } else {
            self.reserve(tx, &mut drafts, now).await?;
            // 22 µs for P-256: not worth another thread.
            drafts.iter().map(|draft| draft.unsigned()?.sign()).collect::<Result<Vec<Leaf>, Error>>()?
        };
        let signed = leaves.iter().map(|l| store::Signed { id: l.id.as_str(), der: Bytes(&l.der), fingerprint: Bytes(&l.fingerprint) });
        store::signed(tx, &signed.collect::<Vec<_>>()).await?;
        let actors: Vec<Actor> = drafts.iter().map(Draft::actor).collect();
        let issues = drafts.iter().zip(&leaves).zip(&actors).map(|((draft, leaf), actor)| audit::Deed {
            actor,
            action: "certificate.issue",
            object: leaf.id.as_str(),
            detail: draft.told(leaf),
        });
        let serials: Vec<String> = leaves.iter().map(Leaf::serial_hex).collect();
        let booked: Vec<audit::Deed<'_>> = issues.chain(deeds(&serials)).collect();
        audit::append_all(tx, now, &booked).await?;
        Ok(leaves)
    }

    /// The certificates that were signed for these before this transaction began. Each is booked once: whoever books it takes its reservation.
    async fn signed_before(&self, tx: &mut Tx, drafts: &mut [Draft<'_>], now: Timestamp) -> Result<Vec<Leaf>, Error> {
        let wanted: Vec<Wanted> = drafts.iter().map(Draft::wanted).collect();
        let found: Vec<Option<Leaf>> = wanted.iter().map(|wanted| self.ahead.find(wanted, now)).collect();
        let ids: Vec<&CertificateId> = found.iter().flatten().map(|leaf| &leaf.id).collect();
        let taken: HashSet<String> =
            if ids.is_empty() { HashSet::new() } else { store::take_serials(tx, &ids).await?.into_iter().map(|(id,)| id).collect() };
        let (mut leaves, mut lacking) = (Vec::with_capacity(drafts.len()), Vec::new());
        for (draft, (wanted, found)) in drafts.iter_mut().zip(wanted.into_iter().zip(found)) {
            match found {
                Some(leaf) if taken.contains(leaf.id.as_str()) => {
                    (draft.id, draft.serial, draft.validity) = (leaf.id.clone(), leaf.serial, leaf.validity);
                    leaves.push(leaf);
                }
                found => {
                    // Booked by somebody else, or dropped.
                    if let Some(leaf) = found {
                        self.ahead.forget(&leaf.id);
                    }
                    lacking.push(draft.lacking(wanted));
                }
            }
        }
        if !lacking.is_empty() {
            return Err(Error::ToSign(Box::new(ToSign(Lack::Leaves(lacking)))));
        }
        let rows: Vec<_> = drafts.iter().map(|draft| draft.reservation(now)).collect();
        // Their numbers were nobody else's when they were reserved.
        if store::reserve(tx, &rows).await?.len() == rows.len() { Ok(leaves) } else { Err(Error::Serial) }
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
    /// Nobody in particular, from where it was asked for.
    fn actor(&self) -> Actor {
        let Origin { address, request } = self.order.origin;
        Actor { address: address.to_owned(), ..Actor::system(self.order.issuer.org.clone()) }.by_request(request)
    }

    /// What the books say of its certificate (K-8).
    fn told(&self, leaf: &Leaf) -> Value {
        let order = self.order;
        let mut detail = json!({
            "subject": order.shown,
            "serial": leaf.serial_hex(),
            "issuer": order.issuer.id,
            "spki_sha256": hex::encode(self.spki_sha256),
            "fingerprint": hex::encode(leaf.fingerprint),
            "profile": order.profile,
            "profile_version": profile::VERSION,
            "key_origin": order.key_origin,
            "by": order.enrolled_by,
        });
        if let Some(digest) = csr::digest(order.csr_sha256) {
            detail["csr_sha256"] = json!(digest);
        }
        detail
    }

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

    fn wanted(&self) -> Wanted {
        let order = self.order;
        Wanted {
            issuer: order.issuer.id.clone(),
            kind: order.kind,
            subject: order.subject.clone(),
            spki_sha256: self.spki_sha256,
            life: order.life,
            until: order.until,
        }
    }

    fn lacking(&self, wanted: Wanted) -> Lacking {
        let order = self.order;
        Lacking {
            wanted,
            id: self.id.clone(),
            shown: order.shown.to_owned(),
            validity: self.validity,
            key: order.key.clone(),
            issuer: Arc::clone(order.issuer),
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
pub(super) struct Unsigned {
    pub id: CertificateId,
    pub serial: [u8; 20],
    pub validity: Validity,
    pub params: CertificateParams,
    pub key: SubjectPublicKeyInfo,
    pub issuer: Arc<Authority>,
}

impl Unsigned {
    pub fn sign(self) -> Result<Leaf, Error> {
        let der = self.params.signed_by(&self.key, self.issuer.signer()?)?.der().to_vec();
        let fingerprint = sha256(&der);
        Ok(Leaf { id: self.id, serial: self.serial, der, validity: self.validity, fingerprint })
    }
}

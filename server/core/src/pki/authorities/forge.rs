//! How authorities come to be: made with keys of their own, certified by each other, written down, and read back with their keys opened and tested
//! (P-11, K-1, K-2).

use super::{
    super::{
        Error,
        aftermath::Left,
        bundle, cross,
        csr::sha256,
        decode,
        guard::{self, GuardedKey, Held, belongs, guarded},
        keys::{Kek, KeyError},
        ocsp::IssuerNames,
        profile::{self, Kind, Publication, Subject},
        recognise, requests, store,
        token::{Token, TokenKey},
    },
    Authorities, Authority, Blank, By, Drawn, Plan,
};
use crate::{
    db::{Db, Tx},
    entropy::Entropy,
};
use rcgen::{Issuer, KeyPair, PublicKeyData as _};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::{collections::HashMap, sync::Arc};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    roots::RootKey,
    states::AuthorityState,
};

/// What an authority's sealed key is bound to: its authority and its public key (K-1).
pub(in crate::pki) fn aad(id: &AuthorityId, spki_sha256: &[u8]) -> Vec<u8> {
    [b"ca-key/v1".as_slice(), id.as_str().as_bytes(), spki_sha256].concat()
}

/// A made authority, before it is stored.
pub(in crate::pki) struct Made {
    pub id: AuthorityId,
    kind: Kind,
    generation: i64,
    issuer: AuthorityId,
    serial: [u8; 20],
    subject: Subject,
    validity: profile::Validity,
    ski: Vec<u8>,
    spki_sha256: [u8; 32],
    der: CertificateDer<'static>,
    /// None when the key is on the token.
    sealed: Option<Vec<u8>>,
}

/// A key of an authority's own, before it is stored.
struct NewKey {
    held: Held,
    spki_sha256: [u8; 32],
    /// None when the key is on the token.
    sealed: Option<Vec<u8>>,
}

/// A made key and the request for its certificate, before they are stored.
pub(in crate::pki) struct Asking {
    pub id: AuthorityId,
    pub spki_sha256: [u8; 32],
    /// None when the key is on the token.
    pub sealed: Option<Vec<u8>>,
    /// DER.
    pub csr: Vec<u8>,
}

/// A made certificate of one root for another's key, before it is stored.
#[derive(Clone)]
pub(in crate::pki) struct MadeCross {
    pub subject: AuthorityId,
    pub issuer: AuthorityId,
    pub serial: Vec<u8>,
    pub der: CertificateDer<'static>,
    pub until: Timestamp,
}

/// What a plan comes to, before it is stored.
#[derive(Default)]
pub(in crate::pki) struct Product {
    /// In the order of the plan's keys.
    pub made: Vec<Made>,
    pub crosses: Vec<MadeCross>,
    pub asking: Option<Asking>,
}

impl Product {
    /// The one that the plan is about: its root, or the only one.
    pub fn first(&self) -> Result<&Made, Error> {
        self.made.first().ok_or_else(|| Error::Build("nothing was made".to_owned()))
    }

    /// The request that the plan is about.
    pub fn asked(&self) -> Result<&Asking, Error> {
        self.asking.as_ref().ok_or_else(|| Error::Build("no request was made".to_owned()))
    }
}

/// Who signs a new authority.
#[derive(Clone, Copy)]
pub(in crate::pki) struct Parent<'a> {
    pub id: &'a AuthorityId,
    pub not_after: Timestamp,
    pub signer: &'a Issuer<'static, GuardedKey>,
}

/// Keys of authorities that were found on the token, and tested.
pub(in crate::pki) type Found = HashMap<AuthorityId, TokenKey>;

/// What making and opening authorities takes, also on a thread of its own.
pub(in crate::pki) struct Forge {
    pub db: Db,
    pub kek: Kek,
    pub entropy: Arc<dyn Entropy>,
    pub base_url: String,
    /// Where new keys are made, when not here.
    pub token: Option<Arc<Token>>,
    /// The key of a root that is made here.
    pub root_key: RootKey,
}

impl Forge {
    /// A key that is to be made, with a name of its own: the generation in words and as a number (P-7).
    pub fn blank(&self, kind: Kind, slug: &str, (name, generation): (&str, i64), now: Timestamp) -> Blank {
        Blank { id: Drawn(self.entropy.id(now)), kind, generation, subject: Subject::authority(kind, slug, name), life: kind.life() }
    }

    /// Carries a plan out. What fails may leave keys on the token: all that the plan has names for.
    pub fn carry_out(&self, plan: &Plan, now: Timestamp) -> Result<Product, Error> {
        let mut product = Product::default();
        match plan {
            Plan::Root { root, under, before } => {
                let (root, signer) = self.make(root, now, None)?;
                let itself = Parent { id: &root.id, not_after: root.validity.until, signer: &signer };
                for blank in under {
                    product.made.push(self.make(blank, now, Some(itself))?.0);
                }
                // NewWithOld and OldWithNew (RFC 4210 §4.4).
                if let Some(By(before)) = before {
                    // Without its key here what it signs for its successor is made where that key is (K-5).
                    if before.has_key() {
                        product.crosses.push(self.cross((&root.id, &root.der, root.validity.until), before.parent()?, now)?);
                    }
                    product.crosses.push(self.cross((&before.id, &before.der, before.not_after), itself, now)?);
                }
                product.made.insert(0, root);
            }
            Plan::Issuing { new, by } => product.made.push(self.make(new, now, Some(by.0.parent()?))?.0),
            Plan::Request { new } => product.asking = Some(self.ask(new)?),
            Plan::Cross { id, root, subject, until, by } => match self.cross((&id.0, root, *until), by.0.parent()?, now) {
                Ok(cross) => product.crosses.push(cross),
                Err(Error::TokenLate) => return Err(Error::TokenLate),
                // Its name has a part that can't be repeated; devices then follow by the trust bundle alone.
                Err(error) => tracing::warn!(%error, root = subject, "the active root can't vouch for it"),
            },
        }
        Ok(product)
    }

    /// Makes an authority with a key of its own; gives what it signs with as well.
    fn make(&self, new: &Blank, now: Timestamp, root: Option<Parent<'_>>) -> Result<(Made, Issuer<'static, GuardedKey>), Error> {
        let (id, kind, subject) = (new.id.0.clone(), new.kind, new.subject.clone());
        let validity = profile::validity_for(new.life, now, root.map(|r| r.not_after)).ok_or(Error::AuthorityExpiring)?;
        let serial = profile::serial(self.entropy.bytes());
        let published = root.filter(|_| !self.base_url.is_empty()).map(|r| Publication { base_url: &self.base_url, issuer: r.id.as_str() });
        let params = profile::parameters(kind, &subject, serial, validity, published)?;
        // P-256 everywhere else: what devices have to verify over and over is small (P-1).
        let NewKey { held, spki_sha256, sealed } = self.new_key(&id, if kind == Kind::Root { self.root_key } else { RootKey::P256 })?;
        let ski = params.key_identifier(&held);
        let itself = GuardedKey::of_itself(held);
        let der = match root {
            Some(root) => params.signed_by(&itself, root.signer)?,
            None => params.self_signed(&itself)?,
        };
        let der: CertificateDer<'static> = der.into();
        let signer = guarded(&der, kind, itself.key)?;
        let issuer = root.map_or_else(|| id.clone(), |r| r.id.clone());
        let made = Made { id, kind, generation: new.generation, issuer, serial, subject, validity, ski, spki_sha256, der, sealed };
        Ok((made, signer))
    }

    /// Makes a key and the request for its certificate.
    fn ask(&self, new: &Blank) -> Result<Asking, Error> {
        let NewKey { held, spki_sha256, sealed } = self.new_key(&new.id.0, RootKey::P256)?;
        let csr = requests::proposal(new.kind, &new.subject).serialize_request(&held)?.der().to_vec();
        Ok(Asking { id: new.id.0.clone(), spki_sha256, sealed, csr })
    }

    /// Makes the key of the authority with this id: on the token if there is one.
    fn new_key(&self, id: &AuthorityId, curve: RootKey) -> Result<NewKey, Error> {
        // aws-lc draws private keys from its own generator; handing it our bytes would only add a way to hand it bad ones.
        let held = match &self.token {
            Some(token) => Held::Token(token.generate(id.as_str(), curve)?),
            None => Held::Here(KeyPair::generate_for(guard::algorithm(curve))?),
        };
        let spki_sha256 = sha256(&held.subject_public_key_info());
        let sealed = if let Held::Here(pair) = &held {
            Some(self.kek.seal(&aad(id, &spki_sha256), &zeroize::Zeroizing::new(pair.serialize_der()))?)
        } else {
            None
        };
        Ok(NewKey { held, spki_sha256, sealed })
    }

    /// Certifies another root's key, under the name it has (R-10, RFC 4210 §4.4). It ends with the first of the two roots.
    fn cross(
        &self,
        (subject, certificate, ends): (&AuthorityId, &CertificateDer<'_>, Timestamp),
        by: Parent<'_>,
        now: Timestamp,
    ) -> Result<MadeCross, Error> {
        let until = ends.min(by.not_after);
        let serial = profile::serial(self.entropy.bytes());
        let published = (!self.base_url.is_empty()).then(|| Publication { base_url: &self.base_url, issuer: by.id.as_str() });
        let (der, until) = cross::certify(certificate, by.signer, (now, until), serial, published)?;
        Ok(MadeCross { subject: subject.clone(), issuer: by.id.clone(), serial: serial.to_vec(), der, until })
    }

    /// Writes what an organization begins with down, and its first trust bundle, in the caller's transaction, behind [`store::next_trust`].
    pub async fn put_first(&self, tx: &mut Tx, org: &OrgId, made: &[Made], now: Timestamp) -> Result<(), Error> {
        let system = crate::access::Actor::system(org.clone());
        for a in made {
            self.insert(tx, &system, a, AuthorityState::Active, now).await?;
        }
        bundle::raise(tx, &system, now).await
    }

    /// Says in the log that they are there.
    pub fn told(&self, org: &OrgId) {
        let place = if self.token.is_some() { "on the PKCS#11 token" } else { "encrypted in the database" };
        tracing::info!(%org, "root, device and server authority made; their keys are {place}");
    }

    /// Writes a made authority down, in this state, with its audit entry.
    pub async fn insert(
        &self,
        tx: &mut Tx,
        actor: &crate::access::Actor,
        a: &Made,
        state: AuthorityState,
        now: Timestamp,
    ) -> Result<(), Error> {
        let subject = a.subject.line();
        let (key_alg, sig_alg) =
            decode::algorithms(&a.der).ok_or_else(|| Error::Build("a certificate that was just made can't be read".to_owned()))?;
        let row = store::NewAuthority {
            id: &a.id,
            org: &actor.org,
            kind: a.kind.as_str(),
            generation: a.generation,
            issuer: &a.issuer,
            serial: &a.serial,
            subject: &subject,
            profile_version: profile::VERSION,
            ski: &a.ski,
            key_alg: &key_alg,
            sig_alg: &sig_alg,
            spki_sha256: &a.spki_sha256,
            fingerprint: &sha256(&a.der),
            der: &a.der,
            sealed_key: a.sealed.as_deref(),
            base_url: &self.base_url,
            not_before: a.validity.from,
            not_after: a.validity.until,
            state,
            now,
            imported: false,
        };
        store::insert_authority(tx, &row).await?;
        let detail = serde_json::json!({ "kind": a.kind.as_str(), "subject": subject, "fingerprint": hex::encode(sha256(&a.der)) });
        Ok(crate::access::audit::append(tx, actor, now, "authority.create", a.id.as_str(), &detail).await?)
    }

    /// Reads every authority. Keys that `known` holds are kept, new ones are opened and tested; a wrong one is an error, never skipped (K-2). For those that
    /// were found the token is not asked again.
    pub async fn open(&self, known: &Authorities, mut found: Found) -> Result<Authorities, Error> {
        let records = {
            let mut on = self.db.read().await?;
            store::authorities(&mut on).await?
        };
        records.into_iter().map(|record| self.open_one(record, known, &mut found)).collect()
    }

    /// The authority's key on the token, tested. A token that does not answer is an authority that does not sign for now: who is believed must not wait
    /// for it.
    fn on_token(
        &self,
        id: &AuthorityId,
        der: &CertificateDer<'static>,
        kind: Kind,
        subject: &str,
        found: &mut Found,
    ) -> Result<Option<Arc<Issuer<'static, GuardedKey>>>, Error> {
        if let Some(key) = found.remove(id) {
            return Ok(Some(Arc::new(guarded(der, kind, Held::Token(key))?)));
        }
        let key = match self.token.as_ref().map(|token| token.find(id.as_str())).transpose() {
            Ok(Some(Some(key))) => key,
            Ok(_) => return Ok(None),
            Err(error) => {
                tracing::error!(%error, authority = subject, "its key is out of reach; it signs nothing until it is found");
                return Ok(None);
            }
        };
        belongs(&key, der).map_err(|()| KeyError::Mismatch(subject.to_owned()))?;
        Ok(Some(Arc::new(guarded(der, kind, Held::Token(key))?)))
    }

    fn open_one(&self, r: store::AuthorityRecord, known: &Authorities, found: &mut Found) -> Result<Arc<Authority>, Error> {
        let id: AuthorityId = r.id.parse().map_err(crate::db::Error::corrupt)?;
        let state: AuthorityState = r.state.parse().map_err(crate::db::Error::corrupt)?;
        let exported_at = r.exported_at.map(Timestamp);
        let left = Left::of(r.frozen_at, &r.way_back, r.way_back_until)?;
        let unchanged = |a: &&Arc<Authority>| {
            a.id == id
                && a.state == state
                && a.exported_at == exported_at
                && a.left == left
                && (a.has_key() == r.sealed_key.is_some() || a.on_token())
        };
        if let Some(same) = known.iter().find(unchanged) {
            return Ok(Arc::clone(same));
        }
        let kind = match r.kind.as_str() {
            "root" => Kind::Root,
            "device" => Kind::DeviceAuthority,
            "server" => Kind::ServerAuthority,
            "claim" => Kind::ClaimAuthority,
            other => return Err(crate::db::Error::corrupt(format!("authority kind {other:?}")).into()),
        };
        let der = CertificateDer::from(r.der);
        let (name, ski, public) = recognise::authority(&der).ok_or_else(|| crate::db::Error::corrupt("an authority's certificate"))?;
        let signer = match &r.sealed_key {
            Some(sealed) => {
                let plain = self.kek.open(&aad(&id, &r.spki_sha256), sealed)?;
                let pkcs8 = PrivatePkcs8KeyDer::from(plain.as_slice());
                let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, guard::algorithm(guard::which(&public)))?;
                belongs(&key, &der).map_err(|()| KeyError::Mismatch(r.subject.clone()))?;
                Some(Arc::new(guarded(&der, kind, Held::Here(key))?))
            }
            // A root whose key is elsewhere on purpose has none on the token (K-5).
            None if kind == Kind::Root && (r.imported != 0 || r.offline_at.is_some()) => None,
            // What changed is its state, not its key.
            None => match known.iter().find(|a| a.id == id && a.on_token()) {
                Some(same) => same.signer.clone(),
                None => self.on_token(&id, &der, kind, &r.subject, found)?,
            },
        };
        Ok(Arc::new(Authority {
            id,
            org: r.org_id.parse().map_err(crate::db::Error::corrupt)?,
            slug: r.slug,
            kind,
            generation: r.generation,
            issuer_id: r.issuer_id.parse().map_err(crate::db::Error::corrupt)?,
            subject: r.subject,
            fingerprint: r.fingerprint.try_into().map_err(|_| crate::db::Error::corrupt("fingerprint"))?,
            der,
            base_url: r.base_url,
            not_before: Timestamp(r.not_before),
            not_after: Timestamp(r.not_after),
            state,
            ski,
            names: IssuerNames::of(&name, &public),
            ended_at: r.ended_at.map(Timestamp),
            ended_seq: r.ended_seq,
            bundle: r.bundle,
            exported_at,
            offline_at: r.offline_at.map(Timestamp),
            imported: r.imported != 0,
            left,
            signer,
        }))
    }
}

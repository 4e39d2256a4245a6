//! Root and issuing authorities in memory: made by a plan (`plan.rs`), on first start or later, opened and tested on every start, both by `forge.rs`. Refuses
//! to know what they sign: each key has its guard.

mod forge;
mod plan;

pub(super) use forge::{Asking, Forge, Found, MadeCross, Parent, Product, aad};
pub(super) use plan::{Blank, By, Drawn, ISSUING, Plan};

use super::{
    Error,
    aftermath::Left,
    guard::{GuardedKey, Held},
    ocsp::IssuerNames,
    profile::{Kind, Publication},
};
use rcgen::Issuer;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    states::AuthorityState,
};

/// An authority in memory.
pub(super) struct Authority {
    pub id: AuthorityId,
    pub org: OrgId,
    pub slug: String,
    pub kind: Kind,
    /// The how manieth of its kind it is.
    pub generation: i64,
    pub issuer_id: AuthorityId,
    pub subject: String,
    pub fingerprint: [u8; 32],
    pub der: CertificateDer<'static>,
    pub base_url: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub state: AuthorityState,
    /// Subject key identifier (P-9).
    pub ski: Vec<u8>,
    /// How OCSP requests name it.
    pub names: IssuerNames,
    /// When it was retired or given up.
    pub ended_at: Option<Timestamp>,
    /// Trust clock of when it was retired or given up.
    pub ended_seq: Option<i64>,
    /// The first version of the trust bundle that it is in.
    pub bundle: i64,
    /// When its key was last written into a file that leaves this machine.
    pub exported_at: Option<Timestamp>,
    /// When its key was removed from here after that.
    pub offline_at: Option<Timestamp>,
    /// Whether its certificate was signed elsewhere and brought here.
    pub imported: bool,
    /// What it leaves behind, once it was given up.
    pub left: Left,
    signer: Option<Arc<Issuer<'static, GuardedKey>>>,
}

impl Authority {
    /// What it signs with, when its key is on this machine.
    pub fn signer(&self) -> Result<&Issuer<'static, GuardedKey>, Error> {
        self.signer.as_deref().ok_or_else(|| {
            if self.is_offline() { Error::RootOffline } else { Error::KeyOnToken { authority: self.subject.clone(), id: self.id.clone() } }
        })
    }
    /// The same for whoever has it sign an authority.
    pub fn parent(&self) -> Result<Parent<'_>, Error> {
        Ok(Parent { id: &self.id, not_after: self.not_after, signer: self.signer()? })
    }
    /// Whether it is a root whose key is kept elsewhere on purpose (K-5).
    pub fn is_offline(&self) -> bool {
        self.kind == Kind::Root && self.signer.is_none() && (self.imported || self.offline_at.is_some())
    }
    /// Whether its key is on this machine.
    pub const fn has_key(&self) -> bool {
        self.signer.is_some()
    }
    /// Whether that key is on the token.
    pub fn on_token(&self) -> bool {
        self.signer.as_ref().is_some_and(|issuer| matches!(issuer.key().key, Held::Token(_)))
    }
    /// Whether what it signs may take its time: no transaction waits for it.
    pub fn signs_slowly(&self) -> bool {
        self.signer.as_ref().is_some_and(|issuer| issuer.key().key.is_slow())
    }
    /// What the names of those begin with that a root signs: its generation (P-7). One that was brought here may be called anything.
    pub fn name(&self) -> String {
        format!("G{}", self.generation)
    }
    /// Where it publishes, if it does.
    pub fn publication(&self) -> Option<Publication<'_>> {
        (!self.base_url.is_empty()).then(|| Publication { base_url: &self.base_url, issuer: self.id.as_str() })
    }
    /// Whether leaves of it are believed.
    pub const fn trusted(&self) -> bool {
        self.state.trusted()
    }
}

#[cfg(test)]
impl Authority {
    /// The same, which signs as slowly as this lets it, or not at all.
    pub fn slowed(&self, wait: super::guard::Wait) -> Result<Self, Error> {
        let key = self.signer.clone().ok_or(Error::RootOffline)?;
        let signer = super::guard::guarded(&self.der, self.kind, Held::Slow { key, wait })?;
        Ok(Self {
            id: self.id.clone(),
            org: self.org.clone(),
            slug: self.slug.clone(),
            kind: self.kind,
            generation: self.generation,
            issuer_id: self.issuer_id.clone(),
            subject: self.subject.clone(),
            fingerprint: self.fingerprint,
            der: self.der.clone(),
            base_url: self.base_url.clone(),
            not_before: self.not_before,
            not_after: self.not_after,
            state: self.state,
            ski: self.ski.clone(),
            names: self.names.clone(),
            ended_at: self.ended_at,
            ended_seq: self.ended_seq,
            bundle: self.bundle,
            exported_at: self.exported_at,
            offline_at: self.offline_at,
            imported: self.imported,
            left: self.left,
            signer: Some(Arc::new(signer)),
        })
    }
}

/// Every authority of the instance, the oldest organization's first.
pub(super) type Authorities = Vec<Arc<Authority>>;

/// The newest authority of the kind that issues.
pub(super) fn active<'a>(all: &'a Authorities, org: &OrgId, kind: Kind) -> Result<&'a Arc<Authority>, Error> {
    all.iter().rev().find(|a| a.org == *org && a.kind == kind && a.state == AuthorityState::Active).ok_or(Error::NoAuthority(kind.as_str()))
}

/// The root that the listeners' chain leads to: the oldest organization's, which owns the installation. Never another one's, whatever became of it.
pub(super) fn listeners_root(all: &Authorities) -> Option<&Arc<Authority>> {
    active(all, &all.first()?.org, Kind::Root).ok()
}

/// From the issuer of leaves to the root, both included.
pub(super) fn up<'a>(all: &'a Authorities, from: &AuthorityId) -> Vec<&'a Arc<Authority>> {
    let mut chain = Vec::new();
    let mut next = all.iter().find(|a| a.id == *from);
    while let Some(authority) = next.filter(|_| chain.len() < 4) {
        chain.push(authority);
        next = all.iter().find(|a| a.id == authority.issuer_id && a.id != authority.id);
    }
    chain
}

/// The same as certificates, DER.
pub(super) fn chain(all: &Authorities, from: &AuthorityId) -> Vec<CertificateDer<'static>> {
    up(all, from).into_iter().map(|a| a.der.clone()).collect()
}

//! What the device listeners prove themselves with: a server leaf whose key is made at the start and never leaves memory. Refuses to know TLS.

use super::{
    Error, Pki, authorities,
    profile::{Kind, Subject},
};
use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use wire::{Timestamp, ids::AuthorityId, states::AuthorityState};

/// A listener's certificate and key.
pub struct ServerIdentity {
    /// Leaf, server authority, root; while a root retires, also what leads from the new one to it.
    pub chain: Vec<CertificateDer<'static>>,
    /// PKCS#8.
    pub key: PrivateKeyDer<'static>,
    /// Who issued the leaf.
    pub(super) issuer: AuthorityId,
    /// End of the leaf.
    pub not_after: Timestamp,
    renew_at: Timestamp,
}

impl std::fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerIdentity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl ServerIdentity {
    fn under(&self, above: &[CertificateDer<'static>]) -> Self {
        let chain = self.chain.first().into_iter().chain(above).cloned().collect();
        Self { chain, key: self.key.clone_key(), issuer: self.issuer.clone(), not_after: self.not_after, renew_at: self.renew_at }
    }
}

impl Pki {
    /// What stands above a listener's leaf: its issuer, and the root for those that pin it at first contact. While an older root retires, the
    /// certificate by which it vouches for the new one comes before both, so that a device that holds only the old one finds its way.
    fn above(&self, all: &authorities::Authorities, issuer: &AuthorityId) -> Vec<CertificateDer<'static>> {
        let mut above = authorities::chain(all, issuer);
        let Some(root) = authorities::up(all, issuer).last().copied().filter(|root| root.kind == Kind::Root) else { return above };
        let own = above.pop();
        for cross in self.bundles.load().crosses.iter().filter(|c| c.subject == root.id) {
            if let Some(older) = all.iter().find(|a| a.id == cross.issuer && a.state == AuthorityState::Retiring) {
                above.extend([cross.der.clone(), older.der.clone()]);
            }
        }
        above.extend(own);
        above
    }

    /// What listeners present now; none before [`Pki::renew_identity`]. Ask in every handshake: it is a look into memory, and it changes.
    pub fn server_identity(&self) -> Option<Arc<ServerIdentity>> {
        self.identity.load_full()
    }

    /// Makes a listener certificate when there is none, when two thirds of its life are over, or when another authority issues now. [`Pki::work`] keeps calling it.
    pub async fn renew_identity(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let all = self.authorities.load_full();
        let Some(first) = all.first() else { return Err(Error::NoAuthority("server")) };
        let issuer = authorities::active(&all, &first.org, Kind::ServerAuthority)?;
        let above = self.above(&all, &issuer.id);
        if let Some(held) = self.identity.load_full().filter(|i| now < i.renew_at && i.issuer == issuer.id) {
            if held.chain.get(1..) != Some(above.as_slice()) {
                // The leaf is good; what leads to it is another: a root has come or gone.
                self.identity.store(Some(Arc::new(held.under(&above))));
            }
            return Ok(());
        }
        let pair = KeyPair::generate()?;
        let subject = Subject::server(&issuer.slug, &self.hostnames)?;
        let (leaf, renew_at) = self.own_leaf(issuer, Kind::Server, &pair, &subject, "listener").await?;
        let chain = std::iter::once(CertificateDer::from(leaf.der)).chain(above).collect();
        self.identity.store(Some(Arc::new(ServerIdentity {
            chain,
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der())),
            issuer: issuer.id.clone(),
            not_after: leaf.validity.until,
            renew_at,
        })));
        tracing::info!(names = ?self.hostnames, until = %leaf.validity.until, "listener certificate issued");
        Ok(())
    }
}

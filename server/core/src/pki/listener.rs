//! What the device listeners prove themselves with: a server leaf whose key is made at the start and never leaves memory. Refuses to know TLS.

use super::{
    Error, Pki, authorities,
    profile::{Kind, Subject},
};
use rcgen::KeyPair;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use wire::{Timestamp, ids::AuthorityId};

/// A listener's certificate and key.
pub struct ServerIdentity {
    /// Leaf, server authority, root.
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

impl Pki {
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
        if self.identity.load().as_ref().is_some_and(|i| now < i.renew_at && i.issuer == issuer.id) {
            return Ok(());
        }
        let pair = KeyPair::generate()?;
        let subject = Subject::server(&issuer.slug, &self.hostnames)?;
        let (leaf, renew_at) = self.own_leaf(issuer, Kind::Server, &pair, &subject, "listener").await?;
        let chain = std::iter::once(CertificateDer::from(leaf.der)).chain(authorities::chain(&all, &issuer.id)).collect();
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

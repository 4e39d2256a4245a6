//! Registered authorities as handshakes need them, in memory: whose chains may end in them, and which organization they speak for. Refuses to know
//! their policies.

use super::{super::Error, store};
use crate::db::{self, Conn};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    registered::RegisteredState,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

/// A registered authority that was enabled, and may be disabled by now.
#[derive(Debug, PartialEq, Eq)]
pub struct RegisteredAnchor {
    /// Its id: the issuer of its devices' certificates.
    pub id: AuthorityId,
    /// The only organization whose devices it may name.
    pub org: OrgId,
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// Its name, raw. Two authorities may have the same one; their keys tell them apart.
    pub name: Vec<u8>,
    /// Its key, a `SubjectPublicKeyInfo`.
    pub key: Vec<u8>,
    /// How many authorities may stand between it and a device; none for any. No path builder looks at an anchor's.
    pub path_len: Option<u32>,
    /// Whether its devices are believed. One that is disabled still decides about them: they don't come in by an authority above it.
    pub active: bool,
    /// Start of its validity, which no path builder looks at either (fact 6).
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
}

impl RegisteredAnchor {
    /// Whether its certificate counts now.
    pub(in crate::pki) fn valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// All of them, of every organization.
pub(in crate::pki) async fn read(on: &mut impl Conn) -> Result<Vec<Arc<RegisteredAnchor>>, Error> {
    store::anchors(on).await?.into_iter().map(anchor).collect()
}

fn anchor(r: store::AnchorRecord) -> Result<Arc<RegisteredAnchor>, Error> {
    let state: RegisteredState = r.state.parse().map_err(db::Error::corrupt)?;
    let unreadable = || db::Error::corrupt("a registered authority's certificate");
    let (name, key, path_len) = {
        let (_, parsed) = X509Certificate::from_der(&r.der).map_err(|_| unreadable())?;
        let constraints = parsed.basic_constraints().map_err(|_| unreadable())?;
        let path_len = constraints.and_then(|c| c.value.path_len_constraint);
        (parsed.subject().as_raw().to_vec(), parsed.public_key().raw.to_vec(), path_len)
    };
    Ok(Arc::new(RegisteredAnchor {
        id: r.id.parse().map_err(db::Error::corrupt)?,
        org: r.org_id.parse().map_err(db::Error::corrupt)?,
        certificate: CertificateDer::from(r.der),
        name,
        key,
        path_len,
        active: state == RegisteredState::Active,
        not_before: Timestamp(r.not_before),
        not_after: Timestamp(r.not_after),
    }))
}

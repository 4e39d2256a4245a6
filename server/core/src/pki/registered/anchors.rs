//! Registered authorities as handshakes need them, in memory: whose chains may end in them, and which organization they speak for. Refuses to know
//! their policies.

use super::{
    super::{Error, peer::Refusal},
    list_gate::{self, OwnersList, Signed},
    list_store, store,
};
use crate::db::{self, Conn};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    registered::{EndedList, RegisteredState},
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
    /// Its owner's list of revoked certificates, if one was brought.
    pub list: Option<Arc<OwnersList>>,
    /// Whether its devices are refused once that list has ended for a day.
    pub closed: bool,
    /// Whether a newer list has counted before the database was set back, which is not here again: nobody knows what that one has revoked (K-7).
    pub awaits_list: bool,
}

/// Serial numbers of the certificates between a device and its authority that this one has signed itself: what its list may name after the handshake. A
/// connection keeps them while it lives; most have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Between(Box<[Box<[u8]>]>);

impl RegisteredAnchor {
    /// What its list says of a certificate; nothing without a list, unless one is awaited. One that somebody between it and the device has signed is not on
    /// it, whatever its number: that one is looked at by [`RegisteredAnchor::lists`].
    pub(in crate::pki) fn says(&self, certificate: Option<&Signed>, now: Timestamp) -> Result<(), Refusal> {
        let listed = |list: &Arc<OwnersList>| certificate.is_some_and(|certificate| list_gate::on(list, &self.name, certificate));
        if self.list.as_ref().is_some_and(listed) {
            return Err(Refusal::Revoked);
        }
        if self.awaits_list {
            return Err(Refusal::ListAwaited);
        }
        let Some(list) = &self.list else { return Ok(()) };
        if self.closed && now.since(list.next_update) > list_gate::GRACE { Err(Refusal::ListEnded) } else { Ok(()) }
    }

    /// Whether these bytes are a certificate that is on its list: of an authority between it and a device, for example.
    pub fn lists(&self, certificate: &[u8]) -> bool {
        let on = |list: &Arc<OwnersList>| list_gate::signed(certificate).is_some_and(|signed| list_gate::on(list, &self.name, &signed));
        self.list.as_ref().is_some_and(on)
    }

    /// What of the certificates that a device has shown above its own may come onto its list.
    pub(in crate::pki) fn between(&self, above: &[CertificateDer<'_>]) -> Between {
        let own = above.iter().filter_map(|certificate| list_gate::signed(certificate)).filter(|signed| signed.by == self.name);
        Between(own.map(|signed| signed.serial.into_boxed_slice()).collect())
    }

    /// Whether one of them is on its list.
    pub(in crate::pki) fn lists_one_of(&self, between: &Between) -> bool {
        self.list.as_ref().is_some_and(|list| between.0.iter().any(|serial| list.has(serial)))
    }

    /// Whether its certificate counts now.
    pub(in crate::pki) fn valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// All of them, of every organization. A list that is known from `before` is not read again.
pub(in crate::pki) async fn read(on: &mut impl Conn, before: &[Arc<RegisteredAnchor>]) -> Result<Vec<Arc<RegisteredAnchor>>, Error> {
    let mut all = Vec::new();
    for record in store::anchors(on).await? {
        let list = match &record.list_sha256 {
            None => None,
            Some(sha256) => {
                let known = before.iter().find(|a| a.id.as_str() == record.id).and_then(|a| a.list.clone());
                match known.filter(|list| list.sha256 == *sha256) {
                    Some(list) => Some(list),
                    None => list(on, &record.id, sha256).await?,
                }
            }
        };
        all.push(anchor(record, list)?);
    }
    Ok(all)
}

/// A list from the database; none when a newer one has just taken its place, which the next look finds.
async fn list(on: &mut impl Conn, authority: &str, sha256: &[u8]) -> Result<Option<Arc<OwnersList>>, Error> {
    let Some(der) = list_store::list_der(on, authority, sha256).await? else { return Ok(None) };
    let read = OwnersList::of(&der, sha256.to_vec()).ok_or_else(|| db::Error::corrupt("a registered authority's list"))?;
    Ok(Some(Arc::new(read)))
}

fn anchor(r: store::AnchorRecord, list: Option<Arc<OwnersList>>) -> Result<Arc<RegisteredAnchor>, Error> {
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
        list,
        closed: r.ended_list != EndedList::Open.as_str(),
        awaits_list: r.awaits_since.is_some(),
    }))
}

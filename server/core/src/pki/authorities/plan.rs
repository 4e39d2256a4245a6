//! Pure: what has to be made for an authority to come: which keys, which certificates, and who signs them. Two plans that say the same are one, so what was
//! made for the first does for the second. Refuses to make anything.

use super::{
    super::{
        journal::Entry,
        profile::{self, Kind, Subject},
    },
    Authority,
};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use wire::{Timestamp, ids::AuthorityId};

/// What issues under a root from its beginning.
pub(in crate::pki) const ISSUING: [Kind; 2] = [Kind::DeviceAuthority, Kind::ServerAuthority];

/// An id as it was drawn for one plan. Another plan that says the same has drawn another one.
#[derive(Clone)]
pub(in crate::pki) struct Drawn(pub AuthorityId);

impl PartialEq for Drawn {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Drawn {}

/// A root that is there and signs. Its key and its certificate never change.
#[derive(Clone)]
pub(in crate::pki) struct By(pub Arc<Authority>);

impl PartialEq for By {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for By {}

/// A key that is to be made, and what its certificate will say.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::pki) struct Blank {
    pub id: Drawn,
    pub kind: Kind,
    /// The how manieth of its kind it is.
    pub generation: i64,
    pub subject: Subject,
    /// In milliseconds.
    pub life: i64,
}

/// What is made at once: all of it, or nothing.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::pki) enum Plan {
    /// A root and what issues under it. The root before it and this one vouch for each other.
    Root { root: Blank, under: Vec<Blank>, before: Option<By> },
    /// One that issues, under a root that is there.
    Issuing { new: Blank, by: By },
    /// A key that waits for a certificate made elsewhere, and the request for that one (K-5).
    Request { new: Blank },
    /// What leads from a root that is there to one that was brought, and ends then.
    Cross { id: Drawn, root: CertificateDer<'static>, subject: String, until: Timestamp, by: By },
}

impl Plan {
    /// The keys that it takes, the root's first.
    pub fn keys(&self) -> Vec<&Blank> {
        match self {
            Self::Root { root, under, .. } => std::iter::once(root).chain(under).collect(),
            Self::Issuing { new, .. } | Self::Request { new } => vec![new],
            Self::Cross { .. } => Vec::new(),
        }
    }

    /// What it is about, each with its id and its name.
    pub fn names(&self) -> Vec<(&AuthorityId, String)> {
        match self {
            Self::Cross { id, subject, .. } => vec![(&id.0, subject.clone())],
            _ => self.keys().into_iter().map(|key| (&key.id.0, key.subject.line())).collect(),
        }
    }

    /// The same for the journal: what its names are told apart by.
    pub fn numbers(&self) -> Vec<Entry> {
        let number = |key: &Blank| Entry::Named {
            organization: key.subject.organization.clone(),
            kind: key.kind.as_str().to_owned(),
            generation: key.generation,
        };
        self.keys().into_iter().map(number).collect()
    }

    fn by(&self) -> Option<&Authority> {
        match self {
            Self::Root { before, .. } => before.as_ref().map(|by| by.0.as_ref()),
            Self::Issuing { by, .. } | Self::Cross { by, .. } => Some(by.0.as_ref()),
            Self::Request { .. } => None,
        }
    }

    /// Whether the root that signs may take its time.
    pub fn is_signed_slowly(&self) -> bool {
        self.by().is_some_and(Authority::signs_slowly)
    }

    /// Whether the root that signs ends too soon for it (P-6). Without what leads to a brought root devices follow by the trust bundle.
    pub fn is_too_late(&self, now: Timestamp) -> bool {
        let ends = self.by().filter(|_| !matches!(self, Self::Cross { .. })).map(|by| by.not_after);
        ends.is_some_and(|end| profile::validity_for(profile::SHORTEST, now, Some(end)).is_none())
    }
}

//! Pure: who a connection has proved to be, why one is refused, and what its chain may end in: the words in which listeners and trust speak.

use super::registered::RegisteredAnchor;
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{CertificateId, ClaimId, DeviceId, OrgId},
};

/// SHA-256 of a leaf's DER: the identity of a connection (P-3).
pub type Fingerprint = [u8; 32];

/// A device as its certificate proves it. Made by [`TrustHandle::check`](super::TrustHandle::check) only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePeer {
    /// Its organization.
    pub org: OrgId,
    /// Its number.
    pub device: i64,
    /// Its name.
    pub device_id: DeviceId,
    /// The certificate's id.
    pub certificate: CertificateId,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// When the certificate stops being usable.
    pub not_after: Timestamp,
}

/// Why a certificate that chains to one of our authorities is refused all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// No row: a lost database or a stolen authority key (H-4).
    #[error("unknown certificate")]
    Unknown,
    /// No row yet: issued by another instance a moment ago.
    #[error("certificate not known yet")]
    NotYetKnown,
    /// Revoked.
    #[error("certificate revoked")]
    Revoked,
    /// Its successor is in use.
    #[error("certificate superseded")]
    Superseded,
    /// Past its end, or its authority's.
    #[error("certificate expired")]
    Expired,
    /// Before its beginning.
    #[error("certificate not valid yet")]
    NotYetValid,
    /// The device is suspended, decommissioned or was never active.
    #[error("device not active")]
    DeviceInactive,
    /// The list of revoked certificates that its owner's authority gave has ended for more than a day (E-10).
    #[error("the authority's list of revoked certificates has ended")]
    ListEnded,
    /// A list of that authority has counted before the database was set back, and is not here again (K-7).
    #[error("the authority's list of revoked certificates is awaited")]
    ListAwaited,
    /// Its authority is retired or compromised.
    #[error("authority not trusted")]
    Authority,
    /// Of an active registered authority and not known yet: whether it becomes a device is being decided (E-10).
    #[error("being registered")]
    Arriving,
    /// The same, and nothing is being decided: it was lately, or too much is.
    #[error("not registered")]
    TurnedAway,
    /// The names in it are not those of its row.
    #[error("names do not match")]
    Names,
    /// This instance has not heard from the database for a minute.
    #[error("trust is stale")]
    Stale,
}

/// Whoever holds a claim's certificate and key (E-9). Made by [`TrustHandle::claim`](super::TrustHandle::claim) only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant {
    /// The claim's organization.
    pub org: OrgId,
    /// The claim.
    pub claim: ClaimId,
}

/// The certificates that clients' chains may end in: the issuing authorities, never the root, never the servers' (P-8).
#[derive(Debug, Default)]
pub struct Anchors {
    /// Grows with every change.
    pub version: u64,
    /// Device authorities that are trusted now, DER.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Authorities of claims, DER: anchors of the enrol listener alone (E-9, A-9).
    pub claims: Vec<CertificateDer<'static>>,
    /// Registered authorities that decide about their devices (E-10): those that are believed, and those that are disabled.
    pub registered: Vec<Arc<RegisteredAnchor>>,
}

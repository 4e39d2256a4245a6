//! What this room refuses or fails at. Refuses to know what the other side gets to see of it; `fault.rs` does.

use super::{ahead::ToSign, csr::CsrError, keys::KeyError};
use wire::pki::{AuthorityUse, RevocationReason};

/// Refusals and failures of the PKI.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Rights.
    #[error(transparent)]
    Access(#[from] crate::access::Error),
    /// The CSR is not one we sign (E-4).
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// The public key belongs to another device, an authority, or is blocked after a compromise or by hand.
    #[error("the public key is already in use or blocked ({0})")]
    KeyInUse(&'static str),
    /// No authority issues certificates of this kind.
    #[error("no active {0} authority")]
    NoAuthority(&'static str),
    /// No such authority in this organization.
    #[error("no such authority")]
    NoSuchAuthority,
    /// Not from the state it is in; says what to do.
    #[error("{0}")]
    AuthorityState(&'static str),
    /// No enrolment tokens or claims are frozen with the authority.
    #[error("nothing is frozen with {id}")]
    NothingFrozen {
        /// Which.
        id: wire::ids::AuthorityId,
        /// Whether it was given up at all.
        given_up: bool,
    },
    /// The machine's clock has jumped.
    #[error("the clock has jumped by {0}")]
    ClockJumped(wire::pki::ClockJump),
    /// Two people decide on authorities (K-6).
    #[error(transparent)]
    Consent(#[from] super::consent::ConsentError),
    /// The root's key is not on this machine (K-5).
    #[error("the root's key is not on this machine")]
    RootOffline,
    /// The same for whoever wants an authority of this use made by it.
    #[error("the root's key is not on this machine")]
    RootOfflineFor(AuthorityUse),
    /// An authority of claims is there and does not issue yet, and the root's key is not here to make another.
    #[error("the authority of claims {0} is staged and does not issue yet")]
    ClaimsStaged(wire::ids::AuthorityId),
    /// The authority's key is on a PKCS#11 token that was not given, or does not answer (K-4).
    #[error(
        "the key of {authority} is on a PKCS#11 token, under the id {id}, and out of reach: give pkcs11_module (the vendor's library), pkcs11_token (the \
         label of the token that has this key) and pkcs11_pin_file, and see that the token answers"
    )]
    KeyOnToken {
        /// Its subject.
        authority: String,
        /// What its key is called on the token.
        id: wire::ids::AuthorityId,
    },
    /// The token did not sign, or not in time (K-4). It may again as soon as its module reaches it.
    #[error("the token does not sign: see that its module reaches it, and what the log says of it")]
    TokenLate,
    /// A token has to sign before this can be booked; the transaction is undone until then. Nobody outside hears of it.
    #[error("certificates have to be signed first: {0:?}")]
    ToSign(Box<ToSign>),
    /// Nobody has shown that they hold the root's file.
    #[error("the root's file was not shown")]
    NotHeld,
    /// A certificate or a list from elsewhere breaks a rule.
    #[error(transparent)]
    Unfit(#[from] super::admission::Unfit),
    /// A root's file can't be made or opened.
    #[error(transparent)]
    RootFile(#[from] super::root_file::RootFileError),
    /// No such open request of an authority.
    #[error("no such request")]
    NoSuchRequest,
    /// Leaves of it are in use.
    #[error("{0} certificates of the authority are in use")]
    AuthorityInUse(i64),
    /// Too few devices hold the trust bundle that this relies on.
    #[error("{} of {} devices don't hold trust bundle {}", .0.unsure(), .0.devices, .0.version)]
    BundleNotHeld(wire::pki::BundleReach),
    /// The authority ends before the shortest certificate would (P-6).
    #[error("the issuing authority ends too soon")]
    AuthorityExpiring,
    /// Renewed before its time.
    #[error("renewal is not due before {0}")]
    RenewTooEarly(wire::Timestamp),
    /// The device has no certificate whose renewal could be ordered.
    #[error("nothing to renew")]
    NothingToRenew,
    /// The certificate was renewed, and what it was renewed to is in use.
    #[error("the successor is in use")]
    SuccessorInUse,
    /// The device has renewed as often as it may for now; in so many seconds it may again.
    #[error("renewed too often, again in {0} s")]
    RenewedTooOften(u32),
    /// The organization wants a new key with every renewal.
    #[error("the key must change")]
    RekeyRequired,
    /// The organization wants devices to keep their key.
    #[error("the key must stay")]
    RekeyForbidden,
    /// It was revoked for another reason, which stays: lists that say it are out, and an entry is not taken back. Only that its key is
    /// compromised may still be said.
    #[error("It was revoked on {} with reason {reason}; the reason stays.{}", at.readable(), may_follow(reason))]
    AlreadyRevoked {
        /// When.
        at: wire::Timestamp,
        /// For what.
        reason: String,
    },
    /// More than a note may have.
    #[error("the note is too long")]
    RevocationNote,
    /// Not a time at which something can have become wrong.
    #[error("invalidity_date is out of bounds")]
    InvalidityDate,
    /// The profile of the certificate is for other types of keys.
    #[error("the profile is for keys of the types {0}")]
    KeyType(String),
    /// The profile of a batch is for other types of keys than those that are made here.
    #[error("the profile {profile} is for keys of the types {types}, and none of them is made here")]
    MadeKeys {
        /// Its name.
        profile: String,
        /// What it is for.
        types: String,
    },
    /// No such profile in this organization.
    #[error("no such certificate profile")]
    NoProfile,
    /// Not a name that a profile may have.
    #[error("not a profile's name")]
    ProfileName,
    /// Not a life that a device's certificate may have.
    #[error("hours is out of bounds")]
    ProfileHours,
    /// Not a life of a factory profile's certificates.
    #[error("hours is out of the bounds of a factory profile")]
    FactoryHours,
    /// More profiles than an organization may have.
    #[error("too many certificate profiles")]
    ProfilesFull,
    /// Something is of it.
    #[error("the profile is in use: {0}")]
    ProfileInUse(String),
    /// Neither the hash of a key nor something that a key can be read from, or both.
    #[error("no key is named: {0}")]
    NoKeyNamed(&'static str),
    /// It is the key of an authority here, or of one that waits for its certificate.
    #[error("an authority's key is not blocked by hand")]
    AuthorityKey,
    /// Not a reason for which a key is blocked.
    #[error("a key is blocked for a reason")]
    BlockReason,
    /// The organization has not blocked such a key.
    #[error("no such blocked key")]
    NoBlockedKey,
    /// It was compromised.
    #[error("a compromised key stays blocked")]
    BlockedForGood,
    /// Not a number of days.
    #[error("recovery_days is out of bounds")]
    RecoveryDays,
    /// Not a number of days.
    #[error("the days of a way back are out of bounds")]
    WayBackDays,
    /// The nonce is not ours, or too old.
    #[error("recovery nonce refused")]
    RecoveryNonce,
    /// The certificate is unknown, or its key has not signed; nobody is told which.
    #[error("recovery refused")]
    RecoveryRefused,
    /// The organization has not switched it on.
    #[error("recovery is off")]
    NoRecovery,
    /// The certificate is still usable.
    #[error("the certificate has not ended")]
    NotEnded,
    /// Revoked, superseded, too long ago, or its device is not active.
    #[error("the certificate can't be replaced any more")]
    NotRecoverable,
    /// The certificate that asks is no longer usable.
    #[error("the certificate is not usable: {0}")]
    NotUsable(super::peer::Refusal),
    /// The key of the certificate that asks is blocked, so it proves nothing.
    #[error("the key of the certificate is blocked")]
    ProofBlocked,
    /// No such certificate in this organization.
    #[error("no such certificate")]
    NotFound,
    /// No such key of assignments here.
    #[error("no such assignment key")]
    NoAssignmentKey,
    /// Too many keys of assignments, or too few; what to do about it.
    #[error("{0}")]
    AssignmentKeys(&'static str),
    /// A cursor that this room did not make.
    #[error("bad cursor")]
    Cursor,
    /// A registered authority, its proof or its use (E-10).
    #[error(transparent)]
    Registered(#[from] super::registered::Refused),
    /// The device's certificate comes from its owner's own authority, which renews it.
    #[error("the certificate is a registered authority's")]
    NotOurs,
    /// The key-encryption key or a sealed key is wrong (K-2).
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The journal of revocations can't be read or written (K-7).
    #[error("revocation journal {}: {error}", path.display())]
    Journal {
        /// Its place.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The certificate could not be built; says nothing about the request.
    #[error("building a certificate: {0}")]
    Build(String),
    /// Twice the same serial from our generator, sixteen times in a row.
    #[error("the random generator repeats itself")]
    Serial,
    /// The database.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

/// What may still be said of one that was revoked for this.
fn may_follow(reason: &str) -> &'static str {
    if reason == RevocationReason::KeyCompromise.as_str() { "" } else { " Only key_compromise may follow it." }
}

impl From<rcgen::Error> for Error {
    fn from(e: rcgen::Error) -> Self {
        match e {
            // Said by keys on a token alone.
            rcgen::Error::RemoteKeyError => Self::TokenLate,
            other => Self::Build(other.to_string()),
        }
    }
}

impl Error {
    /// Says of a root that is not here for what it was wanted.
    pub(super) fn wanted_for(self, purpose: AuthorityUse) -> Self {
        if matches!(self, Self::RootOffline) { Self::RootOfflineFor(purpose) } else { self }
    }
}

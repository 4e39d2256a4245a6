//! What this room refuses or fails at, and what the other side gets to see of it.

use super::{csr::CsrError, keys::KeyError};
use wire::{Fault, FaultKind, pki::AuthorityUse};

/// Refusals and failures of the PKI.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Rights.
    #[error(transparent)]
    Access(#[from] crate::access::Error),
    /// The CSR is not one we sign (E-4).
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// The public key belongs to another device, an authority, or is blocked after a compromise.
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
    /// The token did not sign in time.
    #[error("the token does not answer: see that its module reaches it")]
    TokenLate,
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
    #[error("{} of {} devices don't hold trust bundle {}", .0.missing(), .0.devices, .0.version)]
    BundleNotHeld(wire::pki::BundleReach),
    /// The authority ends before the shortest certificate would (P-6).
    #[error("the issuing authority ends too soon")]
    AuthorityExpiring,
    /// Renewed before its time.
    #[error("renewal is not due before {0}")]
    RenewTooEarly(wire::Timestamp),
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

impl From<rcgen::Error> for Error {
    fn from(e: rcgen::Error) -> Self {
        Self::Build(e.to_string())
    }
}

/// How to come by an authority of this use, as `ca csr --for` names it.
fn root_offline(purpose: &str) -> Fault {
    let text = format!(
        "The root's key is not on this server. Make a request (fleetward ca csr --for {purpose} --out ca.csr), sign it where the key is \
         (fleetward ca issue-intermediate --root root.age --csr ca.csr --out ca.pem) and bring it back (fleetward ca import ca.pem), or do the \
         same on the page of authorities. Lists: fleetward ca crl. The manual has each step: /docs/roots."
    );
    Fault::new(FaultKind::Conflict, "root_offline", text)
}

impl Error {
    /// Says of a root that is not here for what it was wanted.
    pub(super) fn wanted_for(self, purpose: AuthorityUse) -> Self {
        if matches!(self, Self::RootOffline) { Self::RootOfflineFor(purpose) } else { self }
    }

    /// What the other side gets to see. Causes go to the log.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Access(e) => e.fault(),
            Self::Csr(e) => e.fault(),
            Self::Consent(e) => e.fault(),
            Self::ClockJumped(jump) => Fault::new(
                FaultKind::Busy,
                "clock_jumped",
                format!(
                    "The server's clock has jumped by {jump}, and nothing is issued until it is right again or an administrator accepts the new time."
                ),
            )
            .retry_after(60),
            Self::Registered(e) => e.fault(),
            Self::NotOurs => Fault::new(
                FaultKind::Conflict,
                "renew_at_own_authority",
                "This certificate comes from your own authority. Renew it there, with the same key, and connect with the new one: it is taken over by itself.",
            ),
            Self::KeyInUse(_) => Fault::new(
                FaultKind::Conflict,
                "key_in_use",
                "This public key can't be used: make a new key on the device and send a CSR for it.",
            ),
            Self::NotFound => Fault::new(FaultKind::NotFound, "certificate_not_found", "There is no such certificate."),
            Self::NoAssignmentKey => Fault::new(FaultKind::NotFound, "no_assignment_key", "There is no such assignment key."),
            Self::AssignmentKeys(what) => Fault::new(FaultKind::Conflict, "assignment_keys", *what),
            Self::Cursor => Fault::new(FaultKind::Invalid, "bad_cursor", "This page's address is out of date. Start from the first page."),
            Self::RenewTooEarly(at) => Fault::new(
                FaultKind::Conflict,
                "renew_too_early",
                format!("The certificate is due for renewal from {at}; keep using it until then, or send a CSR for a new key."),
            ),
            Self::SuccessorInUse => Fault::new(
                FaultKind::Conflict,
                "successor_in_use",
                "This certificate was renewed, and its successor is in use: connect with that one and renew that one. If the device has lost it, have an \
                 operator revoke it first.",
            ),
            Self::RenewedTooOften(seconds) => Fault::new(
                FaultKind::TooMany,
                "renewed_too_often",
                format!("This device has renewed as often as it may for now. Use the certificate that it was given last, and renew again in {seconds} seconds."),
            )
            .retry_after(*seconds),
            Self::RekeyRequired => Fault::new(
                FaultKind::Conflict,
                "rekey_required",
                "This organization wants a new key with every renewal: make one on the device and send a CSR for it.",
            )
            .at("csr"),
            Self::RekeyForbidden => Fault::new(
                FaultKind::Conflict,
                "rekey_forbidden",
                "This organization wants devices to keep their key: send a CSR for the key of the certificate that is renewed.",
            )
            .at("csr"),
            Self::RevocationNote => {
                let text = format!("A note has at most {} characters, and no control characters.", wire::pki::MAX_REVOCATION_NOTE);
                Fault::new(FaultKind::Invalid, "invalid", text).at("note")
            }
            Self::InvalidityDate => Fault::new(
                FaultKind::Invalid,
                "invalid",
                "Give the time since which the certificate is known or suspected to be wrong: not later than now.",
            )
            .at("invalidity_date"),
            Self::KeyType(types) => {
                let text = format!("The certificate's profile is for keys of these types: {types}. Make such a key and send a CSR for it.");
                Fault::new(FaultKind::Invalid, "unsupported_alg", text).at("csr")
            }
            Self::MadeKeys { profile, types } => {
                let text = format!(
                    "The server makes p-256 keys, and the profile {profile} is for keys of these types alone: {types}. Choose a profile that takes \
                     p-256, or none; or have the devices make their keys, and send a batch of their CSRs."
                );
                Fault::new(FaultKind::Invalid, "unsupported_alg", text).at("profile")
            }
            Self::NoProfile => {
                let text = "There is no such certificate profile. Choose one that there is, or none.";
                Fault::new(FaultKind::NotFound, "profile_not_found", text).at("profile")
            }
            Self::ProfileName => {
                let text = "A profile's name has 1 to 40 lower-case letters, digits and -, and begins with a letter or digit.";
                Fault::new(FaultKind::Invalid, "invalid", text).at("name")
            }
            Self::ProfileHours => {
                let most = wire::pki::MAX_PROFILE_HOURS;
                let text = format!("Give 1 to {most} hours ({} days). What holds longer is a factory profile: say so.", most / 24);
                Fault::new(FaultKind::Invalid, "invalid", text).at("hours")
            }
            Self::FactoryHours => {
                let (least, most) = (wire::pki::MAX_PROFILE_HOURS + 1, wire::pki::MAX_FACTORY_HOURS);
                let text = format!("A factory profile holds {least} to {most} hours (ten years). What holds for a shorter time is none.");
                Fault::new(FaultKind::Invalid, "invalid", text).at("hours")
            }
            Self::ProfilesFull => {
                Fault::new(FaultKind::Conflict, "profiles_full", "An organization has at most 50 certificate profiles. Remove one first.")
            }
            Self::ProfileInUse(users) => {
                let text = format!(
                    "This profile is in use: {users}. Revoke the tokens, disable the claims, choose another one for devices without a token, and remove it when \
                     its devices have certificates of another one."
                );
                Fault::new(FaultKind::Conflict, "profile_in_use", text)
            }
            Self::RecoveryDays => {
                let text = format!("Give 1 to {} days.", wire::pki::MAX_RECOVERY_DAYS);
                Fault::new(FaultKind::Invalid, "invalid", text).at("recovery_days")
            }
            Self::WayBackDays => {
                let text = format!("Give 1 to {} days.", wire::pki::MAX_WAY_BACK_DAYS);
                Fault::new(FaultKind::Invalid, "invalid", text).at("days")
            }
            Self::RecoveryNonce => Fault::new(
                FaultKind::Invalid,
                "recovery_nonce",
                "The nonce is not one of this server, or older than five minutes. Ask for a new one: GET /device/v1/recover.",
            )
            .at("nonce"),
            Self::RecoveryRefused => Fault::new(
                FaultKind::Forbidden,
                "recovery_refused",
                "The certificate is not known here, or its key has not signed this request. Enrol the device again.",
            ),
            Self::NoRecovery => Fault::new(
                FaultKind::Forbidden,
                "recovery_off",
                "This organization does not take devices back after their certificate has ended. Enrol the device again.",
            ),
            Self::NotEnded => Fault::new(
                FaultKind::Conflict,
                "not_ended",
                "The certificate has not ended. Renew it over mutual TLS: POST /device/v1/renew.",
            ),
            Self::NotRecoverable => Fault::new(
                FaultKind::Forbidden,
                "not_recoverable",
                "The certificate was revoked or replaced, ended too long ago, its authority was given up, or its device is not active. Enrol the device \
                 again, or ask an administrator whether devices of this authority may come back.",
            ),
            Self::NotUsable(_) => {
                Fault::new(FaultKind::Forbidden, "certificate_not_usable", "This certificate can't be renewed. Enrol the device again.")
            }
            Self::AuthorityExpiring => Fault::new(
                FaultKind::Busy,
                "ca_expiring",
                "The issuing authority is about to end. An administrator has to make a new one first.",
            )
            .retry_after(3600),
            Self::NoSuchAuthority => Fault::new(FaultKind::NotFound, "authority_not_found", "There is no such authority."),
            Self::AuthorityState(what) => Fault::new(FaultKind::Conflict, "authority_state", *what),
            Self::RootOffline => root_offline("device"),
            Self::RootOfflineFor(purpose) => root_offline(match purpose {
                AuthorityUse::Device | AuthorityUse::Root => "device",
                AuthorityUse::Server => "server",
                AuthorityUse::Claim => "claim",
            }),
            Self::NotHeld => Fault::new(
                FaultKind::Forbidden,
                "not_held",
                "This is not the root's file. Open the file that fleetward ca root export wrote last, or give what fleetward ca root check says where it is kept; until then the key stays here.",
            ),
            Self::Unfit(why) => Fault::new(FaultKind::Invalid, "certificate_refused", why.to_string()).at("certificates"),
            Self::RootFile(why) => Fault::new(FaultKind::Invalid, "root_file", format!("{why}.")),
            Self::NoSuchRequest => {
                Fault::new(FaultKind::NotFound, "authority_request_not_found", "There is no such request, or it is over. Make a new one.")
            }
            Self::AuthorityInUse(leaves) => Fault::new(
                FaultKind::Conflict,
                "authority_in_use",
                format!(
                    "{leaves} certificates of this authority are in use. Wait until their devices have renewed, or force it: they are cut off then."
                ),
            ),
            Self::BundleNotHeld(reach) => Fault::new(
                FaultKind::Conflict,
                "bundle_not_held",
                format!(
                    "{} of {} active devices don't hold trust bundle {} yet. Wait until they have connected and fetched it, or force it: {} may not find back then.",
                    reach.missing(),
                    reach.devices,
                    reach.version,
                    reach.missing()
                ),
            ),
            Self::TokenLate => {
                tracing::error!(error = %self, "nothing is signed");
                let text = "The server's keys are on a token that does not answer at the moment. Nothing was done; try again.";
                Fault::new(FaultKind::Busy, "token_late", text).retry_after(10)
            }
            Self::NoAuthority(_) | Self::KeyOnToken { .. } => {
                tracing::error!(error = %self, "no authority issues");
                Fault::new(
                    FaultKind::Busy,
                    "no_authority",
                    "No authority issues certificates at the moment. An administrator has to activate one first.",
                )
                .retry_after(3600)
            }
            Self::Key(_) | Self::Journal { .. } | Self::Build(_) | Self::Serial => {
                tracing::error!(error = %self, "the PKI can't issue");
                Fault::new(FaultKind::Internal, "internal", "Something failed on the server. The request id finds it in the log.")
            }
            Self::Db(e) => e.fault(),
        }
    }
}

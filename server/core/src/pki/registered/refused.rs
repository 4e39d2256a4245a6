//! Pure: why a registered authority, its proof or one of its devices is refused, and what the other side gets to see of it.

use super::super::{csr::CsrError, der::DerError};
use wire::{Fault, FaultKind, registered::RegisteredState};

/// Refusals of registered authorities (E-10).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Larger than a certificate may be here.
    #[error("the certificate is larger than {} KiB", super::gate::MAX_DER / 1024)]
    TooLarge,
    /// Neither one PEM block nor DER.
    #[error("not a certificate: send one certificate, as PEM or DER, and never a key")]
    NotCertificate,
    /// Not strictly encoded.
    #[error("the certificate is malformed: {0}")]
    Der(#[from] DerError),
    /// Strictly encoded, but no certificate (RFC 5280).
    #[error("the certificate is malformed: {0}")]
    Malformed(&'static str),
    /// A certificate that can't be an authority of devices.
    #[error("this certificate is no authority for devices: {0}")]
    NotAuthority(&'static str),
    /// The key is outside P-1.
    #[error("{0}")]
    Key(CsrError),
    /// Past its end.
    #[error("the authority's certificate has ended; register one that is valid")]
    Ended,
    /// One of this installation's own keys.
    #[error("this is an authority of Fleetward itself; its devices are believed already")]
    Ours,
    /// Another key under the name of one of our own authorities, also of one that ended, or that only the journal knows.
    #[error("this authority has a name that one of Fleetward's own has or had; give it another name")]
    OurName,
    /// Somebody else has proved to hold the key.
    #[error("this authority is registered by another organization; ask its owner to remove it there")]
    Taken,
    /// It is here already.
    #[error("this authority is registered already")]
    Known,
    /// The key is here under another name.
    #[error("this key is registered under another name; a renewed certificate keeps its authority's name")]
    OtherName,
    /// What is there ends as late, or later.
    #[error("this authority is registered already, with a certificate that does not end sooner")]
    NotLater,
    /// It would cut its devices off until it begins.
    #[error("the certificate is not valid yet; bring it when it is")]
    NotYet,
    /// Its key was blocked after a compromise.
    #[error("this key was blocked after a compromise; make a new authority")]
    Blocked,
    /// A person has blocked its key.
    #[error("this key is blocked (Certificates, Rules); make a new authority")]
    BlockedByHand,
    /// As many as there may be.
    #[error("an organization has at most {} registered authorities; remove one that is not used", super::MOST)]
    TooMany,
    /// The step is not legal from this state.
    #[error("this can't be done now. {}", super::state::instead(*.0))]
    State(RegisteredState),
    /// The code was used, or has ended.
    #[error("the verification code was used or has ended; make a new one")]
    NoCode,
    /// The verification certificate proves nothing.
    #[error("the verification certificate is refused: {0}")]
    Proof(&'static str),
    /// Its devices may not have a certificate of ours.
    #[error(
        "devices of this authority get no certificate of Fleetward's for theirs; an administrator can allow it with the authority's policy"
    )]
    NoExchange,
    /// The list of revoked certificates can't be taken.
    #[error("the list is refused: {0}")]
    List(&'static str),
    /// No address that a list may be fetched from.
    #[error("{0}")]
    ListAddress(&'static str),
    /// One where no list is ever asked for.
    #[error("no list is fetched from there: {0}")]
    Unreachable(&'static str),
    /// Larger than a list may be here.
    #[error("the list is larger than {} MiB", super::list_gate::MAX_DER / 1024 / 1024)]
    ListTooLarge,
    /// Older than the one there is, or as old.
    #[error("a list that is as new, or newer, is here already: numbers and times only grow")]
    ListNotNewer,
    /// A newer one had counted before the database was set back.
    #[error("a newer list has counted before the database was set back; bring that one, or one that follows it")]
    ListForgotten,
    /// It is brought, not fetched.
    #[error("no address is named from which its list is fetched; name one first")]
    NoListAddress,
    /// Seconds until the address may be asked because somebody wants it.
    #[error("the address was asked a moment ago; it can be asked again in {0} s")]
    ListJustAsked(u32),
    /// Certificates of it are part of devices' histories.
    #[error("devices have certificates of it, which stay in their histories; disable it instead")]
    InUse,
    /// No such authority in this organization.
    #[error("no such registered authority")]
    NotFound,
}

impl Refused {
    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        let (kind, code, field) = match self {
            Self::TooLarge => (FaultKind::TooLarge, "certificate_too_large", "certificate"),
            Self::NotCertificate | Self::Der(_) | Self::Malformed(_) => (FaultKind::Invalid, "certificate_malformed", "certificate"),
            Self::NotAuthority(_) => (FaultKind::Invalid, "not_an_authority", "certificate"),
            Self::Key(CsrError::KeyType(_)) => (FaultKind::Invalid, "unsupported_alg", "certificate"),
            Self::Key(_) => (FaultKind::Invalid, "weak_key", "certificate"),
            Self::Ended => (FaultKind::Invalid, "authority_ended", "certificate"),
            Self::Ours => (FaultKind::Conflict, "own_authority", "certificate"),
            Self::OurName => (FaultKind::Conflict, "own_authority_name", "certificate"),
            Self::Taken => (FaultKind::Conflict, "authority_taken", "certificate"),
            Self::Known | Self::NotLater => (FaultKind::Conflict, "authority_registered", "certificate"),
            Self::OtherName => (FaultKind::Conflict, "authority_other_name", "certificate"),
            Self::NotYet => (FaultKind::Invalid, "authority_not_yet_valid", "certificate"),
            Self::Blocked | Self::BlockedByHand => (FaultKind::Conflict, "key_blocked", "certificate"),
            Self::TooMany => (FaultKind::Conflict, "too_many_authorities", ""),
            Self::State(_) => (FaultKind::Conflict, "authority_state", ""),
            Self::NoCode => (FaultKind::Conflict, "verification_code_ended", ""),
            Self::Proof(_) => (FaultKind::Invalid, "verification_failed", "certificate"),
            Self::NoExchange => (FaultKind::Forbidden, "exchange_off", ""),
            Self::List(_) => (FaultKind::Invalid, "list_refused", "list"),
            Self::ListAddress(_) | Self::Unreachable(_) => (FaultKind::Invalid, "list_address_refused", "url"),
            Self::ListTooLarge => (FaultKind::TooLarge, "list_too_large", "list"),
            Self::ListNotNewer | Self::ListForgotten => (FaultKind::Conflict, "list_not_newer", "list"),
            Self::NoListAddress => (FaultKind::Conflict, "no_list_address", ""),
            Self::ListJustAsked(_) => (FaultKind::TooMany, "list_just_asked", ""),
            Self::InUse => (FaultKind::Conflict, "authority_in_use", ""),
            Self::NotFound => (FaultKind::NotFound, "authority_not_found", ""),
        };
        let mut text = self.to_string();
        if let Some(first) = text.get(..1).map(str::to_uppercase) {
            text.replace_range(..1, &first);
        }
        if !text.ends_with('.') {
            text.push('.');
        }
        let fault = Fault::new(kind, code, text);
        let fault = if let Self::ListJustAsked(seconds) = self { fault.retry_after(*seconds) } else { fault };
        if field.is_empty() { fault } else { fault.at(field) }
    }
}

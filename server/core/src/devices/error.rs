//! What this room refuses, and what of it may leave.

use crate::pki::{ToSign, Undone};
use wire::{
    Fault, FaultKind,
    devices::SelectorError,
    states::{DeviceState, DeviceStep},
};

/// The code of [`Error::Pending`], by which faces tell it from refusals.
pub const PENDING: &str = "pending";

/// A device that is in the fleet's books, and is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Away {
    /// Suspended: a person can resume it.
    Suspended(String),
    /// Decommissioned or deleted: the row only keeps its id.
    Gone(String),
}

impl Away {
    /// The device in this state, which is not one that is let in.
    pub(super) fn of(state: DeviceState, device: String) -> Self {
        if state == DeviceState::Suspended { Self::Suspended(device) } else { Self::Gone(device) }
    }

    /// What the device's side is told, and what brings it back.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Suspended(id) => {
                format!(
                    "{id} is suspended, and nothing is enrolled or renewed for it. Ask an operator to resume it: then its certificate is good again."
                )
            }
            Self::Gone(id) => format!(
                "{id} was decommissioned or deleted, and its id stays reserved: choose another one. A decommissioned device comes back under its id when an \
                 admin recommissions it and an operator makes a token for exactly this id; the id of a deleted one is free when its last certificate has ended."
            ),
        }
    }
}

impl std::fmt::Display for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Suspended(id) | Self::Gone(id)) = self;
        f.write_str(id)
    }
}

/// Why something about a device was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another number of devices than the caller has seen.
    #[error("{found} devices match, not {expected}")]
    OtherCount {
        /// How many they were told of.
        expected: i64,
        /// How many there are.
        found: i64,
    },
    /// A plan asks for this group; why, and what to do.
    #[error("{0}")]
    GroupInUse(String),
    /// Rights.
    #[error(transparent)]
    Access(#[from] crate::access::Error),
    /// The CSR or the issuing.
    #[error(transparent)]
    Pki(#[from] crate::pki::Error),
    /// A shared secret of hawkBit's clients.
    #[error(transparent)]
    Shared(#[from] super::shared::Refusal),
    /// No usable enrolment token. Unknown, expired, revoked and used up get the same answer.
    #[error("enrolment token refused")]
    BadToken,
    /// The claim is unknown, expired, disabled or used up.
    #[error("claim refused")]
    BadClaim,
    /// The token or claim was made before this authority was given up, and nobody has said that it still counts.
    #[error("frozen since {0} was given up")]
    Frozen(String),
    /// The claim was used as often as it may be in a minute.
    #[error("the claim is used too often")]
    ClaimRate,
    /// The pre-provisioning hook said no; why, for the books alone.
    #[error("the pre-provisioning hook refuses: {0}")]
    HookRefused(String),
    /// The pre-provisioning hook gave no answer that could be understood in time; that is a no, too.
    #[error("the pre-provisioning hook gives no answer")]
    HookSilent,
    /// Too many wrong secrets from this address.
    #[error("too many wrong enrolment secrets from this address")]
    TooMany,
    /// There is no token, and the organization takes nobody without one (E-6).
    #[error("no enrolment token")]
    NoToken,
    /// No refusal: somebody has to approve it first. Faces answer with 202 and the time to ask again.
    #[error("the enrolment waits for approval")]
    Pending,
    /// The installation makes no keys for devices (E-8).
    #[error("no keys are made for devices here")]
    NoServerKeys,
    /// A person decides on keys that devices show; one that is made here is none of them.
    #[error("a server-made key takes a token without approval, or a claim")]
    ServerKeyWaits,
    /// The same request is answered at this moment, with a key that only that answer has.
    #[error("the same request is being answered")]
    AskedTwice,
    /// Somebody has decided against it.
    #[error("the enrolment of {0} was rejected")]
    Rejected(String),
    /// As many requests wait as there may.
    #[error("too many enrolments wait for approval")]
    QueueFull,
    /// The token may not be used from there.
    #[error("the token may not be used from this address")]
    Source,
    /// The token is for another key, or another CSR.
    #[error("the token is bound to another {0}")]
    Bound(&'static str),
    /// The token may not enrol this name.
    #[error("the token does not cover {0:?}")]
    OutOfScope(String),
    /// What was brought gives certificates of another profile than the address names.
    #[error("the address names the profile {asked:?}, not {given:?}")]
    OtherProfile {
        /// The one the address names.
        asked: String,
        /// The one that is given; empty for none.
        given: String,
    },
    /// Another device has this name.
    #[error("{0} is already enrolled")]
    Exists(String),
    /// The device was suspended or taken out of the fleet.
    #[error("{0} is not active")]
    NotActive(Away),
    /// The step is not legal in the state the device is in.
    #[error("{device} can't {step}: it is {state}")]
    Illegal {
        /// The device.
        device: String,
        /// What was asked for.
        step: DeviceStep,
        /// Where it is.
        state: DeviceState,
    },
    /// An input that can't be taken.
    #[error("{field}: {message}")]
    Invalid {
        /// The input.
        field: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// A selector with a mistake in it.
    #[error("selector: {}", .0.sentence())]
    Selector(SelectorError),
    /// No such device or token in this organization.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// A batch that can't be read.
    #[error(transparent)]
    Batch(#[from] super::Broken),
    /// A file of devices that can't be read.
    #[error(transparent)]
    Import(#[from] super::Unreadable),
    /// The batch is done, cancelled, or still coming in.
    #[error("the batch {0} is not worked on")]
    BatchEnded(String),
    /// The database.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

impl Undone for Error {
    fn wanting(self) -> Result<ToSign, Self> {
        match self {
            Self::Pki(refusal) => refusal.wanting().map_err(Self::Pki),
            other => Err(other),
        }
    }
}

impl Error {
    pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        use FaultKind as K;
        match self {
            Self::Access(e) => e.fault(),
            Self::Pki(e) => e.fault(),
            Self::Shared(e) => e.fault(),
            Self::BadToken => Fault::new(
                K::Unauthenticated,
                "bad_enrolment_token",
                "The enrolment token is unknown, expired, revoked or used up. Ask an operator for a new one.",
            ),
            Self::BadClaim => {
                Fault::new(K::Unauthenticated, "bad_claim", "The claim is expired, disabled or used up. Ask an operator for a new one.")
            }
            Self::Frozen(authority) => Fault::new(
                K::Forbidden,
                "enrolment_frozen",
                format!(
                    "Tokens and claims made before the authority {authority} was given up as compromised are frozen. Ask for a new one, or ask an \
                     administrator to lift the freeze."
                ),
            ),
            Self::ClaimRate => {
                Fault::new(K::TooMany, "claim_rate", "This claim was used as often as it may be in a minute. Try again in a minute.")
                    .retry_after(60)
            }
            Self::HookRefused(_) => {
                Fault::new(K::Forbidden, "hook_refused", "This device is not expected here. Ask an operator; the reason is in the audit log.")
            }
            Self::HookSilent => Fault::new(
                K::Busy,
                "hook_silent",
                "Whoever has to agree to new devices gives no answer at the moment. Try again in a minute; if it stays so, tell an operator.",
            )
            .retry_after(60),
            Self::TooMany => {
                Fault::new(K::TooMany, "too_many_attempts", "Too many wrong enrolment secrets from this address. Try again in a minute; a right one is not held up.")
                    .retry_after(60)
            }
            Self::NoToken => Fault::new(
                K::Unauthenticated,
                "no_token",
                "Send an enrolment token: as `Authorization: Bearer fet_…`, or by EST as the password of HTTP Basic with any user name.",
            ),
            Self::Pending => Fault::new(K::Busy, PENDING, "The enrolment waits for an operator's approval. Ask again with the same CSR.")
                .retry_after(super::requests::POLL_S),
            Self::NoServerKeys => Fault::new(
                K::NotFound,
                "server_keys_off",
                "This server makes no keys for devices. Make the key on the device and send a CSR for it. An administrator can allow it \
                 (allow_server_keygen).",
            ),
            Self::ServerKeyWaits => Fault::new(
                K::Forbidden,
                "server_key_approval",
                "A key is made here only for a token that lets its devices in at once, or for a claim. Make the key on the device, or ask an operator \
                 for another token.",
            ),
            Self::AskedTwice => Fault::new(
                K::Busy,
                "asked_twice",
                "The same request is being answered at this moment, or its certificate was just used. If you have no answer, ask again.",
            )
            .retry_after(2),
            Self::Rejected(id) => Fault::new(
                K::Forbidden,
                "enrolment_rejected",
                format!("An operator has rejected the enrolment of {id}. Ask them before you try again with another key."),
            ),
            Self::QueueFull => Fault::new(
                K::TooMany,
                "too_many_pending",
                "Too many enrolments wait for approval. Ask an operator to decide on them, then try again.",
            )
            .retry_after(3600),
            Self::Source => Fault::new(
                K::Forbidden,
                "source_not_allowed",
                "The token may not be used from this address. Ask an operator for which network it is.",
            ),
            Self::Bound(what) => Fault::new(
                K::Forbidden,
                "binding_mismatch",
                format!("The token is bound to another {what}. Use the one it was made for, or ask an operator for another token."),
            ),
            Self::OutOfScope(id) => Fault::new(
                K::Forbidden,
                "identity_mismatch",
                format!("The token or claim does not allow the device id {id:?}. Ask an operator which ids it is for."),
            ),
            Self::OtherProfile { asked, given } => {
                let given = if given.is_empty() { "none".to_owned() } else { format!("{given:?}") };
                let text = format!(
                    "The address names the profile {asked:?}; what you came with gives {given}. Leave the profile out of the address, or ask an operator for what gives it."
                );
                Fault::new(K::Forbidden, "profile_mismatch", text)
            }
            Self::Exists(id) => Fault::new(
                K::Conflict,
                "device_exists",
                format!(
                    "{id} is already enrolled. Give this device another id (the agent's --device-id), or, if it is the same device, enrol it \
                     anew with a token made for exactly this id."
                ),
            ),
            Self::NotActive(away) => Fault::new(K::Forbidden, "device_not_active", away.advice()),
            Self::Illegal { device, step, state } => Fault::new(
                K::Conflict,
                "illegal_step",
                format!("{device} is {state}: {step} is not possible from there. {}", what_is_possible(*state)),
            ),
            Self::Invalid { field, message } => Fault::new(K::Invalid, "invalid", message.clone()).at(*field),
            Self::OtherCount { expected, found } => Fault::new(
                K::Conflict,
                "other_count",
                format!("The filter matches {found} devices now, not {expected}. Nothing was changed. Look at the list again, and repeat it with {found}."),
            ),
            Self::GroupInUse(message) => Fault::new(K::Conflict, "group_in_use", message.clone()),
            Self::Selector(e) => Fault::new(K::Invalid, "bad_selector", e.sentence()).at("q"),
            Self::Batch(e) => {
                use super::Broken as B;
                let (kind, code) = match e {
                    B::TooMuch | B::TooMany => (K::TooLarge, "batch_too_large"),
                    B::Bomb => (K::TooLarge, "batch_bomb"),
                    B::NoRoom => (K::NoSpace, "disk_full"),
                    B::Malformed(_) | B::Cut | B::Stopped => (K::Invalid, "batch_malformed"),
                };
                let text = match e {
                    B::Malformed(text) => (*text).to_owned(),
                    B::TooMuch | B::TooMany => format!("{} Split it: at most 64 MiB unpacked and 10,000 lines.", sentence(e)),
                    B::Bomb => format!("{} Send the files unpacked, as CSV, JSON lines or tar.", sentence(e)),
                    B::NoRoom => "The server has no room to take the batch in. Tell its operator.".to_owned(),
                    B::Cut | B::Stopped => format!("{} Nothing of it was taken: send it again.", sentence(e)),
                };
                Fault::new(kind, code, text)
            }
            Self::Import(e) => match e {
                super::Unreadable::TooLarge | super::Unreadable::TooMany => Fault::new(K::TooLarge, "import_too_large", e.to_string()),
                super::Unreadable::Malformed(text) => Fault::new(K::Invalid, "import_malformed", text.clone()),
            },
            Self::BatchEnded(label) => Fault::new(
                K::Conflict,
                "batch_ended",
                format!("The batch {label} has ended, or is still coming in: there is nothing to stop."),
            ),
            Self::NotFound(what) => Fault::new(K::NotFound, "not_found", format!("There is no such {what}.")),
            Self::Db(e) => e.fault(),
        }
    }
}

/// An error's own words as a sentence.
fn sentence(e: &super::Broken) -> String {
    let text = e.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// What a person can do from this state instead.
const fn what_is_possible(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Preregistered => "Enrol it with a token, or decommission it.",
        DeviceState::Pending => "Let it in, enrol it with a token, or decommission it.",
        DeviceState::Active => "Suspend or decommission it.",
        DeviceState::Suspended => "Resume or decommission it.",
        DeviceState::Decommissioned => "An admin can recommission it; then it can be enrolled anew.",
    }
}

//! What shared secrets are refused for, and what of it may leave.

use wire::{Fault, FaultKind};

/// Why nobody is spoken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Unknown, revoked, of another organization or of another device: all get the same answer.
    #[error("shared secret refused")]
    Wrong,
    /// Too many wrong ones from this address.
    #[error("too many wrong secrets from this address")]
    TooMany,
    /// The organization takes none.
    #[error("shared secrets are switched off")]
    Off,
    /// The gateway is right, and there is no such device.
    #[error("there is no device {0}")]
    Unknown(String),
    /// As many devices wait for a person as may.
    #[error("too many devices wait for a person")]
    Crowded,
    /// It has a certificate, and that says who it is.
    #[error("{0} has a certificate")]
    Certified(String),
    /// Its certificate was revoked after the secret was made.
    #[error("the certificate of {0} was revoked")]
    Revoked(String),
    /// It is suspended or out of the fleet.
    #[error("{0} is not active")]
    NotActive(String),
}

impl Refusal {
    /// Whether the secret itself was right.
    pub(super) const fn knew_the_secret(&self) -> bool {
        !matches!(self, Self::Wrong | Self::TooMany | Self::Off)
    }

    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        use FaultKind as K;
        match self {
            Self::Wrong => Fault::new(
                K::Unauthenticated,
                "bad_token",
                "The token is unknown, revoked, or not for this device. The address must name the organization and the device id, in the device's own \
                 letters. Ask an operator for a new token.",
            ),
            Self::TooMany => Fault::new(K::TooMany, "too_many_attempts", "Too many wrong tokens from this address. Try again in a minute.")
                .retry_after(60),
            Self::Off => Fault::new(
                K::Unauthenticated,
                "tokens_off",
                "Target and gateway tokens are not taken here. Connect to the device listener with a certificate, or ask an administrator to switch \
                 tokens on.",
            ),
            Self::Unknown(id) => Fault::new(
                K::Forbidden,
                "unknown_device",
                format!("There is no device {id}. Make a target token for it, or ask an administrator to let gateways announce devices."),
            ),
            Self::Crowded => Fault::new(
                K::TooMany,
                "too_many_pending",
                "Too many devices wait for a person. Ask an operator to let them in or to delete them, then try again.",
            )
            .retry_after(3600),
            Self::Certified(id) => Fault::new(
                K::Forbidden,
                "certificate_stands",
                format!("{id} has a certificate, so no token speaks for it. Connect to the device listener with the certificate."),
            ),
            Self::Revoked(id) => Fault::new(
                K::Forbidden,
                "certificate_revoked",
                format!(
                    "The certificate of {id} was revoked, so this token speaks for it no more. An operator can make a new target token."
                ),
            ),
            Self::NotActive(id) => Fault::new(
                K::Forbidden,
                "device_not_active",
                format!(
                    "{id} is not in the fleet. If it is suspended, an operator can resume it; if it was decommissioned, an admin can recommission it."
                ),
            ),
        }
    }
}

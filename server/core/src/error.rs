//! The one error of the core: an enum per room, folded into what may leave. Refuses to know status codes.

use crate::pki::{ToSign, Undone};
use wire::{Fault, FaultKind};

/// Whatever a room refuses or fails at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// People, sessions, tokens, rights.
    #[error(transparent)]
    Access(#[from] crate::access::Error),
    /// Certificates and authorities.
    #[error(transparent)]
    Pki(#[from] crate::pki::Error),
    /// Devices and enrolment.
    #[error(transparent)]
    Devices(#[from] crate::devices::Error),
    /// Artifacts, manifests, releases.
    #[error(transparent)]
    Releases(#[from] crate::releases::Error),
    /// Rollouts.
    #[error(transparent)]
    Rollouts(#[from] crate::rollouts::Error),
    /// How fast and how much.
    #[error(transparent)]
    Transfers(#[from] crate::transfers::Error),
    /// Samples.
    #[error(transparent)]
    Telemetry(#[from] crate::telemetry::Error),
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

/// A result of the core.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What the other side gets to see. The cause stays here and goes to the log.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Access(e) => e.fault(),
            Self::Pki(e) => e.fault(),
            Self::Devices(e) => e.fault(),
            Self::Releases(e) => e.fault(),
            Self::Rollouts(e) => e.fault(),
            Self::Transfers(e) => e.fault(),
            Self::Telemetry(e) => e.fault(),
            Self::Db(e) => e.fault(),
        }
    }
}

impl crate::db::Error {
    /// What the other side gets to see of a database error.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Full => Fault::new(
                FaultKind::NoSpace,
                "disk_full",
                "The server's disk is full. Nothing that was acknowledged is lost; free some space and try again.",
            ),
            Self::Busy => Fault::new(FaultKind::Busy, "busy", "The server is busy. Try again in a moment.").retry_after(2),
            other => {
                tracing::error!(error = %other, "database error");
                Fault::new(FaultKind::Internal, "internal", "Something failed on the server. The request id finds it in the log.")
            }
        }
    }
}

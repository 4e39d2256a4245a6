//! What this room refuses, and what of it may leave.

use wire::{Fault, FaultKind, states::Role};

/// Why access was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The actor's role is too small.
    #[error("{act} needs the role {needs}")]
    Denied {
        /// What was tried.
        act: &'static str,
        /// The least role that may.
        needs: Role,
    },
    /// Address or password is wrong; which of them is not told.
    #[error("wrong address or password")]
    WrongPassword,
    /// Too many wrong passwords for this person from one source.
    #[error("locked for {seconds} more seconds")]
    Locked {
        /// How long still.
        seconds: u32,
    },
    /// Too many wrong guesses from this address.
    #[error("too many failed attempts from this address")]
    TooMany,
    /// No session, or one that has ended.
    #[error("not signed in")]
    NoSession,
    /// Something that only a person does, asked for with an API token.
    #[error("an API token can't do this")]
    NeedsPerson,
    /// Something that concerns every organization, asked for by somebody in one.
    #[error("only the command line of the server's machine can do this")]
    NeedsMachine,
    /// A bearer token that is unknown, expired or revoked.
    #[error("bearer token refused")]
    BadToken,
    /// The set-up page was already used, or its code is wrong.
    #[error("set-up refused: {0}")]
    SetUp(&'static str),
    /// An input that can't be taken.
    #[error("{field}: {message}")]
    Invalid {
        /// The input.
        field: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// No such person, session or token in this organization.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The change would leave nobody who can administer.
    #[error("the last admin can't be changed")]
    LastAdmin,
    /// Signing or hashing failed.
    #[error("crypto: {0}")]
    Crypto(String),
    /// The audit log's heads could not be written beside the database.
    #[error("writing {}: {error}", path.display())]
    Heads {
        /// The file.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

impl Error {
    pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        use FaultKind as K;
        match self {
            Self::Denied { needs, .. } => {
                Fault::new(K::Forbidden, "denied", format!("This needs the role {needs}. An admin can give it to you under People."))
            }
            Self::WrongPassword => Fault::new(K::Unauthenticated, "wrong_password", "Wrong address or password."),
            Self::Locked { seconds } => Fault::new(
                K::TooMany,
                "locked",
                "Too many wrong passwords came from where you are. Sign-in with this address is locked there.",
            )
            .retry_after(*seconds),
            Self::TooMany => Fault::new(K::TooMany, "too_many_attempts", "Too many failed attempts from your address.").retry_after(60),
            Self::NoSession => {
                Fault::new(K::Unauthenticated, "no_session", "You are not signed in, or your session has ended. Sign in again.")
            }
            Self::NeedsPerson => Fault::new(
                K::Forbidden,
                "needs_person",
                "An API token can't do this: it could outlive its own end or its withdrawal that way. Sign in to the console and do it there.",
            ),
            Self::NeedsMachine => Fault::new(
                K::Forbidden,
                "needs_machine",
                "This concerns every organization. It is done with the command line on the server's own machine.",
            ),
            Self::BadToken => {
                Fault::new(K::Unauthenticated, "bad_token", "The bearer token is unknown, expired or revoked. Make a new one under People.")
            }
            Self::SetUp(why) => Fault::new(K::Forbidden, "set_up_refused", *why),
            Self::Invalid { field, message } => Fault::new(K::Invalid, "invalid", message.clone()).at(*field),
            Self::NotFound(what) => Fault::new(K::NotFound, "not_found", format!("There is no such {what}.")),
            Self::LastAdmin => Fault::new(K::Conflict, "last_admin", "This is the last admin. Make somebody else an admin first."),
            Self::Crypto(_) | Self::Heads { .. } => {
                tracing::error!(error = %self, "signing, hashing or writing failed");
                Fault::new(K::Internal, "internal", "Something failed on the server. The request id finds it in the log.")
            }
            Self::Db(e) => e.fault(),
        }
    }
}

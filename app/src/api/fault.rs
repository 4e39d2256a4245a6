//! The error of every server function: [`wire::Fault`] dressed as what Leptos asks of one.

use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use wire::{Fault, FaultKind};

/// A [`Fault`] on its way through a server function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiFault(pub Fault);

impl ApiFault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, code: &str, message: &str) -> Self {
        Self(Fault::new(kind, code, message))
    }
}

impl fmt::Display for ApiFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for ApiFault {}

impl From<Fault> for ApiFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

#[cfg(feature = "ssr")]
impl From<fleet::Error> for ApiFault {
    fn from(error: fleet::Error) -> Self {
        Self(error.fault())
    }
}

impl FromServerFnError for ApiFault {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Request(_) => {
                Self::new(FaultKind::Busy, "unreachable", "The server could not be reached. Check the connection and try again.")
            }
            ServerFnErrorErr::Args(detail) | ServerFnErrorErr::MissingArg(detail) => Self(Fault::new(
                FaultKind::Invalid,
                "bad_input",
                format!("A field of the form has a value that does not fit it ({detail}). Go back and correct it."),
            )),
            // A new release of the server behind an old page, most of the time.
            ServerFnErrorErr::Deserialization(_) | ServerFnErrorErr::UnsupportedRequestMethod(_) => {
                Self::new(FaultKind::Internal, "version", "The server answered in an unexpected form. Reload the page.")
            }
            _ => Self::new(FaultKind::Internal, "internal", "Something went wrong on our side. Try again."),
        }
    }
}

//! The one error shape that leaves Fleetward. It has no room for a cause, so nothing internal can leak through it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What went wrong, as far as the other side can act on it. Status codes are decided in one place, the server's `http/fault.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The request itself is wrong; sending it again won't help.
    Invalid,
    /// Nobody is known to be asking.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    /// No such thing, or not in this organization.
    NotFound,
    /// The thing has changed since it was read, or its state forbids this.
    Conflict,
    /// It was there and has ended.
    Gone,
    /// Larger than a stated limit.
    TooLarge,
    /// A media type or encoding that is not taken here.
    Unsupported,
    /// Too often; try again after a while.
    TooMany,
    /// Can't be done right now; try again.
    Busy,
    /// The disk is full; what was acknowledged is kept.
    NoSpace,
    /// Our mistake; the request id finds it in the log.
    Internal,
}

/// An error as users, scripts and devices see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fault {
    /// The class of the error.
    pub kind: FaultKind,
    /// A stable word for programs, for example `csr_forbidden_extension`.
    pub code: String,
    /// A sentence for people: what is wrong and what to do.
    pub message: String,
    /// The input field it belongs to, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The id of what stands in the way, where whoever is refused may want to look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Seconds after which trying again makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), field: None, about: None, retry_after: None }
    }
    /// The same, pointing at an input field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
    /// The same, with the id of what stands in the way.
    #[must_use]
    pub fn about(mut self, id: impl Into<String>) -> Self {
        self.about = Some(id.into());
        self
    }
    /// The same, saying when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
impl std::error::Error for Fault {}

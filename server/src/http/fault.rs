//! Errors on their way out: the one table of status codes, and problem details (RFC 9457). Nothing internal passes: a [`Fault`] has no room
//! for it.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use wire::{Fault, FaultKind};

/// The status of a kind of fault, for every face.
pub const fn status(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Invalid => StatusCode::BAD_REQUEST,
        FaultKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        FaultKind::Forbidden => StatusCode::FORBIDDEN,
        FaultKind::NotFound => StatusCode::NOT_FOUND,
        FaultKind::Conflict => StatusCode::CONFLICT,
        FaultKind::Gone => StatusCode::GONE,
        FaultKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FaultKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        FaultKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        FaultKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        FaultKind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        FaultKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A refusal as a response: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub Fault);

/// The body of a refusal (RFC 9457). Programs compare `code`; people read `detail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// `urn:fleetward:problem:` and the code.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The status code.
    pub status: u16,
    /// What is wrong and what to do.
    pub detail: String,
    /// A stable word for programs.
    pub code: String,
    /// The input it belongs to, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The id of what stands in the way, where it may be of use to look at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl<E: Into<fleet::Error>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into().fault())
    }
}

impl Problem {
    /// A refusal that the HTTP face itself decides on.
    pub fn new(kind: FaultKind, code: &str, message: impl Into<String>) -> Self {
        Self(Fault::new(kind, code, message))
    }

    /// The response under a status that no kind of fault has, for example 405.
    pub fn under(self, status: StatusCode) -> Response {
        // A listener that has another form for it, or a person before it, gets the same words (`own_words.rs`).
        let fault = self.0.clone();
        let Fault { kind, code, message, field, about, retry_after } = self.0;
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        let (r#type, status_code) = (format!("urn:fleetward:problem:{code}"), status.as_u16());
        let body = ProblemBody { r#type, title, status: status_code, detail: message, code, field, about };
        let mut response = (status, axum::Json(body)).into_response();
        response.extensions_mut().insert(fault);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if kind == FaultKind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status(self.0.kind);
        self.under(status)
    }
}

//! What comes in with a request: ids in the path, queries, JSON bodies. Whatever can't be read becomes a problem document that says why.

use super::MAX_JSON;
use crate::http::{bodies, fault::Problem, json};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{header, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};
use wire::{Fault, FaultKind};

/// An id in the path. What is no id names nothing, so the answer is "not found".
pub(super) struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Problem::new(FaultKind::NotFound, "not_found", "There is nothing with this id here.")),
        }
    }
}

/// The query.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(e) => {
                // Behind the framework's words stands which parameter it is, and what it may be.
                let said = e.body_text();
                let why = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(&said);
                Err(Problem::new(FaultKind::Invalid, "bad_query", format!("{} See /api/v1/openapi.json.", json::of_query(why))))
            }
        }
    }
}

/// A JSON body; an empty one counts as `{}`.
pub(super) struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = raw(request).await?;
        if bytes.is_empty() { read(b"{}") } else { read(&bytes) }
    }
}

/// A JSON body as it came: of a signed document every byte counts.
pub(super) struct Unread(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Unread {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        raw(request).await.map(Self)
    }
}

/// A plan as a file has it, YAML or JSON, as text.
pub(super) struct Planned(pub String);

impl<S: Send + Sync> FromRequest<S> for Planned {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let media = request.headers().get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or_default().to_ascii_lowercase());
        let bytes = bodies::whole(request.into_body(), MAX_JSON).await.ok_or_else(too_large)?;
        // As with JSON: no form of another origin is one of these.
        let kind = media.as_deref().and_then(|m| m.split(';').next()).unwrap_or_default().trim();
        if !["application/yaml", "application/json"].contains(&kind) {
            return Err(Problem::new(FaultKind::Unsupported, "not_yaml", "Send the plan as application/yaml or application/json."));
        }
        let text = String::from_utf8(bytes.to_vec());
        text.map(Self).map_err(|_| Problem::new(FaultKind::Invalid, "bad_plan", "The plan is not text in UTF-8."))
    }
}

async fn raw(request: Request) -> Result<Bytes, Problem> {
    let media = request.headers().get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or_default().to_ascii_lowercase());
    let bytes = bodies::whole(request.into_body(), MAX_JSON).await.ok_or_else(too_large)?;
    // A page of another origin can send a form without asking first, but no JSON.
    let is_json = media.is_some_and(|m| m.split(';').next().is_some_and(|m| m.trim() == "application/json" || m.trim().ends_with("+json")));
    if is_json || bytes.is_empty() {
        Ok(bytes)
    } else {
        Err(Problem::new(FaultKind::Unsupported, "not_json", "Send the body as application/json."))
    }
}

/// Said of a body before anything in it is looked at.
pub(super) fn too_large() -> Problem {
    Problem::new(FaultKind::TooLarge, "body_too_large", format!("A JSON body has at most {MAX_JSON} bytes."))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Sent<T>, Problem> {
    json::read(bytes).map(Sent).map_err(|why| Problem(Fault::new(FaultKind::Invalid, "bad_json", why)))
}

/// Where in a list, and how much of it.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// The `next` of the page before.
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    pub rows: Option<u32>,
}

//! REST, version 1: `/api/v1`, for build pipelines and scripts, and for the console's own uploads.
//!
//! Owns paths, media types and the OpenAPI document; every handler is a few lines: who asks, the core, the answer. Who asks was found by the
//! guard before; what they may do is the core's business. One file a room.
//!
//! | habit | how |
//! |---|---|
//! | lists | `{items, next, total}`; `?cursor=` takes the `next` of the page before, `?rows=` up to 200 |
//! | refusals | `application/problem+json` with a stable `code` |
//! | repeated requests | a `POST` with an `Idempotency-Key` is carried out once and answered the same way for 24 hours |
//! | slow answers | 503 with `Retry-After` after 30 s, but for uploads and downloads |
//! | too many requests | 429 with `Retry-After`, counted per token and per session |

mod approvals;
mod audit;
mod authorities;
mod batches;
mod blocked;
mod certificates;
mod claims;
mod clock;
mod connections;
mod consents;
mod csv;
mod devices;
mod enrolment;
mod form;
mod freezes;
mod groups;
mod imports;
mod in_time;
mod input;
mod keys;
mod limits;
mod once;
mod openapi;
mod plans;
mod profiles;
mod registered;
mod releases;
mod rollouts;
mod roots;
mod sealed;
mod shared;
mod telemetry;
#[cfg(test)]
mod tests;
mod transfers;
mod updates;
mod uploads;
mod views;

pub(crate) use connections::{COLUMNS as CONNECTION_COLUMNS, line as connection_line};
pub(crate) use devices::{COLUMNS as DEVICE_COLUMNS, line as device_line};

use crate::http::{fault::Problem, refusal::Refusals};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    middleware,
    routing::get,
};
use fleet::Fleet;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use wire::FaultKind;

/// What a handler answers.
type Answer<T> = Result<T, Problem>;

/// Most bytes of a JSON body. Uploads stream past this limit.
const MAX_JSON: usize = 256 * 1024;

/// The whole REST face at `/api/v1` and the console's forms whose files it takes, to be merged inside the guard, which puts the caller into the
/// request's extensions, asks forms for the same origin, and answers what is not found here.
pub(super) fn faces(fleet: &Fleet, refusals: Refusals) -> Router {
    let limits = Arc::new(limits::Limits::new(fleet.clock().clone()));
    Router::new().nest("/api/v1", router(fleet.clone(), limits.clone())).merge(form::form(fleet.clone(), limits, refusals))
}

fn router(fleet: Fleet, limits: Arc<limits::Limits>) -> Router {
    let (routes, document) = routes().split_for_parts();
    let document: Arc<str> = openapi::finish(document).into();
    routes
        .layer(middleware::from_fn_with_state(fleet.clone(), once::once))
        .layer(middleware::from_fn_with_state(limits, limits::limit))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .layer(middleware::from_fn_with_state(in_time::LONGEST, in_time::in_time))
        .with_state(fleet)
        .route("/openapi.json", get(move || async move { ([(header::CONTENT_TYPE, "application/json")], document.to_string()) }))
        .method_not_allowed_fallback(async || {
            Problem::new(FaultKind::Invalid, "method_not_allowed", "This path does not take this method. See /api/v1/openapi.json.")
                .under(StatusCode::METHOD_NOT_ALLOWED)
        })
}

/// The OpenAPI document, for tests of what has to agree with it.
#[cfg(test)]
pub(crate) fn contract() -> serde_json::Value {
    serde_json::from_str(&openapi::finish(routes().split_for_parts().1)).expect("it is JSON")
}

fn routes() -> OpenApiRouter<Fleet> {
    openapi::start()
        .merge(uploads::routes())
        .merge(releases::routes())
        .merge(transfers::routes())
        .merge(keys::routes())
        .merge(devices::routes())
        .merge(imports::routes())
        .merge(connections::routes())
        .merge(updates::routes())
        .merge(groups::routes())
        .merge(views::routes())
        .merge(telemetry::routes())
        .merge(rollouts::routes())
        .merge(plans::routes())
        .merge(freezes::routes())
        .merge(approvals::routes())
        .merge(enrolment::routes())
        .merge(batches::routes())
        .merge(claims::routes())
        .merge(shared::routes())
        .merge(certificates::routes())
        .merge(profiles::routes())
        .merge(blocked::routes())
        .merge(authorities::routes())
        .merge(consents::routes())
        .merge(clock::routes())
        .merge(registered::routes())
        .merge(roots::routes())
        .merge(audit::routes())
}

//! Two people for what concerns authorities: asked for, approved, rejected, taken back; the rule, and what they have agreed to about keys for devices.

use super::{
    Answer,
    input::{Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    consents::{AskConsent, ConsentRow, ConsentsPage},
    ids::{ConsentId, Digest},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list, ask))
        .routes(routes!(read))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(withdraw))
        .routes(routes!(rule))
        .routes(routes!(server_keys))
}

/// Requests for a second person: what waits with what it would do, what became of others, and whether two people are asked for
#[utoipa::path(
    get, path = "/authorities/requests", operation_id = "list_authority_requests", tag = "authorities",
    responses((status = OK, body = ConsentsPage), Refusals)
)]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<ConsentsPage>> {
    Ok(Json(fleet.pki().consents_page(&actor).await?))
}

/// Ask another admin: it is done when they approve, within 24 hours
#[utoipa::path(
    post, path = "/authorities/requests", operation_id = "ask_authority_request", tag = "authorities", request_body = AskConsent,
    responses((status = CREATED, body = ConsentRow), Refusals)
)]
async fn ask(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(ask): Sent<AskConsent>) -> Answer<(StatusCode, Json<ConsentRow>)> {
    Ok((StatusCode::CREATED, Json(fleet.pki().ask_consent(&actor, ask).await?)))
}

/// One request
#[utoipa::path(
    get, path = "/authorities/requests/{id}", operation_id = "read_authority_request", tag = "authorities", params(("id" = ConsentId, Path)),
    responses((status = OK, body = ConsentRow), Refusals)
)]
async fn read(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ConsentId>) -> Answer<Json<ConsentRow>> {
    Ok(Json(fleet.pki().consent(&actor, &id).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// The digest of the request, as it was read.
    digest: Digest,
    /// Why, in 1 to 500 characters.
    remark: String,
}

/// Approve what this digest says, and have it done; not one's own request
#[utoipa::path(
    post, path = "/authorities/requests/{id}/approve", operation_id = "approve_authority_request", tag = "authorities",
    params(("id" = ConsentId, Path)), request_body = Approval, responses((status = OK, body = ConsentRow), Refusals)
)]
async fn approve(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<ConsentId>,
    Sent(sent): Sent<Approval>,
) -> Answer<Json<ConsentRow>> {
    Ok(Json(fleet.pki().approve_consent(&actor, &id, &sent.digest, &sent.remark).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Rejection {
    /// Why, in 1 to 500 characters.
    remark: String,
}

/// Reject it; nothing happens
#[utoipa::path(
    post, path = "/authorities/requests/{id}/reject", operation_id = "reject_authority_request", tag = "authorities",
    params(("id" = ConsentId, Path)), request_body = Rejection, responses((status = OK, body = ConsentRow), Refusals)
)]
async fn reject(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<ConsentId>,
    Sent(sent): Sent<Rejection>,
) -> Answer<Json<ConsentRow>> {
    Ok(Json(fleet.pki().reject_consent(&actor, &id, &sent.remark).await?))
}

/// Take one's own request back
#[utoipa::path(
    post, path = "/authorities/requests/{id}/withdraw", operation_id = "withdraw_authority_request", tag = "authorities",
    params(("id" = ConsentId, Path)), responses((status = OK, body = ConsentRow), Refusals)
)]
async fn withdraw(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ConsentId>) -> Answer<Json<ConsentRow>> {
    Ok(Json(fleet.pki().withdraw_consent(&actor, &id).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Approvals {
    /// Whether two people decide. To let one be enough again takes two, once it is on: ask for `{"deed": "approvals_off"}`.
    on: bool,
}

/// Say whether two people decide on authorities
#[utoipa::path(
    post, path = "/authorities/approvals", operation_id = "set_authority_approvals", tag = "authorities", request_body = Approvals,
    responses((status = NO_CONTENT), Refusals)
)]
async fn rule(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(sent): Sent<Approvals>) -> Answer<StatusCode> {
    fleet.pki().set_approvals(&actor, sent.on).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ServerKeys {
    /// Whether keys are made for devices. To say so takes two people: ask for `{"deed": "server_keys"}`. That they are not made any more one admin may say.
    on: bool,
}

/// Where two people decide, say that no keys are made for devices any more
///
/// Refused where one person is enough on authorities: there the installation alone says whether keys are made (`allow_server_keygen`).
#[utoipa::path(
    post, path = "/authorities/server-keys", operation_id = "set_server_keys", tag = "authorities", request_body = ServerKeys,
    responses((status = NO_CONTENT), Refusals)
)]
async fn server_keys(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(sent): Sent<ServerKeys>) -> Answer<StatusCode> {
    fleet.pki().set_server_keys(&actor, sent.on).await?;
    Ok(StatusCode::NO_CONTENT)
}

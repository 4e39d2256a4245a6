//! Roots whose keys are kept elsewhere: what is to be done about them, requests for authorities, and the certificates and lists that come back. A root's
//! key itself never goes this way.

use super::{
    Answer,
    input::{Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::AuthorityId,
    page::Page,
    roots::{AuthorityRequest, BroughtCertificates, BroughtList, Imported, ListRequest, ListStanding, NewAuthorityRequest, RootDuty},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(duties))
        .routes(routes!(requests, request))
        .routes(routes!(withdraw))
        .routes(routes!(import))
        .routes(routes!(wanted))
        .routes(routes!(publish))
}

/// What is to be done about roots: keys to be taken away, lists and certificates to be signed where a key is
#[utoipa::path(get, path = "/root-duties", operation_id = "list_root_duties", tag = "authorities", responses((status = OK, body = Page<RootDuty>), Refusals))]
async fn duties(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<RootDuty>>> {
    Ok(Json(Page::whole(fleet.pki().root_duties(&actor).await?)))
}

/// Keys that wait for their certificate, with the requests to be signed
#[utoipa::path(
    get, path = "/authority-csrs", operation_id = "list_authority_csrs", tag = "authorities",
    responses((status = OK, body = Page<AuthorityRequest>), Refusals)
)]
async fn requests(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<AuthorityRequest>>> {
    Ok(Json(Page::whole(fleet.pki().authority_requests(&actor).await?)))
}

/// Make the key of the next authority here, and the request for its certificate; the same one while a request is open
#[utoipa::path(
    post, path = "/authority-csrs", operation_id = "create_authority_csr", tag = "authorities", request_body = NewAuthorityRequest,
    responses((status = CREATED, body = AuthorityRequest), Refusals)
)]
async fn request(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Sent(new): Sent<NewAuthorityRequest>,
) -> Answer<(StatusCode, Json<AuthorityRequest>)> {
    Ok((StatusCode::CREATED, Json(fleet.pki().request_authority(&actor, new).await?)))
}

/// Give a request up; its key is forgotten
#[utoipa::path(
    post, path = "/authority-csrs/{id}/withdraw", operation_id = "withdraw_authority_csr", tag = "authorities", params(("id" = AuthorityId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn withdraw(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<StatusCode> {
    fleet.pki().withdraw_authority_request(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bring back a certificate that was signed where the root's key is; a root of your own comes along
#[utoipa::path(
    post, path = "/authorities/import", operation_id = "import_authority", tag = "authorities", request_body = BroughtCertificates,
    responses((status = CREATED, body = Imported), Refusals)
)]
async fn import(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Sent(brought): Sent<BroughtCertificates>,
) -> Answer<(StatusCode, Json<Imported>)> {
    Ok((StatusCode::CREATED, Json(fleet.pki().import_authority(&actor, &brought.certificates).await?)))
}

/// What the next list of revoked certificates must say of a root whose key is not here
#[utoipa::path(
    get, path = "/authorities/{id}/list-request", operation_id = "read_list_request", tag = "authorities", params(("id" = AuthorityId, Path)),
    responses((status = OK, body = ListRequest), Refusals)
)]
async fn wanted(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<Json<ListRequest>> {
    Ok(Json(fleet.pki().list_request(&actor, &id).await?))
}

/// Publish a list of revoked certificates that was signed where the root's key is
#[utoipa::path(
    post, path = "/authorities/{id}/list", operation_id = "import_list", tag = "authorities", params(("id" = AuthorityId, Path)), request_body = BroughtList,
    responses((status = OK, body = ListStanding), Refusals)
)]
async fn publish(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<AuthorityId>,
    Sent(brought): Sent<BroughtList>,
) -> Answer<Json<ListStanding>> {
    Ok(Json(fleet.pki().import_list(&actor, &id, brought.list.as_bytes()).await?))
}

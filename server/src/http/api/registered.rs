//! Registered authorities: somebody else's, whose devices are believed once possession was proved.

use super::{
    Answer,
    input::{Named, Sent},
    openapi::Refusals,
};
use crate::http::{fault::Problem, guard::Caller};
use axum::{
    Json,
    body::{Body, to_bytes},
    extract::State,
    http::StatusCode,
};
use fleet::{Fleet, pki::registered::MAX_LIST_BYTES};
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    FaultKind,
    ids::AuthorityId,
    page::Page,
    registered::{JustInTimePolicy, ListAddress, NewRegisteredAuthority, PossessionProof, RegisteredAuthority},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list, register))
        .routes(routes!(read, remove))
        .routes(routes!(code))
        .routes(routes!(verify))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(bring_list))
        .routes(routes!(set_list_address))
        .routes(routes!(fetch_list))
}

/// Every registered authority, newest first
#[utoipa::path(
    get, path = "/registered-authorities", operation_id = "list_registered_authorities", tag = "registered authorities",
    responses((status = OK, body = Page<RegisteredAuthority>), Refusals)
)]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<RegisteredAuthority>>> {
    // Admins register each by hand.
    Ok(Json(Page::whole(fleet.pki().registered_authorities(&actor).await?)))
}

/// Register an authority by its certificate
///
/// The answer has the code that a verification certificate has to name. Until one was sent the authority is good for nothing. For a key that is registered
/// already, a certificate under the same name that ends later takes the place of the one before, and everything else stays as it is.
#[utoipa::path(
    post, path = "/registered-authorities", operation_id = "register_authority", tag = "registered authorities", request_body = NewRegisteredAuthority,
    responses((status = CREATED, body = RegisteredAuthority), Refusals)
)]
async fn register(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Sent(new): Sent<NewRegisteredAuthority>,
) -> Answer<(StatusCode, Json<RegisteredAuthority>)> {
    Ok((StatusCode::CREATED, Json(fleet.devices().register_authority(&actor, &new).await?)))
}

/// One registered authority
#[utoipa::path(
    get, path = "/registered-authorities/{id}", operation_id = "read_registered_authority", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    responses((status = OK, body = RegisteredAuthority), Refusals)
)]
async fn read(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<Json<RegisteredAuthority>> {
    Ok(Json(fleet.pki().registered_authority(&actor, &id).await?))
}

/// Remove a registered authority that has let no device in
#[utoipa::path(
    delete, path = "/registered-authorities/{id}", operation_id = "remove_registered_authority", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn remove(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<StatusCode> {
    fleet.pki().remove_authority(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make another verification code
#[utoipa::path(
    post, path = "/registered-authorities/{id}/code", operation_id = "renew_verification_code", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    responses((status = OK, body = RegisteredAuthority), Refusals)
)]
async fn code(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<Json<RegisteredAuthority>> {
    Ok(Json(fleet.pki().renew_verification_code(&actor, &id).await?))
}

/// Prove that the authority's key is held: a certificate that names the code and that the authority has signed itself
#[utoipa::path(
    post, path = "/registered-authorities/{id}/verify", operation_id = "verify_authority", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    request_body = PossessionProof, responses((status = OK, body = RegisteredAuthority), Refusals)
)]
async fn verify(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<AuthorityId>,
    Sent(proof): Sent<PossessionProof>,
) -> Answer<Json<RegisteredAuthority>> {
    Ok(Json(fleet.pki().verify_authority(&actor, &id, proof.certificate.trim().as_bytes()).await?))
}

/// Believe a verified authority's devices, new ones as the policy says; of an active one, change the policy
#[utoipa::path(
    post, path = "/registered-authorities/{id}/enable", operation_id = "enable_authority", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    request_body = JustInTimePolicy, responses((status = OK, body = RegisteredAuthority), Refusals)
)]
async fn enable(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<AuthorityId>,
    Sent(policy): Sent<JustInTimePolicy>,
) -> Answer<Json<RegisteredAuthority>> {
    Ok(Json(fleet.devices().enable_authority(&actor, &id, policy).await?))
}

/// Believe an authority's devices no longer: their connections are closed within a second
#[utoipa::path(
    post, path = "/registered-authorities/{id}/disable", operation_id = "disable_authority", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    responses((status = OK, body = RegisteredAuthority), Refusals)
)]
async fn disable(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<Json<RegisteredAuthority>> {
    Ok(Json(fleet.pki().disable_authority(&actor, &id).await?))
}

/// Bring the authority's list of revoked certificates, DER or PEM, at most 10 MiB
///
/// It has to be signed by the authority's key and be its whole list. What is on it is refused, and live connections by it are closed, within a second; the
/// next list takes its place, with a greater number and no earlier time. Bringing the same one again changes nothing. `ended_list` of the policy says what
/// holds when it has ended for more than a day.
#[utoipa::path(
    put, path = "/registered-authorities/{id}/list", operation_id = "bring_registered_list", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    request_body(content = Vec<u8>, content_type = "application/pkix-crl"), responses((status = OK, body = RegisteredAuthority), Refusals)
)]
async fn bring_list(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<AuthorityId>,
    body: Body,
) -> Answer<Json<RegisteredAuthority>> {
    let list = to_bytes(body, MAX_LIST_BYTES).await;
    let list = list.map_err(|_| Problem::new(FaultKind::TooLarge, "list_too_large", "The list is larger than 10 MiB."))?;
    Ok(Json(fleet.pki().bring_list(&actor, &id, list.to_vec()).await?))
}

/// Say where the authority's list of revoked certificates is fetched
///
/// It is asked at once, every hour, and before the list ends; after a failure sooner, each time twice as long after the time before. What comes passes the same
/// checks as a list that is brought. `list_address` of the authority says what came of it. An empty address ends it.
#[utoipa::path(
    put, path = "/registered-authorities/{id}/list-address", operation_id = "set_registered_list_address", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    request_body = ListAddress, responses((status = OK, body = RegisteredAuthority), Refusals)
)]
async fn set_list_address(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<AuthorityId>,
    Sent(address): Sent<ListAddress>,
) -> Answer<Json<RegisteredAuthority>> {
    Ok(Json(fleet.pki().set_list_address(&actor, &id, &address.url).await?))
}

/// Fetch the authority's list of revoked certificates now, from the address that is named for it
///
/// Answered at once; `list_address` of the authority says what came of it. Refused with `429` and `Retry-After` when the address was asked within the last ten
/// seconds.
#[utoipa::path(
    post, path = "/registered-authorities/{id}/fetch-list", operation_id = "fetch_registered_list", tag = "registered authorities", params(("id" = AuthorityId, Path)),
    responses((status = OK, body = RegisteredAuthority), Refusals)
)]
async fn fetch_list(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<Json<RegisteredAuthority>> {
    Ok(Json(fleet.pki().fetch_list_now(&actor, &id).await?))
}

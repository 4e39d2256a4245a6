//! Authorities: listed, one generation after another, and the trust bundle that devices hold of them.

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
    ids::AuthorityId,
    page::Page,
    pki::{AuthorityDetail, AuthorityRow, AuthorityUse, BundleReach, ComingBack, LeftBehind, ListedAuthority, TrustBundle},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list, stage))
        .routes(routes!(read))
        .routes(routes!(activate))
        .routes(routes!(retire))
        .routes(routes!(compromise))
        .routes(routes!(clear))
        .routes(routes!(thaw_tokens))
        .routes(routes!(recover_devices))
        .routes(routes!(bundle))
        .routes(routes!(reach))
}

/// Authorities, the root first
#[utoipa::path(get, path = "/authorities", operation_id = "list_authorities", tag = "authorities", responses((status = OK, body = Page<ListedAuthority>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<ListedAuthority>>> {
    Ok(Json(Page::whole(fleet.pki().listed_authorities(&actor).await?)))
}

/// One authority: what hangs on it, its chain, and what can be done with it
#[utoipa::path(
    get, path = "/authorities/{id}", operation_id = "read_authority", tag = "authorities", params(("id" = AuthorityId, Path)),
    responses((status = OK, body = AuthorityDetail), Refusals)
)]
async fn read(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<Json<AuthorityDetail>> {
    Ok(Json(fleet.pki().authority(&actor, &id).await?))
}

/// What devices are to trust now
#[utoipa::path(get, path = "/trust-bundle", operation_id = "read_trust_bundle", tag = "authorities", responses((status = OK, body = TrustBundle), Refusals))]
async fn bundle(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<TrustBundle>> {
    Ok(Json(TrustBundle::clone(&*fleet.pki().read_trust_bundle(&actor)?)))
}

/// How many active devices hold the newest trust bundle
#[utoipa::path(get, path = "/trust-bundle/reach", operation_id = "read_trust_bundle_reach", tag = "authorities", responses((status = OK, body = BundleReach), Refusals))]
async fn reach(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<BundleReach>> {
    Ok(Json(fleet.pki().bundle_reach(&actor).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NextAuthority {
    /// What it will issue to.
    kind: AuthorityUse,
}

/// Make the next authority: believed at once, issuing when it is activated
///
/// One for claims issues at once. It is made only where there is none that lives long enough for the next claim, and that one is the answer otherwise.
#[utoipa::path(
    post, path = "/authorities", operation_id = "stage_authority", tag = "authorities", request_body = NextAuthority,
    responses(
        (status = CREATED, body = AuthorityRow),
        (status = OK, description = "There is one for claims already", body = AuthorityRow),
        Refusals
    )
)]
async fn stage(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Sent(next): Sent<NextAuthority>,
) -> Answer<(StatusCode, Json<AuthorityRow>)> {
    let (authority, made) = match next.kind {
        AuthorityUse::Claim => fleet.pki().make_claim_authority(&actor).await?,
        other => (fleet.pki().stage_authority(&actor, other).await?, true),
    };
    Ok((if made { StatusCode::CREATED } else { StatusCode::OK }, Json(authority)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Activation {
    /// A root only: also while fewer than 99 in 100 active devices hold the trust bundle that it is in.
    #[serde(default)]
    force: bool,
}

/// Let a staged authority issue: its predecessor is retiring from then on, and devices are told to renew
#[utoipa::path(
    post, path = "/authorities/{id}/activate", operation_id = "activate_authority", tag = "authorities", params(("id" = AuthorityId, Path)), request_body = Activation,
    responses((status = NO_CONTENT), Refusals)
)]
async fn activate(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<AuthorityId>,
    Sent(activation): Sent<Activation>,
) -> Answer<StatusCode> {
    fleet.pki().activate_authority(&actor, &id, activation.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Retirement {
    /// Also while certificates of it are in use, whose connections are closed, or while devices don't hold the root that follows it.
    #[serde(default)]
    force: bool,
}

/// Stop believing an authority that does not issue any more
#[utoipa::path(
    post, path = "/authorities/{id}/retire", operation_id = "retire_authority", tag = "authorities", params(("id" = AuthorityId, Path)), request_body = Retirement,
    responses((status = NO_CONTENT), Refusals)
)]
async fn retire(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<AuthorityId>,
    Sent(retirement): Sent<Retirement>,
) -> Answer<StatusCode> {
    fleet.pki().retire_authority(&actor, &id, retirement.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give up an authority whose key somebody else may have: connections that use it are closed, and nothing of it is believed again
#[utoipa::path(
    post, path = "/authorities/{id}/compromise", operation_id = "compromise_authority", tag = "authorities", params(("id" = AuthorityId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn compromise(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<StatusCode> {
    fleet.pki().compromise_authority(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say that the alarm about a certificate that was never issued here was looked at
#[utoipa::path(
    delete, path = "/authorities/{id}/alarm", operation_id = "clear_authority_alarm", tag = "authorities", params(("id" = AuthorityId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn clear(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<StatusCode> {
    fleet.pki().clear_alarm(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let enrolment tokens and claims count again that were frozen when this authority was given up
#[utoipa::path(
    post, path = "/authorities/{id}/thaw-tokens", operation_id = "thaw_tokens", tag = "authorities", params(("id" = AuthorityId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn thaw_tokens(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<AuthorityId>) -> Answer<StatusCode> {
    fleet.pki().thaw_tokens(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let the devices of an authority that was given up or retired come back by the keys they have, over the enrol listener; or end that
#[utoipa::path(
    post, path = "/authorities/{id}/recover-devices", operation_id = "recover_devices", tag = "authorities", params(("id" = AuthorityId, Path)), request_body = ComingBack,
    responses((status = OK, body = LeftBehind), Refusals)
)]
async fn recover_devices(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<AuthorityId>,
    Sent(way): Sent<ComingBack>,
) -> Answer<Json<LeftBehind>> {
    Ok(Json(LeftBehind { devices: fleet.pki().recover_devices(&actor, &id, way).await? }))
}

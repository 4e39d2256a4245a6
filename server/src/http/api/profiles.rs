//! Profiles: kinds of device certificates that an organization has named.

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
    page::Page,
    pki::{CertificateProfile, ProfileRules},
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(set, remove))
}

/// Every certificate profile, by name
#[utoipa::path(
    get, path = "/certificate-profiles", operation_id = "list_certificate_profiles", tag = "certificates",
    responses((status = OK, body = Page<CertificateProfile>), Refusals)
)]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<CertificateProfile>>> {
    // Admins set each by hand.
    Ok(Json(Page::whole(fleet.pki().profiles(&actor).await?)))
}

/// Make a certificate profile of this name, or change it
///
/// What is issued from now on follows it, renewals too.
#[utoipa::path(
    put, path = "/certificate-profiles/{name}", operation_id = "set_certificate_profile", tag = "certificates", params(("name" = String, Path)),
    request_body = ProfileRules, responses((status = NO_CONTENT), Refusals)
)]
async fn set(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(name): Named<String>,
    Sent(rules): Sent<ProfileRules>,
) -> Answer<StatusCode> {
    fleet.pki().set_profile(&actor, &name, rules).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a certificate profile that no active certificate is of, and nothing that may still give one
///
/// Tokens, claims, batches that are under way, and the setting for devices without a token may.
#[utoipa::path(
    delete, path = "/certificate-profiles/{name}", operation_id = "remove_certificate_profile", tag = "certificates",
    params(("name" = String, Path)), responses((status = NO_CONTENT), Refusals)
)]
async fn remove(State(fleet): State<Fleet>, Caller(actor): Caller, Named(name): Named<String>) -> Answer<StatusCode> {
    fleet.pki().remove_profile(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

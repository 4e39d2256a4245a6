//! Certificates: listed, looked at, downloaded, revoked.

use super::{
    Answer,
    input::{Asked, Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::{AuthorityId, CertificateId},
    page::Page,
    pki::{CertificateDetail, CertificateQuery, CertificateRow, CertificateSort, IdentityRules, Revocation, RevokedCertificate},
    states::CertificateState,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(detail))
        .routes(routes!(pem))
        .routes(routes!(der))
        .routes(routes!(revoke))
        .routes(routes!(rules, set_rules))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// A part of the device's id, or the beginning of the serial number or of the fingerprint in hex.
    #[serde(default)]
    q: String,
    /// Only those in this state.
    state: Option<CertificateState>,
    /// Only what ends in this week from now on, 0 being the next seven days, and has no successor in use.
    week: Option<u32>,
    /// Only what ends within so many days, and has no successor in use.
    within: Option<u32>,
    /// Only those of this authority; unless a state or a time is asked for, of these only what is in use and has no successor in use: what depends on it.
    #[param(value_type = Option<String>)]
    authority: Option<AuthorityId>,
    /// `end`, `device` or `revoked`; `-` in front reverses. What ends first is in front unless it is given; in the order of revocation only revoked ones are listed.
    #[param(value_type = Option<String>)]
    sort: Option<CertificateSort>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// Certificates, those that end first in front unless another order is asked for
#[utoipa::path(get, path = "/certificates", operation_id = "list_certificates", tag = "certificates", params(Listing), responses((status = OK, body = Page<CertificateRow>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Listing>) -> Answer<Json<Page<CertificateRow>>> {
    let Listing { q, state, week, within, authority, sort, cursor, rows } = asked;
    let query = CertificateQuery { q, week, within, state, authority, sort, cursor, rows };
    Ok(Json(fleet.pki().certificates_page(&actor, &query).await?.certificates))
}

/// One certificate: what is written in it, where it stands, and its chain
#[utoipa::path(
    get, path = "/certificates/{id}", operation_id = "get_certificate", tag = "certificates", params(("id" = CertificateId, Path)),
    responses((status = OK, body = CertificateDetail), Refusals)
)]
async fn detail(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<CertificateId>) -> Answer<Json<CertificateDetail>> {
    Ok(Json(fleet.pki().certificate(&actor, &id).await?))
}

/// A certificate as PEM
#[utoipa::path(
    get, path = "/certificates/{id}/pem", operation_id = "download_certificate_pem", tag = "certificates", params(("id" = CertificateId, Path)),
    responses((status = OK, content_type = "application/x-pem-file", body = String), Refusals)
)]
async fn pem(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<CertificateId>) -> Answer<Response> {
    let found = fleet.pki().certificate(&actor, &id).await?;
    Ok(file(
        "application/x-pem-file",
        &format!("{}-{}.pem", found.row.device_id, found.row.serial.get(..8).unwrap_or_default()),
        found.pem.into_bytes(),
    ))
}

/// A certificate as DER
#[utoipa::path(
    get, path = "/certificates/{id}/der", operation_id = "download_certificate_der", tag = "certificates", params(("id" = CertificateId, Path)),
    responses((status = OK, content_type = "application/pkix-cert", body = Vec<u8>), Refusals)
)]
async fn der(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<CertificateId>) -> Answer<Response> {
    Ok(file("application/pkix-cert", &format!("{id}.cer"), fleet.pki().certificate_der(&actor, &id).await?))
}

/// A download under this name (RFC 6266). Names here are made of ids and hex, which need no quoting.
fn file(media: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let saved = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, media.to_owned()), (header::CONTENT_DISPOSITION, saved)], bytes).into_response()
}

/// Revoke a certificate: connections that use it are closed within a second
///
/// Said a second time it is answered in the same way, and changes nothing: the first reason, date and note stand. With another reason it is refused with
/// 409 `already_revoked`, and says when and for what it was revoked. Only `key_compromise` may follow another reason: it takes its place, the date of the
/// revocation stays, and the key is never taken again. With `key_compromise` the organization's other certificates for the same key are revoked as well.
/// One that its successor has superseded was revoked for that: so it is on the list of revoked certificates.
#[utoipa::path(
    post, path = "/certificates/{id}/revoke", operation_id = "revoke_certificate", tag = "certificates", params(("id" = CertificateId, Path)), request_body = Revocation,
    responses((status = OK, body = RevokedCertificate), Refusals)
)]
async fn revoke(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<CertificateId>,
    Sent(revocation): Sent<Revocation>,
) -> Answer<Json<RevokedCertificate>> {
    Ok(Json(fleet.pki().revoke(&actor, &id, revocation).await?))
}

/// What holds for clones, keys at renewal, and certificates that have ended
#[utoipa::path(get, path = "/certificate-rules", operation_id = "get_certificate_rules", tag = "certificates", responses((status = OK, body = IdentityRules), Refusals))]
async fn rules(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<IdentityRules>> {
    Ok(Json(fleet.pki().rules(&actor).await?.rules))
}

/// Change what holds for clones, keys at renewal, and certificates that have ended
#[utoipa::path(
    put, path = "/certificate-rules", operation_id = "set_certificate_rules", tag = "certificates", request_body = IdentityRules,
    responses((status = NO_CONTENT), Refusals)
)]
async fn set_rules(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(rules): Sent<IdentityRules>) -> Answer<StatusCode> {
    fleet.pki().set_rules(&actor, rules).await?;
    Ok(StatusCode::NO_CONTENT)
}

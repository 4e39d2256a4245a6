//! Certificates: listed, revoked.

use super::{
    Answer,
    input::{Asked, Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::CertificateId,
    page::Page,
    pki::{CertificateQuery, CertificateRow, RevocationReason},
    states::CertificateState,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(revoke))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// Only those in this state.
    state: Option<CertificateState>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// Certificates, those that end first in front
#[utoipa::path(get, path = "/certificates", operation_id = "list_certificates", tag = "certificates", params(Listing), responses((status = OK, body = Page<CertificateRow>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Listing>) -> Answer<Json<Page<CertificateRow>>> {
    let query = CertificateQuery { state: asked.state, cursor: asked.cursor, rows: asked.rows };
    Ok(Json(fleet.pki().certificates_page(&actor, &query).await?.certificates))
}

#[derive(Deserialize, utoipa::ToSchema)]
struct Revocation {
    /// Why (RFC 5280 §5.3.1).
    #[serde(default = "unspecified")]
    reason: RevocationReason,
}

const fn unspecified() -> RevocationReason {
    RevocationReason::Unspecified
}

/// Revoke a certificate: connections that use it are closed within a second
#[utoipa::path(
    post, path = "/certificates/{id}/revoke", operation_id = "revoke_certificate", tag = "certificates", params(("id" = CertificateId, Path)), request_body = Revocation,
    responses((status = NO_CONTENT), Refusals)
)]
async fn revoke(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<CertificateId>,
    Sent(revocation): Sent<Revocation>,
) -> Answer<StatusCode> {
    fleet.pki().revoke(&actor, &id, revocation.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! Shared secrets of hawkBit's clients: the switch, gateway tokens, and a device's target token.

use super::{
    Answer,
    input::{Named, Sent},
    once::Secret,
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Extension, Json, extract::State, http::StatusCode, response::IntoResponse};
use fleet::Fleet;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    enrolment::{CreatedGatewayToken, CreatedTargetToken, GatewayToken, NewGatewayToken, NewTargetToken, SharedSecretSettings},
    ids::{DeviceId, GatewayTokenId},
    page::Page,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(settings, set)).routes(routes!(list, create)).routes(routes!(revoke)).routes(routes!(give, take))
}

/// Whether target and gateway tokens are taken
#[utoipa::path(get, path = "/shared-secret-settings", operation_id = "get_shared_secret_settings", tag = "enrolment", responses((status = OK, body = SharedSecretSettings), Refusals))]
async fn settings(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<SharedSecretSettings>> {
    Ok(Json(fleet.devices().shared_secrets(&actor).await?.settings))
}

/// Take target and gateway tokens, or no longer
///
/// A token is a shared secret, not an identity: whoever copies it speaks for the device. Devices that have a certificate are never spoken for by one.
#[utoipa::path(
    put, path = "/shared-secret-settings", operation_id = "set_shared_secret_settings", tag = "enrolment", request_body = SharedSecretSettings,
    responses((status = OK, body = SharedSecretSettings), Refusals)
)]
async fn set(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Sent(wanted): Sent<SharedSecretSettings>,
) -> Answer<Json<SharedSecretSettings>> {
    fleet.devices().set_shared_secrets(&actor, wanted).await?;
    Ok(Json(wanted))
}

/// Gateway tokens, newest first
#[utoipa::path(get, path = "/gateway-tokens", operation_id = "list_gateway_tokens", tag = "enrolment", responses((status = OK, body = Page<GatewayToken>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<GatewayToken>>> {
    // Admins make each by hand, a gateway or a hall of them at a time.
    Ok(Json(Page::whole(fleet.devices().shared_secrets(&actor).await?.gateways)))
}

/// Make a gateway token: it speaks for every device of the organization that has no certificate
///
/// Its secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/gateway-tokens", operation_id = "create_gateway_token", tag = "enrolment", request_body = NewGatewayToken,
    responses((status = CREATED, body = CreatedGatewayToken), Refusals)
)]
async fn create(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewGatewayToken>) -> Answer<impl IntoResponse> {
    let created = fleet.devices().create_gateway_token(&actor, &new).await?;
    Ok((StatusCode::CREATED, Extension(Secret), Json(created)))
}

/// Revoke a gateway token; devices that it announced stay
#[utoipa::path(
    delete, path = "/gateway-tokens/{id}", operation_id = "revoke_gateway_token", tag = "enrolment", params(("id" = GatewayTokenId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn revoke(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<GatewayTokenId>) -> Answer<StatusCode> {
    fleet.devices().revoke_gateway_token(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a device's target token, in the place of the one it has
///
/// A device that is not there is preregistered, with the type and hardware of the body, and active with its first word. A device whose certificate was
/// revoked is let back in by it, which is in the audit log as `device.readmit`. The secret is in this answer and nowhere else.
#[utoipa::path(
    post, path = "/devices/{device_id}/target-token", operation_id = "create_target_token", tag = "devices", params(("device_id" = DeviceId, Path)),
    request_body = NewTargetToken, responses((status = CREATED, body = CreatedTargetToken), Refusals)
)]
async fn give(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<DeviceId>,
    Sent(new): Sent<NewTargetToken>,
) -> Answer<impl IntoResponse> {
    let created = fleet.devices().create_target_token(&actor, &id, &new).await?;
    Ok((StatusCode::CREATED, Extension(Secret), Json(created)))
}

/// Revoke a device's target token
#[utoipa::path(
    delete, path = "/devices/{device_id}/target-token", operation_id = "revoke_target_token", tag = "devices", params(("device_id" = DeviceId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn take(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<StatusCode> {
    fleet.devices().drop_target_token(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

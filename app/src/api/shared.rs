//! Shared secrets of hawkBit's clients: target tokens, gateway tokens, and the switch.

use super::fault::ApiFault;
use leptos::prelude::*;
use wire::enrolment::{CreatedGatewayToken, CreatedTargetToken};

/// Lets shared secrets speak for devices, or no longer; `newcomers` lets gateways announce devices that nobody knows.
#[server(prefix = "/rpc", endpoint = "/shared_secrets")]
pub async fn set_shared_secrets(tokens: bool, newcomers: bool) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let wanted = wire::enrolment::SharedSecretSettings { tokens, newcomers };
    call.answer(call.fleet.devices().set_shared_secrets(&call.actor, wanted).await)?;
    call.lead_to("/enrolment?tab=hawkbit");
    Ok(())
}

/// Makes a gateway token.
#[server(prefix = "/rpc", endpoint = "/gateway_token_new")]
pub async fn create_gateway_token(label: String, #[server(default)] device_type: String) -> Result<CreatedGatewayToken, ApiFault> {
    let call = super::caller::caller()?;
    let new = wire::enrolment::NewGatewayToken { label, device_type };
    let made = call.answer(call.fleet.devices().create_gateway_token(&call.actor, &new).await)?;
    call.hand_over("/enrolment", made.token.id.as_str(), &made.secret);
    Ok(made)
}

/// Revokes a gateway token; devices that it announced stay.
#[server(prefix = "/rpc", endpoint = "/gateway_token_revoke")]
pub async fn revoke_gateway_token(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::GatewayTokenId = call.id(&id)?;
    call.answer(call.fleet.devices().revoke_gateway_token(&call.actor, &id).await)?;
    call.lead_to("/enrolment?tab=hawkbit");
    Ok(())
}

/// Makes a device's target token in the place of the one it has; a device that is not there is preregistered.
#[server(prefix = "/rpc", endpoint = "/target_token_new")]
pub async fn create_target_token(
    device: String,
    #[server(default)] device_type: String,
    #[server(default)] hardware: String,
) -> Result<CreatedTargetToken, ApiFault> {
    let call = super::caller::caller()?;
    // It is a name that somebody has just thought of, so it can be wrong; in an address it would name nothing.
    let unfit =
        |bad: wire::ids::BadId| wire::Fault::new(wire::FaultKind::Invalid, "bad_device_id", format!("Use {}.", bad.expected)).at("device");
    let id: wire::ids::DeviceId = device.trim().parse().map_err(|bad| call.refuse(unfit(bad).into()))?;
    let new = wire::enrolment::NewTargetToken { device_type, hardware };
    let made = call.answer(call.fleet.devices().create_target_token(&call.actor, &id, &new).await)?;
    // It belongs to a device, whose name may hold what a cookie's id may not.
    call.hand_over("/enrolment", TARGET, &format!("{}/{}", made.secret, made.device_id));
    Ok(made)
}

/// Takes a device's target token away.
#[server(prefix = "/rpc", endpoint = "/target_token_revoke")]
pub async fn drop_target_token(device: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::DeviceId = call.id(&device)?;
    call.answer(call.fleet.devices().drop_target_token(&call.actor, &id).await)?;
    call.lead_to(&format!("/devices/{id}/certificates"));
    Ok(())
}

/// What the cookie of a target token's secret names.
#[cfg(feature = "ssr")]
const TARGET: &str = "target";

/// The target token behind such a cookie.
#[cfg(feature = "ssr")]
pub(super) fn target_again(id: &str, secret: &str) -> Option<CreatedTargetToken> {
    let (secret, device) = secret.split_once('/').filter(|_| id == TARGET)?;
    Some(CreatedTargetToken { device_id: device.parse().ok()?, secret: secret.to_owned() })
}

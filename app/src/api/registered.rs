//! Registered authorities: registered, proved, enabled under a policy, disabled, removed.

#![expect(
    clippy::too_many_arguments,
    reason = "a server function has one for each input of its form, and its macro writes another such function"
)]

use super::fault::ApiFault;
use leptos::prelude::*;
use wire::{
    ids::AuthorityId,
    registered::{JustInTime, RegisteredAuthority},
};

/// The address of a registered authority's page.
pub fn own_authority(id: &AuthorityId) -> String {
    format!("/enrolment?tab=own&ca={id}")
}

/// Registers an authority by its certificate, PEM.
#[server(prefix = "/rpc", endpoint = "/registered_authority_new")]
pub async fn register_authority(label: String, certificate: String) -> Result<RegisteredAuthority, ApiFault> {
    let call = super::caller::caller()?;
    let new = wire::registered::NewRegisteredAuthority { label, certificate };
    let made = call.answer(call.fleet.devices().register_authority(&call.actor, &new).await)?;
    call.lead_to(&own_authority(&made.id));
    Ok(made)
}

/// Makes another verification code.
#[server(prefix = "/rpc", endpoint = "/registered_authority_code")]
pub async fn renew_verification_code(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().renew_verification_code(&call.actor, &id).await)?;
    call.lead_to(&own_authority(&id));
    Ok(())
}

/// Takes a verification certificate, PEM.
#[server(prefix = "/rpc", endpoint = "/registered_authority_verify")]
pub async fn verify_authority(id: String, certificate: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().verify_authority(&call.actor, &id, certificate.trim().as_bytes()).await)?;
    call.lead_to(&own_authority(&id));
    Ok(())
}

/// Believes its devices, new ones as these words say. `tags` are separated by blanks or commas; `groups` are ids or names.
#[server(prefix = "/rpc", endpoint = "/registered_authority_enable")]
pub async fn enable_authority(
    id: String,
    just_in_time: JustInTime,
    device_type: String,
    tags: String,
    #[server(default)] groups: Vec<String>,
    template: String,
    pattern: String,
    max_devices: i64,
    per_day: i64,
    #[server(default)] ended_list: String,
    #[server(default)] exchange: bool,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: AuthorityId = call.id(&id)?;
    let tags = wire::devices::words(&tags);
    // A word that is none closes.
    let ended_list = ended_list.parse().unwrap_or(wire::registered::EndedList::Closed);
    let policy = wire::registered::JustInTimePolicy {
        just_in_time,
        device_type,
        tags,
        groups,
        template,
        pattern,
        max_devices,
        per_day,
        ended_list,
        exchange,
    };
    call.answer(call.fleet.devices().enable_authority(&call.actor, &id, policy).await)?;
    call.lead_to(&own_authority(&id));
    Ok(())
}

/// Believes its devices no longer.
#[server(prefix = "/rpc", endpoint = "/registered_authority_disable")]
pub async fn disable_authority(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().disable_authority(&call.actor, &id).await)?;
    call.lead_to(&own_authority(&id));
    Ok(())
}

/// Takes its list of revoked certificates, PEM.
#[server(prefix = "/rpc", endpoint = "/registered_authority_list")]
pub async fn bring_list(id: String, list: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().bring_list(&call.actor, &id, list.trim().as_bytes().to_vec()).await)?;
    call.lead_to(&own_authority(&id));
    Ok(())
}

/// Says where its list is fetched; empty, that it is brought.
#[server(prefix = "/rpc", endpoint = "/registered_authority_list_address")]
pub async fn set_list_address(id: String, #[server(default)] url: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().set_list_address(&call.actor, &id, &url).await)?;
    call.lead_to(&own_authority(&id));
    Ok(())
}

/// Fetches its list now, from the address that is named for it.
#[server(prefix = "/rpc", endpoint = "/registered_authority_fetch_list")]
pub async fn fetch_list_now(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().fetch_list_now(&call.actor, &id).await)?;
    call.lead_to(&own_authority(&id));
    Ok(())
}

/// Removes one that has let no device in.
#[server(prefix = "/rpc", endpoint = "/registered_authority_remove")]
pub async fn remove_authority(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().remove_authority(&call.actor, &id).await)?;
    call.lead_to("/enrolment?tab=own");
    Ok(())
}

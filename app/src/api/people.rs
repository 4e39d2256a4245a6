//! People and API tokens.

use super::{fault::ApiFault, once::Shown, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};
use wire::{
    access::{CreatedApiToken, PeoplePage},
    states::Role,
};

/// The people page, and the API token that was just made by a form without JavaScript.
pub type PeopleModel = Shown<PeoplePage, CreatedApiToken>;

/// All the people page shows: a [`PeopleModel`].
#[server(prefix = "/rpc", endpoint = "/people", input = GetUrl)]
pub async fn read_people() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let waiting = super::once::waiting();
    let page = call.answer(call.fleet.access().people_page(&call.actor).await)?;
    let created = call.shown_once("/people", waiting, |id, secret| {
        let token = page.tokens.iter().find(|t| t.id.as_str() == id)?.clone();
        Some(CreatedApiToken { token, secret })
    });
    Packed::of(&PeopleModel { page, created })
}

/// Makes a login.
#[server(prefix = "/rpc", endpoint = "/user_new")]
pub async fn create_user(name: String, email: String, role: Role, password: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.access().create_user(&call.actor, &email, &name, role, &password).await)?;
    call.lead_to("/people");
    Ok(())
}

/// Gives a person another role.
#[server(prefix = "/rpc", endpoint = "/user_role")]
pub async fn set_user_role(id: String, role: Role) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::UserId = call.id(&id)?;
    call.answer(call.fleet.access().set_role(&call.actor, &id, role).await)?;
    call.lead_to("/people");
    Ok(())
}

/// Switches a login off and ends its sessions; `confirm` repeats its address.
#[server(prefix = "/rpc", endpoint = "/user_disable")]
pub async fn disable_user(id: String, #[server(default)] confirm: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::UserId = call.id(&id)?;
    let people = call.answer(call.fleet.access().people_page(&call.actor).await)?;
    if let Some(user) = people.users.iter().find(|u| u.id == id) {
        call.confirmed(&confirm, &user.email)?;
    }
    call.answer(call.fleet.access().disable_user(&call.actor, &id).await)?;
    call.lead_to("/people");
    Ok(())
}

/// Makes an API token that lives so many days.
#[server(prefix = "/rpc", endpoint = "/api_token_new")]
pub async fn create_api_token(name: String, role: Role, days: u32) -> Result<CreatedApiToken, ApiFault> {
    let call = super::caller::caller()?;
    let created = call.answer(call.fleet.access().create_token(&call.actor, &name, role, days).await)?;
    call.hand_over("/people", created.token.id.as_str(), &created.secret);
    Ok(created)
}

/// Revokes an API token at once.
#[server(prefix = "/rpc", endpoint = "/api_token_revoke")]
pub async fn revoke_api_token(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ApiTokenId = call.id(&id)?;
    call.answer(call.fleet.access().revoke_token(&call.actor, &id).await)?;
    call.lead_to("/people");
    Ok(())
}

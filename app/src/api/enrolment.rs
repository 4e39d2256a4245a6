//! Enrolment tokens.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};
use serde::{Deserialize, Serialize};
use wire::enrolment::{CreatedEnrolmentToken, EnrolmentPage};

/// The enrolment page, and the token that was just made by a form without JavaScript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnrolmentModel {
    /// The page.
    pub page: EnrolmentPage,
    /// Shown this once.
    pub created: Option<CreatedEnrolmentToken>,
}

/// All the enrolment page shows: an [`EnrolmentModel`].
#[server(prefix = "/rpc", endpoint = "/enrolment", input = GetUrl)]
pub async fn read_enrolment() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let (_, answer) = super::caller::anyone()?;
    let (cookies, _) = super::caller::browser();
    let created: Option<CreatedEnrolmentToken> = super::once::taken();
    let page = call.answer(call.fleet.devices().enrolment_page(&call.actor).await)?;
    if created.is_some() {
        super::once::forget(&answer, cookies, "/enrolment");
    }
    Packed::of(&EnrolmentModel { page, created })
}

/// Makes an enrolment token. `tags` are separated by blanks or commas.
#[server(prefix = "/rpc", endpoint = "/enrolment_token_new")]
pub async fn create_enrolment_token(
    label: String,
    pattern: String,
    device_type: String,
    tags: String,
    max_uses: i64,
    hours: i64,
) -> Result<CreatedEnrolmentToken, ApiFault> {
    let call = super::caller::caller()?;
    let (_, answer) = super::caller::anyone()?;
    let (cookies, _) = super::caller::browser();
    let tags = tags.split([',', ' ', '\n']).map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect();
    let new = wire::enrolment::NewEnrolmentToken { label, pattern, device_type, tags, max_uses, hours };
    let created = call.answer(call.fleet.devices().create_enrolment_token(&call.actor, new).await)?;
    super::once::hand_over(&answer, cookies, "/enrolment", &created);
    Ok(created)
}

/// Revokes an enrolment token; devices that used it stay.
#[server(prefix = "/rpc", endpoint = "/enrolment_token_revoke")]
pub async fn revoke_enrolment_token(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::EnrolmentTokenId = call.id(&id)?;
    call.answer(call.fleet.devices().revoke_enrolment_token(&call.actor, &id).await)?;
    call.lead_to("/enrolment");
    Ok(())
}

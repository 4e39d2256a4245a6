//! Enrolment tokens, devices that wait for a person, and batches.

#![expect(
    clippy::too_many_arguments,
    reason = "a server function has one for each input of its form, and its macro writes another such function"
)]

use super::{fault::ApiFault, once::Shown, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};
use serde::{Deserialize, Serialize};
use wire::enrolment::{CreatedClaim, CreatedEnrolmentToken, CreatedGatewayToken, CreatedTargetToken, EnrolmentMode, EnrolmentPage};
use wire::pki::RevocationReason;

/// The enrolment page, and what was just made by a form without JavaScript.
pub type EnrolmentModel = Shown<EnrolmentPage, Created>;

/// What holds a secret that is shown once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Created {
    /// A token.
    Token(CreatedEnrolmentToken),
    /// A claim of five minutes.
    Claim(CreatedClaim),
    /// A gateway's shared secret.
    Gateway(CreatedGatewayToken),
    /// A device's shared secret.
    Target(CreatedTargetToken),
}

/// All the enrolment page shows: an [`EnrolmentModel`]. `batch` and `import` are those that are asked about; empty means none. The list that `cur` is a cursor of
/// begins behind it.
#[server(prefix = "/rpc", endpoint = "/enrolment", input = GetUrl)]
pub async fn read_enrolment(
    #[server(default)] batch: String,
    #[server(default)] import: String,
    #[server(default)] cur: String,
) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let waiting = super::once::waiting();
    let mut page =
        call.answer(call.fleet.devices().enrolment_page_from(&call.actor, Some(cur.as_str()).filter(|c| !c.is_empty())).await)?;
    if !batch.is_empty() {
        let id: wire::ids::EnrolmentBatchId = call.id(&batch)?;
        page.batch = Some(call.answer(call.fleet.devices().batch_detail(&call.actor, &id).await)?);
    }
    if !import.is_empty() {
        let id: wire::ids::DeviceImportId = call.id(&import)?;
        page.import = Some(call.answer(call.fleet.devices().laid_import(&call.actor, &id).await)?);
    }
    let created = match waiting {
        Some(super::once::Waiting { id, secret }) => {
            let created = created(&call, &page, &id, secret).await?;
            call.take_once("/enrolment");
            created
        }
        None => None,
    };
    Packed::of(&EnrolmentModel { page, created })
}

/// What the id names, with its secret; a cookie that names nothing here shows nothing. An error when it can't be read now.
#[cfg(feature = "ssr")]
async fn created(call: &super::caller::Call, page: &EnrolmentPage, id: &str, secret: String) -> Result<Option<Created>, ApiFault> {
    let devices = call.fleet.devices();
    if let Some(token) = page.tokens.iter().find(|t| t.id.as_str() == id) {
        let keys = page.profiles.iter().find(|of| of.name == token.profile).map_or(&[][..], |of| of.keys.as_slice());
        let key = wire::enrolment::AgentKey::for_any_of(keys);
        return Ok(Some(Created::Token(devices.enrolment_card(token.clone(), secret, key))));
    }
    if let Some(token) = page.shared.gateways.iter().find(|t| t.id.as_str() == id) {
        return Ok(Some(Created::Gateway(CreatedGatewayToken { token: token.clone(), secret })));
    }
    if let Some(target) = super::shared::target_again(id, &secret) {
        return Ok(Some(Created::Target(target)));
    }
    let Ok(id) = id.parse::<wire::ids::ClaimId>() else { return Ok(None) };
    match devices.claim_again(&call.actor, &id, &secret).await.map_err(fleet::Error::from) {
        Ok(claim) => Ok(Some(Created::Claim(claim))),
        Err(e) if names_nothing(e.fault().kind) => Ok(None),
        Err(e) => call.answer(Err(e)),
    }
}

/// Whether this refusal stays one however often it is asked.
#[cfg(feature = "ssr")]
fn names_nothing(kind: wire::FaultKind) -> bool {
    matches!(kind, wire::FaultKind::NotFound | wire::FaultKind::Invalid | wire::FaultKind::Forbidden)
}

/// Makes an enrolment token. `tags` are separated by blanks or commas; `groups` are ids or names.
#[server(prefix = "/rpc", endpoint = "/enrolment_token_new")]
pub async fn create_enrolment_token(
    label: String,
    pattern: String,
    device_type: String,
    tags: String,
    max_uses: i64,
    hours: i64,
    #[server(default)] groups: Vec<String>,
    #[server(default)] mode: EnrolmentMode,
    #[server(default)] source: String,
    #[server(default)] spki_sha256: String,
    #[server(default)] csr_sha256: String,
    #[server(default)] profile: String,
) -> Result<CreatedEnrolmentToken, ApiFault> {
    let call = super::caller::caller()?;
    let tags = wire::devices::words(&tags);
    let new = wire::enrolment::NewEnrolmentToken {
        label,
        pattern,
        device_type,
        tags,
        groups,
        max_uses,
        hours,
        source,
        mode,
        spki_sha256,
        csr_sha256,
        profile,
    };
    let created = call.answer(call.fleet.devices().create_enrolment_token(&call.actor, new).await)?;
    call.hand_over("/enrolment", created.token.id.as_str(), &created.secret);
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

/// Lets a waiting device in; it gets its certificate the next time it asks.
#[server(prefix = "/rpc", endpoint = "/enrolment_approve")]
pub async fn approve_enrolment(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::EnrolmentRequestId = call.id(&id)?;
    call.answer(call.fleet.devices().approve_enrolment(&call.actor, &id).await)?;
    call.lead_to("/enrolment");
    Ok(())
}

/// Sends a waiting device away.
#[server(prefix = "/rpc", endpoint = "/enrolment_reject")]
pub async fn reject_enrolment(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::EnrolmentRequestId = call.id(&id)?;
    call.answer(call.fleet.devices().reject_enrolment(&call.actor, &id).await)?;
    call.lead_to("/enrolment");
    Ok(())
}

/// Lets devices without a token ask to join, or no longer; `profile` is that of their certificates, empty for none.
#[server(prefix = "/rpc", endpoint = "/enrolment_open")]
pub async fn open_enrolment(open: bool, #[server(default)] profile: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let to = wire::enrolment::EnrolmentSettings { open, profile };
    call.answer(call.fleet.devices().set_open_enrolment(&call.actor, &to).await)?;
    call.lead_to("/enrolment");
    Ok(())
}

/// Stops a batch; what was made stays.
#[server(prefix = "/rpc", endpoint = "/enrolment_batch_cancel")]
pub async fn cancel_batch(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::EnrolmentBatchId = call.id(&id)?;
    call.answer(call.fleet.devices().cancel_batch(&call.actor, &id).await)?;
    call.lead_to(&format!("/enrolment?tab=factory&batch={id}"));
    Ok(())
}

/// Revokes every certificate that a batch made, and those that they were renewed to. `confirm` is the batch's name.
#[server(prefix = "/rpc", endpoint = "/enrolment_batch_revoke")]
pub async fn revoke_batch(id: String, reason: RevocationReason, #[server(default)] confirm: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::EnrolmentBatchId = call.id(&id)?;
    let batch = call.answer(call.fleet.devices().batch(&call.actor, &id).await)?;
    call.confirmed(&confirm, &batch.label)?;
    call.answer(call.fleet.devices().revoke_batch(&call.actor, &id, reason).await)?;
    call.lead_to(&format!("/enrolment?tab=factory&batch={id}"));
    Ok(())
}

/// Imports a file of devices that was looked at; how many came in or were changed.
#[server(prefix = "/rpc", endpoint = "/import_run")]
pub async fn run_import(id: String) -> Result<i64, ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::DeviceImportId = call.id(&id)?;
    let outcome = call.answer(call.fleet.devices().run_laid_import(&call.actor, &id).await)?;
    call.lead_to(&format!("/enrolment?tab=import&import={id}"));
    Ok(outcome.touched())
}

/// Makes a claim of five minutes for the device that somebody stands at.
#[server(prefix = "/rpc", endpoint = "/claim_here")]
pub async fn create_claim_here(label: String, pattern: String, #[server(default)] profile: String) -> Result<CreatedClaim, ApiFault> {
    let call = super::caller::caller()?;
    let new = wire::enrolment::NewClaim::here(label, pattern, profile);
    let made = call.answer(call.fleet.devices().create_claim(&call.actor, new).await)?;
    // The certificate is read again; base64 of the key fits into a cookie.
    let key: String = made.key.lines().filter(|line| !line.starts_with('-')).collect();
    call.hand_over("/enrolment", made.claim.id.as_str(), &key);
    Ok(made)
}

/// Disables a claim; devices it let in stay.
#[server(prefix = "/rpc", endpoint = "/claim_disable")]
pub async fn disable_claim(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ClaimId = call.id(&id)?;
    call.answer(call.fleet.devices().disable_claim(&call.actor, &id).await)?;
    call.lead_to("/enrolment?tab=claim");
    Ok(())
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::names_nothing;
    use wire::FaultKind;

    #[test]
    fn a_secret_outlasts_what_can_not_be_read_now() {
        assert!(names_nothing(FaultKind::NotFound) && names_nothing(FaultKind::Invalid));
        assert!(!names_nothing(FaultKind::Busy) && !names_nothing(FaultKind::Internal));
    }
}

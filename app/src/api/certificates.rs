//! Certificates and authorities.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};
use wire::{
    pki::{AuthorityUse, CertificateQuery, RevocationReason},
    states::{AuthorityStep, ClonePolicy, RecoveryPolicy, RekeyPolicy},
};

/// A page of certificates, those that end first in front, and the authorities, as [`wire::pki::CertificatesPage`].
#[server(prefix = "/rpc", endpoint = "/certificates", input = GetUrl)]
pub async fn read_certificates(query: CertificateQuery) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.pki().certificates_page(&call.actor, &query).await)
}

/// One certificate: a [`wire::pki::CertificateDetail`].
#[server(prefix = "/rpc", endpoint = "/certificate", input = GetUrl)]
pub async fn read_certificate(id: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::CertificateId = call.id(&id)?;
    call.model(call.fleet.pki().certificate(&call.actor, &id).await)
}

/// Revokes a certificate for good; its device's connection is cut within a second. `confirm` repeats the device's id; `invalidity_date` is
/// `2026-11-22T09:57` in UTC, or empty. Leads to `back`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/certificate_revoke")]
pub async fn revoke_certificate(
    id: String,
    reason: RevocationReason,
    #[server(default)] confirm: String,
    #[server(default)] invalidity_date: String,
    #[server(default)] note: String,
    #[server(default)] back: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::CertificateId = call.id(&id)?;
    let device: wire::ids::DeviceId = confirm.trim().parse().map_err(|_| call.unconfirmed("the device's id"))?;
    // What was typed names a device; that one must have this certificate.
    let typed = call.fleet.device(&call.actor, &device).await.map_err(|_| call.unconfirmed("the device's id"))?;
    if typed.row.device_id != device || typed.certificates.iter().all(|c| c.id != id) {
        return Err(call.unconfirmed("the device's id"));
    }
    let invalidity_date = call.instant_if_any(&invalidity_date, "invalidity_date")?;
    call.answer(call.fleet.pki().revoke(&call.actor, &id, wire::pki::Revocation { reason, invalidity_date, note }).await)?;
    call.lead_to(super::session::local(&back, "/certificates"));
    Ok(())
}

/// What holds for the certificates of all devices: a [`wire::pki::RulesPage`].
#[server(prefix = "/rpc", endpoint = "/certificate_rules", input = GetUrl)]
pub async fn read_rules() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.pki().rules(&call.actor).await)
}

/// Changes it.
#[server(prefix = "/rpc", endpoint = "/certificate_rules_set")]
pub async fn set_rules(clones: ClonePolicy, rekey: RekeyPolicy, recovery: RecoveryPolicy, recovery_days: u32) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let rules = wire::pki::IdentityRules { clones, rekey, recovery, recovery_days };
    call.answer(call.fleet.pki().set_rules(&call.actor, rules).await)?;
    call.lead_to("/certificates/rules");
    Ok(())
}

/// Makes a certificate profile of this name, or changes it: one of a factory where its certificates hold for more than 825 days. `keys` are its types of keys,
/// none for every type; `rekey` may be empty.
#[server(prefix = "/rpc", endpoint = "/certificate_profile_set")]
pub async fn set_profile(
    name: String,
    hours: u32,
    #[server(default)] factory: bool,
    #[server(default)] keys: Vec<String>,
    #[server(default)] rekey: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let keys = keys.iter().map(|word| word.parse()).collect::<Result<Vec<wire::pki::KeyType>, _>>();
    let keys = keys.map_err(|e| call.invalid("keys", format!("{e}.")))?;
    let rekey = Some(rekey.trim()).filter(|word| !word.is_empty()).map(str::parse::<RekeyPolicy>).transpose();
    let rekey = rekey.map_err(|e| call.invalid("rekey", format!("{e}.")))?;
    call.answer(call.fleet.pki().set_profile(&call.actor, name.trim(), wire::pki::ProfileRules { hours, factory, keys, rekey }).await)?;
    call.lead_to("/certificates/rules");
    Ok(())
}

/// Removes a certificate profile that nothing is of any more.
#[server(prefix = "/rpc", endpoint = "/certificate_profile_remove")]
pub async fn remove_profile(name: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.pki().remove_profile(&call.actor, &name).await)?;
    call.lead_to("/certificates/rules");
    Ok(())
}

/// Blocks a key that was found where others can read it: `public_key` is the SHA-256 of its `SubjectPublicKeyInfo`, or PEM that it is in.
#[server(prefix = "/rpc", endpoint = "/key_block")]
pub async fn block_key(public_key: String, reason: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let (spki_sha256, public_key) =
        if public_key.contains("-----BEGIN ") { (String::new(), public_key) } else { (public_key, String::new()) };
    call.answer(call.fleet.pki().block_key(&call.actor, &wire::blocked::NewBlockedKey { spki_sha256, public_key, reason }).await)?;
    call.lead_to("/certificates/rules");
    Ok(())
}

/// Lets a key that was blocked by hand be used again.
#[server(prefix = "/rpc", endpoint = "/key_unblock")]
pub async fn unblock_key(spki_sha256: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.pki().unblock_key(&call.actor, &spki_sha256).await)?;
    call.lead_to("/certificates/rules");
    Ok(())
}

/// The authorities and how far the fleet is with the newest trust bundle, as [`wire::pki::AuthoritiesPage`]. The
/// devices that don't hold it are those behind `after`; empty means the first ones.
#[server(prefix = "/rpc", endpoint = "/authorities", input = GetUrl)]
pub async fn read_authorities(#[server(default)] after: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.pki().authorities_page_from(&call.actor, &after).await)
}

/// One authority: a [`wire::pki::AuthorityDetail`].
#[server(prefix = "/rpc", endpoint = "/authority", input = GetUrl)]
pub async fn read_authority(id: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::AuthorityId = call.id(&id)?;
    call.model(call.fleet.pki().authority(&call.actor, &id).await)
}

/// Takes an authority a step on in its life, or asks another admin for it where two people decide; `reason` says why then. What is forced, and
/// giving it up, wants its common name repeated in `confirm`.
#[server(prefix = "/rpc", endpoint = "/authority_step")]
pub async fn step_authority(
    id: String,
    step: AuthorityStep,
    #[server(default)] force: bool,
    #[server(default)] confirm: String,
    #[server(default)] reason: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::AuthorityId = call.id(&id)?;
    let pki = call.fleet.pki();
    let detail = call.answer(pki.authority(&call.actor, &id).await)?;
    let row = detail.standing.row;
    if force || step == AuthorityStep::Compromise {
        call.confirmed(&confirm, row.common_name())?;
    }
    if detail.second_person && step != AuthorityStep::Compromise {
        call.answer(pki.ask_step(&call.actor, &id, (step, force), &reason).await)?;
        call.lead_to("/certificates/authorities/requests");
        return Ok(());
    }
    let done = match step {
        AuthorityStep::Stage => pki.stage_after(&call.actor, &id).await.map(|next| next.id),
        AuthorityStep::Activate => pki.activate_authority(&call.actor, &id, force).await.map(|()| id),
        AuthorityStep::Retire => pki.retire_authority(&call.actor, &id, force).await.map(|()| id),
        AuthorityStep::Compromise => pki.compromise_authority(&call.actor, &id).await.map(|()| id),
    };
    let shown = call.answer(done)?;
    call.lead_to(&format!("/certificates/authorities/{shown}"));
    Ok(())
}

/// Makes the organization's authority of claims where there is none that lives long enough, so that no claim needs the root's key.
#[server(prefix = "/rpc", endpoint = "/claim_authority_make")]
pub async fn make_claim_authority() -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.pki().make_claim_authority(&call.actor).await)?;
    call.lead_to("/certificates/authorities");
    Ok(())
}

/// Says that the alarm about an authority was looked at.
#[server(prefix = "/rpc", endpoint = "/authority_clear")]
pub async fn clear_alarm(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().clear_alarm(&call.actor, &id).await)?;
    call.lead_to(&format!("/certificates/authorities/{id}"));
    Ok(())
}

/// Lets enrolment tokens and claims count again that were frozen when an authority was given up.
#[server(prefix = "/rpc", endpoint = "/authority_thaw")]
pub async fn thaw_tokens(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().thaw_tokens(&call.actor, &id).await)?;
    call.lead_to(&format!("/certificates/authorities/{id}"));
    Ok(())
}

/// Lets the devices of an authority that has ended come back by the keys they have, or ends that.
#[server(prefix = "/rpc", endpoint = "/authority_recover")]
pub async fn recover_devices(id: String, how: RecoveryPolicy, #[server(default)] days: u32) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().recover_devices(&call.actor, &id, wire::pki::ComingBack { how, days }).await)?;
    call.lead_to(&format!("/certificates/authorities/{id}"));
    Ok(())
}

/// Requests for a second person, and the rule: a [`wire::consents::ConsentsPage`].
#[server(prefix = "/rpc", endpoint = "/authority_requests", input = GetUrl)]
pub async fn read_consents() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.pki().consents_page(&call.actor).await)
}

/// Decides on a request of somebody else: approving it, over its digest, does it.
#[server(prefix = "/rpc", endpoint = "/authority_decide")]
pub async fn decide_consent(
    id: String,
    approve: bool,
    #[server(default)] digest: String,
    #[server(default)] reason: String,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ConsentId = call.id(&id)?;
    let pki = call.fleet.pki();
    let decided = if approve {
        let digest: wire::ids::Digest = call.id(&digest)?;
        pki.approve_consent(&call.actor, &id, &digest, &reason).await
    } else {
        pki.reject_consent(&call.actor, &id, &reason).await
    };
    call.answer(decided)?;
    call.lead_to("/certificates/authorities/requests");
    Ok(())
}

/// Takes one's own request back.
#[server(prefix = "/rpc", endpoint = "/authority_withdraw")]
pub async fn withdraw_consent(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ConsentId = call.id(&id)?;
    call.answer(call.fleet.pki().withdraw_consent(&call.actor, &id).await)?;
    call.lead_to("/certificates/authorities/requests");
    Ok(())
}

/// Lets two people decide on authorities; or asks a second one to let one be enough again.
#[server(prefix = "/rpc", endpoint = "/authority_approvals")]
pub async fn set_approvals(on: bool, #[server(default)] reason: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let pki = call.fleet.pki();
    if on {
        call.answer(pki.set_approvals(&call.actor, true).await)?;
    } else {
        let ask = wire::consents::AskConsent { deed: wire::consents::Deed::ApprovalsOff, remark: reason };
        call.answer(pki.ask_consent(&call.actor, ask).await)?;
    }
    call.lead_to("/certificates/authorities/requests");
    Ok(())
}

/// Asks a second person to let the root sign an authority of claims.
#[server(prefix = "/rpc", endpoint = "/authority_claims")]
pub async fn ask_claim_authority(#[server(default)] reason: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let ask = wire::consents::AskConsent { deed: wire::consents::Deed::ClaimAuthority, remark: reason };
    call.answer(call.fleet.pki().ask_consent(&call.actor, ask).await)?;
    call.lead_to("/certificates/authorities/requests");
    Ok(())
}

/// Asks a second person to let the server make keys for devices; or says that it makes none any more, which takes nobody else.
#[server(prefix = "/rpc", endpoint = "/authority_server_keys")]
pub async fn set_server_keys(on: bool, #[server(default)] reason: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let pki = call.fleet.pki();
    if on {
        let ask = wire::consents::AskConsent { deed: wire::consents::Deed::ServerKeys, remark: reason };
        call.answer(pki.ask_consent(&call.actor, ask).await)?;
    } else {
        call.answer(pki.set_server_keys(&call.actor, false).await)?;
    }
    call.lead_to("/certificates/authorities/requests");
    Ok(())
}

/// Says that the server's time is right as it is now.
#[server(prefix = "/rpc", endpoint = "/clock_accept")]
pub async fn accept_time() -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.pki().accept_time(&call.actor).await)?;
    call.lead_to("/certificates");
    Ok(())
}

/// Makes the key of the next authority for this use, and the request for its certificate.
#[server(prefix = "/rpc", endpoint = "/authority_request")]
pub async fn request_authority(kind: AuthorityUse, #[server(default)] own_root: bool) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let new = wire::roots::NewAuthorityRequest { kind, own_root, fresh: false };
    call.answer(call.fleet.pki().request_authority(&call.actor, new).await)?;
    call.lead_to("/certificates/authorities/elsewhere");
    Ok(())
}

/// Gives a request up; its key is forgotten.
#[server(prefix = "/rpc", endpoint = "/authority_request_withdraw")]
pub async fn withdraw_request(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().withdraw_authority_request(&call.actor, &id).await)?;
    call.lead_to("/certificates/authorities/elsewhere");
    Ok(())
}

/// Brings a certificate back that was signed where the root's key is.
#[server(prefix = "/rpc", endpoint = "/authority_import")]
pub async fn import_authority(certificates: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.pki().import_authority(&call.actor, &certificates).await)?;
    call.lead_to("/certificates/authorities");
    Ok(())
}

/// Publishes a list of revoked certificates that was signed where the root's key is.
#[server(prefix = "/rpc", endpoint = "/list_import")]
pub async fn import_list(id: String, list: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::AuthorityId = call.id(&id)?;
    call.answer(call.fleet.pki().import_list(&call.actor, &id, list.as_bytes()).await)?;
    call.lead_to(&format!("/certificates/authorities/{id}"));
    Ok(())
}

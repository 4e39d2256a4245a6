//! The approvals inbox, its rules, and reviews of what was started without approval. Decisions themselves are [`super::rollouts::act_on_rollout`].

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};

/// A page of the inbox, a [`wire::rollouts::ApprovalsPage`]. `tab` is an [`wire::rollouts::InboxTab`]'s word, or empty for what waits for the caller; an
/// empty `cursor` is the first page.
#[server(prefix = "/rpc", endpoint = "/approvals", input = GetUrl)]
pub async fn read_approvals(tab: String, cursor: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let query = wire::rollouts::InboxQuery { tab: super::rollouts::word(&call, &tab)?, cursor: (!cursor.is_empty()).then_some(cursor) };
    let mut page = call.answer(call.fleet.rollouts().approvals(&call.actor, &query).await)?;
    page.authorities = call.answer(call.fleet.pki().consents_waiting(&call.actor).await)?;
    call.model(Ok::<_, fleet::Error>(page))
}

/// Asks for another rule of approval: for every rollout, or with a `device_type` for those of that type beside it. `from` is `GROUP=NUMBER` a group; what
/// asks for none is left out. What the rule asks for less counts a day later; the present one takes that back.
#[server(prefix = "/rpc", endpoint = "/approval_rule")]
pub async fn set_approval_rule(
    #[server(default)] device_type: String,
    needed: u32,
    #[server(default)] from: Vec<String>,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let mut shares = Vec::new();
    for share in &from {
        let (group, number) = share.split_once('=').unwrap_or((share, "1"));
        let at_least = number.trim().parse().map_err(|_| call.invalid("from", "Choose how many approvals come from each group."))?;
        if at_least > 0 {
            shares.push(wire::rollouts::Share { group: call.id(group.trim())?, at_least });
        }
    }
    let rule = wire::rollouts::ApprovalRule { needed, from: shares };
    call.answer(call.fleet.rollouts().set_rule(&call.actor, &device_type, rule).await)?;
    call.lead_to("/approvals");
    Ok(())
}

/// Asks for no rule of its own for a device type any more; it ends a day later.
#[server(prefix = "/rpc", endpoint = "/approval_rule_drop")]
pub async fn drop_approval_rule(device_type: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.rollouts().drop_rule(&call.actor, &device_type).await)?;
    call.lead_to("/approvals");
    Ok(())
}

/// Makes a group of approvers; `members` are ids of people.
#[server(prefix = "/rpc", endpoint = "/approver_group_new")]
pub async fn create_approver_group(name: String, #[server(default)] members: Vec<String>) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let members = members.iter().map(|id| call.id(id)).collect::<Result<_, _>>()?;
    let new = wire::rollouts::NewApproverGroup { name, members };
    call.answer(call.fleet.rollouts().create_approver_group(&call.actor, new).await)?;
    call.lead_to("/approvals");
    Ok(())
}

/// Says who is in a group of approvers from now on.
#[server(prefix = "/rpc", endpoint = "/approver_group_members")]
pub async fn set_approvers(id: String, #[server(default)] members: Vec<String>) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let members: Vec<wire::ids::UserId> = members.iter().map(|id| call.id(id)).collect::<Result<_, _>>()?;
    let id: wire::ids::ApproverGroupId = call.id(&id)?;
    call.answer(call.fleet.rollouts().set_approvers(&call.actor, &id, &members).await)?;
    call.lead_to("/approvals");
    Ok(())
}

/// Deletes a group of approvers that no rule names.
#[server(prefix = "/rpc", endpoint = "/approver_group_delete")]
pub async fn delete_approver_group(id: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::ApproverGroupId = call.id(&id)?;
    call.answer(call.fleet.rollouts().delete_approver_group(&call.actor, &id).await)?;
    call.lead_to("/approvals");
    Ok(())
}

/// Changes for how long approvals are waited for and hold, and whether the glass may be broken.
#[server(prefix = "/rpc", endpoint = "/approval_terms")]
pub async fn set_approval_terms(
    request_days: u32,
    start_days: u32,
    review_hours: u32,
    #[server(default)] break_glass: bool,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let new = wire::rollouts::NewApprovalTerms { request_days, start_days, review_hours, break_glass, break_glass_from: None };
    call.answer(call.fleet.rollouts().set_approval_terms(&call.actor, new).await)?;
    call.lead_to("/approvals");
    Ok(())
}

/// Reviews a start without approval. `say` is `accept`, `object`, or `stop`: object and stop it at once.
#[server(prefix = "/rpc", endpoint = "/glass_review")]
pub async fn review_glass(id: String, say: String, #[server(default)] remark: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::GlassId = call.id(&id)?;
    if !matches!(say.as_str(), "accept" | "object" | "stop") {
        return Err(call.refuse(ApiFault::new(wire::FaultKind::Invalid, "unknown_answer", "Accept it, or object.")));
    }
    let review = wire::rollouts::NewGlassReview { accept: say == "accept", remark, stop: say == "stop" };
    call.answer(call.fleet.rollouts().review_glass(&call.actor, &id, &review).await)?;
    call.lead_to("/approvals");
    Ok(())
}

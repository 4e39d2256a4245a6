//! The approvals inbox. Decisions themselves are [`super::rollouts::act_on_rollout`].

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};

/// What waits for a decision, and what was decided lately: a [`wire::rollouts::ApprovalsPage`].
#[server(prefix = "/rpc", endpoint = "/approvals", input = GetUrl)]
pub async fn read_approvals() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let mut page = call.answer(call.fleet.rollouts().approvals(&call.actor).await)?;
    page.authorities = call.answer(call.fleet.pki().consents_waiting(&call.actor).await)?;
    call.model(Ok::<_, fleet::Error>(page))
}

/// Asks for another number of people who have to approve a rollout. A lower one counts a day later; the present one takes that back.
#[server(prefix = "/rpc", endpoint = "/rollout_approvals")]
pub async fn set_quorum(needed: u32) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.rollouts().set_quorum(&call.actor, needed).await)?;
    call.lead_to("/approvals");
    Ok(())
}

//! The approvals inbox. Decisions themselves are [`super::rollouts::act_on_rollout`].

use super::fault::ApiFault;
use leptos::{prelude::*, server_fn::codec::GetUrl};
use wire::rollouts::ApprovalsPage;

/// What waits for a decision, and what was decided lately.
#[server(prefix = "/rpc", endpoint = "/approvals", input = GetUrl)]
pub async fn read_approvals() -> Result<ApprovalsPage, ApiFault> {
    let call = super::caller::caller()?;
    call.answer(call.fleet.rollouts().approvals(&call.actor).await)
}

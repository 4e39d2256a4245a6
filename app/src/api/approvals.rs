//! The approvals inbox. Decisions themselves are [`super::rollouts::act_on_rollout`].

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};

/// What waits for a decision, and what was decided lately: a [`wire::rollouts::ApprovalsPage`].
#[server(prefix = "/rpc", endpoint = "/approvals", input = GetUrl)]
pub async fn read_approvals() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.rollouts().approvals(&call.actor).await)
}

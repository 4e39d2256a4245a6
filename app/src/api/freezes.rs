//! The calendar of freezes.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};

/// The calendar: a [`wire::rollouts::FreezesPage`].
#[server(prefix = "/rpc", endpoint = "/freezes", input = GetUrl)]
pub async fn read_freezes() -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    call.model(call.fleet.rollouts().freezes(&call.actor).await)
}

/// Freezes the organization for a time; `from` and `until` are `2026-12-20T06:00` in UTC, an empty `from` is now.
#[server(prefix = "/rpc", endpoint = "/freeze_new")]
pub async fn create_freeze(name: String, from: String, until: String, #[server(default)] reason: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let from = call.instant_if_any(&from, "from")?.unwrap_or_default();
    let new = wire::rollouts::NewFreeze { name, reason, from, until: call.instant(&until, "until")? };
    call.answer(call.fleet.rollouts().freeze(&call.actor, new).await)?;
    call.lead_to("/freezes");
    Ok(())
}

/// Ends a freeze early, or takes back one that has not begun. `reason` stays in the audit log and has to be said.
#[server(prefix = "/rpc", endpoint = "/freeze_end")]
pub async fn end_freeze(id: String, #[server(default)] reason: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::FreezeId = call.id(&id)?;
    call.answer(call.fleet.rollouts().end_freeze(&call.actor, &id, &reason).await)?;
    call.lead_to("/freezes");
    Ok(())
}

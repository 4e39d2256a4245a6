//! The order of a plan that says none: spread over what the organization calls a site, or what its devices report. It is written into the plan when that
//! is kept, so that who approves it sees it, and nothing that changes later moves a device.

use super::store::strata;
use crate::{Result, db::Conn, transfers};
use wire::{
    ids::OrgId,
    rollouts::{APART, Order, RolloutSpec},
};

/// The plan with its order. One without an order stays so where there is nothing to spread over: it is by lot.
pub(super) async fn arranged(on: &mut impl Conn, org: &OrgId, spec: RolloutSpec) -> Result<RolloutSpec> {
    if spec.order.is_some() {
        return Ok(spec);
    }
    let named = transfers::site_attribute(on, org).await?;
    let known = if named.is_empty() { strata::reported(on, org).await? } else { vec![named] };
    let usual = APART.into_iter().find(|usual| known.iter().any(|name| name == usual));
    let attribute = usual.map(str::to_owned).or_else(|| known.into_iter().next());
    Ok(RolloutSpec { order: attribute.map(Order::Spread), ..spec })
}

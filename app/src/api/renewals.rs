//! Many devices that are asked to renew their certificates, as the console counts and asks them.

use super::{fault::ApiFault, packed::Packed};
use leptos::{prelude::*, server_fn::codec::GetUrl};
use serde::{Deserialize, Serialize};
use wire::{
    ids::DeviceId,
    pki::{ManyRenewals, RenewalUnderWay},
};

/// What the question shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RenewalsView {
    /// What the order would do now.
    pub would: ManyRenewals,
    /// The devices that are named; none where a selector means them.
    pub devices: Vec<DeviceId>,
    /// The name of the authority whose devices alone are meant, if one is named.
    pub authority: Option<String>,
    /// What the selector asks for that there is none of, with what may be meant.
    pub hints: Vec<String>,
    /// Orders that are being carried out.
    pub under_way: Vec<RenewalUnderWay>,
}

/// What these inputs of a form mean.
#[cfg(feature = "ssr")]
fn whom(call: &super::caller::Call, q: String, (devices, named): (&str, &str), authority: &str) -> Result<wire::pki::RenewMany, ApiFault> {
    let devices = super::devices::these(call, devices, named)?;
    let authority = Some(authority.to_owned()).filter(|named| !named.is_empty());
    Ok(wire::pki::RenewMany { q: Some(q), devices, authority, ..wire::pki::RenewMany::default() })
}

/// What it would do to ask every device to renew that `q` means, or that `devices` names (with `named` it must name some); with `authority` only those that
/// have a certificate of it: a [`RenewalsView`].
#[server(prefix = "/rpc", endpoint = "/devices/renewals", input = GetUrl)]
pub async fn read_renewals(
    #[server(default)] q: String,
    #[server(default)] devices: String,
    #[server(default)] named: String,
    #[server(default)] authority: String,
) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let many = whom(&call, q, (&devices, &named), &authority)?;
    let would = call.answer(call.fleet.devices().preview_renewals(&call.actor, &many).await)?;
    let hints = call.answer(call.fleet.devices().hints(&call.actor, many.q.as_deref().unwrap_or_default()).await)?;
    let all = call.answer(call.fleet.pki().list_authorities(&call.actor))?;
    let named = many.authority.as_deref();
    let authority = all.iter().find(|a| [Some(a.id.as_str()), Some(a.common_name())].contains(&named)).map(|a| a.common_name().to_owned());
    let under_way = call.answer(call.fleet.devices().renewals_under_way(&call.actor).await)?;
    Packed::of(&RenewalsView { would, devices: many.devices, authority, hints, under_way })
}

/// Asks them, over so many `minutes`, or over as many as it takes when that is empty. `expected` is how many devices the question told of; when they are another
/// number by now, nobody is asked. Says how many are; leads to `back`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/devices/renew")]
pub async fn order_renewals(
    #[server(default)] q: String,
    #[server(default)] devices: String,
    #[server(default)] named: String,
    #[server(default)] authority: String,
    #[server(default)] minutes: String,
    expected: i64,
    #[server(default)] back: String,
) -> Result<i64, ApiFault> {
    let call = super::caller::caller()?;
    let minutes = Some(minutes.trim()).filter(|text| !text.is_empty()).map(str::parse::<u32>).transpose();
    let minutes = minutes.map_err(|_| call.invalid("minutes", "Write a whole number of minutes, or leave it empty."))?;
    let many = whom(&call, q, (&devices, &named), &authority)?;
    let many = wire::pki::RenewMany { minutes, expected: Some(expected), ..many };
    let done = call.answer(call.fleet.devices().order_renewals(&call.actor, &many).await)?;
    call.lead_to(super::session::local(&back, "/devices"));
    Ok(done.asked)
}

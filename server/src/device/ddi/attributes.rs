//! What a device says of itself.

use super::{Asker, Said, body, missing};
use crate::{
    device::{Devices, whole::Whole},
    http::fault::Problem,
};
use axum::{extract::State, http::StatusCode};
use std::collections::BTreeMap;
use wire::device::Telling;

/// `PUT …/configData`: taken at any time, asked for or not, because SWUpdate sends it at each start.
pub(super) async fn set(State(devices): State<Devices>, asker: Asker, Whole(bytes): Said) -> Result<StatusCode, Problem> {
    let (telling, said) = body::attributes(&bytes)?;
    keep(&devices, &asker, telling, &said).await?;
    Ok(StatusCode::OK)
}

/// `PUT …/installedBase`: the release that the device runs, by its names: 201 where that is news, else 200. It counts as its version and sequence do in
/// `configData`.
pub(super) async fn runs(State(devices): State<Devices>, asker: Asker, Whole(bytes): Said) -> Result<StatusCode, Problem> {
    asker.let_in()?;
    let (name, version) = body::assigned(&bytes)?;
    let found = devices.fleet.rollouts().names_release(asker.org(), asker.device(), (&name, &version)).await?;
    let (said, news) = found.ok_or_else(missing)?;
    keep(&devices, &asker, Telling::Merge, &said).await?;
    Ok(if news { StatusCode::CREATED } else { StatusCode::OK })
}

async fn keep(devices: &Devices, asker: &Asker, telling: Telling, said: &BTreeMap<String, String>) -> Result<(), Problem> {
    // First, because whether this is its first word since its success is known only until it is kept.
    devices.fleet.rollouts().described(asker.device(), telling, said).await?;
    devices.fleet.devices().described(asker.org(), asker.device(), telling, said).await?;
    // Its very next poll asks for them no more, however late the bus is.
    devices.fleet.rollouts().look_again(asker.device());
    Ok(())
}

//! What a device says of itself.

use super::{Asker, Said, body};
use crate::{
    device::{Devices, whole::Whole},
    http::fault::Problem,
};
use axum::{extract::State, http::StatusCode};

/// `PUT …/configData`: taken at any time, asked for or not, because SWUpdate sends it at each start.
pub(super) async fn set(State(devices): State<Devices>, asker: Asker, Whole(bytes): Said) -> Result<StatusCode, Problem> {
    let (telling, said) = body::attributes(&bytes)?;
    // First, because whether this is its first word since its success is known only until it is kept.
    devices.fleet.rollouts().described(asker.device(), telling, &said).await?;
    devices.fleet.devices().described(asker.org(), asker.device(), telling, &said).await?;
    // Its very next poll asks for them no more, however late the bus is.
    devices.fleet.rollouts().look_again(asker.device());
    Ok(StatusCode::OK)
}

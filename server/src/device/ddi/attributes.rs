//! What a device says of itself.

use super::{Asker, body};
use crate::{device::Devices, http::fault::Problem};
use axum::{body::Bytes, extract::State, http::StatusCode};

/// `PUT …/configData`: taken at any time, asked for or not, because SWUpdate sends it at each start.
pub(super) async fn set(State(devices): State<Devices>, asker: Asker, bytes: Bytes) -> Result<StatusCode, Problem> {
    let (telling, said) = body::attributes(&bytes)?;
    devices.fleet.devices().described(asker.org(), asker.device(), telling, &said).await?;
    // Its very next poll asks for them no more, however late the bus is.
    devices.fleet.rollouts().look_again(asker.device());
    Ok(StatusCode::OK)
}

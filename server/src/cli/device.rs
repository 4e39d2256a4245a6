//! `fleetward device`: the steps of a device's life, for when the console is out of reach.

use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use wire::{ids::DeviceId, states::DeviceStep};

#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Cut a device off for now; its certificates stay as they are
    Suspend(Which),
    /// Let a suspended device in again
    Resume(Which),
    /// Take a device out for good: its certificates are revoked, its id stays reserved
    Decommission(Which),
    /// Let the id of a decommissioned device be enrolled again
    Recommission(Which),
    /// Take a device out for good and delete what it has sent; its id is free once its last certificate has ended
    Delete(Which),
    /// Say that the sign of a possible clone was looked at
    Clear(Which),
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The device's id
    #[arg(value_name = "DEVICE")]
    device: DeviceId,
}

pub(super) async fn device(fleet: &Fleet, command: Device) -> Result<()> {
    let actor = Actor::system(fleet.default_org().clone());
    let (Which { device }, step) = match command {
        Device::Suspend(which) => (which, DeviceStep::Suspend),
        Device::Resume(which) => (which, DeviceStep::Resume),
        Device::Decommission(which) => (which, DeviceStep::Decommission),
        Device::Recommission(which) => (which, DeviceStep::Recommission),
        Device::Delete(which) => (which, DeviceStep::Delete),
        Device::Clear(Which { device }) => {
            fleet.devices().clear_suspicion(&actor, &device).await?;
            println!("{device}: the next sign of a clone will be told again.");
            return Ok(());
        }
    };
    fleet.devices().change(&actor, &device, step).await?;
    println!("{device}: {step} is done. A running server follows within seconds.");
    Ok(())
}

//! `fleetward device`: the steps of a device's life and certificates for a whole batch of devices, for when the console is out of reach.

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use fleet::{Fleet, access::Actor, devices::NewBatch};
use std::path::PathBuf;
use tokio_util::io::ReaderStream;
use wire::{
    enrolment::{BatchLineState, BatchState},
    ids::DeviceId,
    states::DeviceStep,
};

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
    /// Issue certificates for a file of CSRs: CSV, JSON lines, zip, tar or tar.gz, at most 10,000
    Import(Import),
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is, for lists; its name unless given
    #[arg(long)]
    label: Option<String>,
    /// Type of the devices whose line names none
    #[arg(long = "type", value_name = "TYPE", default_value = "")]
    device_type: String,
    /// A tag for its devices; may be given again
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Where the certificates go: a zip archive with manifest.csv, certs/ and chain.pem
    #[arg(long, value_name = "ZIP")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The device's id
    #[arg(value_name = "DEVICE")]
    device: DeviceId,
}

pub(super) async fn device(fleet: &Fleet, command: Device) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
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
        Device::Import(import) => return take_in(fleet, &actor, import).await,
    };
    fleet.devices().change(&actor, &device, step).await?;
    println!("{device}: {step} is done. A running server follows within seconds.");
    Ok(())
}

async fn take_in(fleet: &Fleet, actor: &Actor, import: Import) -> Result<()> {
    let Import { file, label, device_type, tags, out } = import;
    let label = label.unwrap_or_else(|| file.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let opened = tokio::fs::File::open(&file).await.with_context(|| format!("opening {}", file.display()))?;
    // Before anything is issued: certificates that have no place to go would be lost.
    let mut result = std::fs::File::create_new(&out).with_context(|| format!("making {}", out.display()))?;
    let devices = fleet.devices();
    let batch = match devices.receive_batch(actor, NewBatch { label, device_type, tags }, ReaderStream::new(opened)).await {
        Ok(batch) => batch,
        Err(e) => {
            std::fs::remove_file(&out)?;
            return Err(e.into());
        }
    };
    println!("{}: {} lines.", batch.id, batch.lines);
    // A server that runs works on it as well; they take turns.
    let batch = loop {
        devices.work_batches().await?;
        let now = devices.batch(actor, &batch.id).await?;
        if now.state != BatchState::Working {
            break now;
        }
    };
    std::io::Write::write_all(&mut result, &devices.batch_result(actor, &batch.id).await?)?;
    result.sync_all()?;
    let mut cursor = None;
    loop {
        let page = devices.batch_lines(actor, &batch.id, Some(BatchLineState::Refused), cursor.as_deref(), Some(200)).await?;
        for line in page.items {
            println!("{}: {} ({})", line.label, line.message, line.code);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    println!("{} issued, {} registered, {} refused; in {}.", batch.issued, batch.registered, batch.refused, out.display());
    if batch.refused > 0 {
        bail!("{} lines were refused; the others are done", batch.refused);
    }
    Ok(())
}

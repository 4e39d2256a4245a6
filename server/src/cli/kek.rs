//! `fleetward kek`: the key that other keys are encrypted under.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use fleet::{Fleet, access::Actor, entropy::OsEntropy, pki::Kek};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum KekCommand {
    /// Encrypt everything under another key; stop the server before
    Rotate(RotateKek),
}

/// Encrypt everything under another key-encryption key; stop the server before.
#[derive(Debug, Clone, clap::Args)]
pub struct RotateKek {
    /// The new key's file, 32 bytes; made when it isn't there.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// Wraps every sealed secret for the new key and says what to do next.
pub async fn rotate(args: &RotateKek, fleet: &Fleet) -> Result<()> {
    if !args.to.exists() {
        Kek::make_file(&args.to, &OsEntropy)?;
    }
    let new = Kek::of_file(&args.to)?;
    let count = fleet.pki().rotate_kek(&Actor::shell(fleet.default_org().clone()), &new).await.context("nothing was changed")?;
    println!("{count} secrets are encrypted under {} now. Start the server with key_file = {0:?}.", args.to.display());
    println!("The key before opens only backups made before; keep it as long as you keep them.");
    Ok(())
}

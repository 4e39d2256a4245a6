//! What a command beside a server is opened with: the settings that are in force there, and the token only where something is signed. Also what `check` asks
//! of the fleet and the token, which the configuration alone does not say.

use super::{
    ca::Ca,
    command::Command,
    device::Device,
    joining::{Claim, EnrolmentRequest},
    organization::Organization,
};
use crate::{
    config::{Config, Said},
    run,
};
use anyhow::{Context as _, Result};
use fleet::Fleet;

impl Command {
    /// Whether it may sign, or make or destroy a key, and so needs the token where keys are on one. All the others do what they do while it is gone.
    const fn signs(&self) -> bool {
        match self {
            // Each by its name: one that comes anew has to be thought of here.
            Self::Ca { command, .. } => match command {
                Ca::Stage { .. }
                | Ca::Activate { .. }
                | Ca::Retire { .. }
                | Ca::Approve { .. }
                | Ca::Root(_)
                | Ca::Csr { .. }
                | Ca::WithdrawCsr { .. }
                | Ca::Import { .. }
                | Ca::Crl(_) => true,
                Ca::List
                | Ca::Show { .. }
                | Ca::Approvals { .. }
                | Ca::ServerKeys { .. }
                | Ca::Requests
                | Ca::Reject(_)
                | Ca::Withdraw { .. }
                | Ca::TrustBundle
                | Ca::Compromise { .. }
                | Ca::ClearAlarm { .. }
                | Ca::ThawTokens { .. }
                | Ca::RecoverDevices { .. }
                | Ca::Csrs
                | Ca::IssueIntermediate(_)
                | Ca::Registered(_) => false,
            },
            Self::Organization { command, .. } => matches!(command, Organization::Create { .. }),
            Self::Device { command, .. } => matches!(command, Device::Import(_)),
            Self::Claim { command, .. } => matches!(command, Claim::Create(_)),
            Self::EnrolmentRequest { command, .. } => matches!(command, EnrolmentRequest::Approve(_)),
            _ => false,
        }
    }

    /// The configuration with what is in force on the fleet; as it is where there is none yet.
    pub(super) async fn in_force(&self, mut config: Config, said: &Said) -> Result<Config> {
        let now = Fleet::in_force(&config.data, config.postgres()?.as_deref()).await.context("reading what the server was started with")?;
        let Some(now) = now else { return Ok(config) };
        for warning in config.take(said, &now)? {
            eprintln!("warning: {warning}");
        }
        // Before the first whole start whoever opens it may be the one that makes its keys, and must make them where they belong.
        Ok(if now.last.is_none() || self.signs() {
            config
        } else {
            Config { pkcs11_module: None, pkcs11_token: None, pkcs11_pin_file: None, ..config }
        })
    }
}

/// `fleetward check`: what is wrong with the configuration, and with a start by it on the fleet there is.
pub(super) async fn check(config: &Config) -> Result<()> {
    config.check_files()?;
    config.check_passphrase()?;
    match Fleet::in_force(&config.data, config.postgres()?.as_deref()).await {
        Ok(Some(now)) => {
            let urls = run::urls(config, config.device_addr, config.enrol_addr);
            for difference in config.against(&urls, &now)? {
                eprintln!("note: {difference}");
            }
        }
        Ok(None) => {}
        Err(e) => eprintln!("note: whether it fits the fleet can't be said: {e}"),
    }
    if let Some(token) = config.token() {
        token.answers()?;
    }
    println!("The configuration is right.");
    Ok(())
}

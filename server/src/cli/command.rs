//! The commands, and how each is done: over a fleet that was opened for it, or by serving one. Commands beside a running server open the same folder
//! without serving it.

use super::{
    approval, assignment_key, audit, ca, cert, clock, device, enrolment, freeze, group, image_key, joining,
    kek::{self, KekCommand},
    key::{self, Key},
    key_set::{self, KeySets},
    organization, people,
    release::{self, Release},
    rollout,
    said::shown,
    shared, sign, transfers,
};
use crate::{
    config::{Config, Flags, Said},
    lifecycle, run,
};
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use fleet::{Fleet, clock::SystemClock, entropy::OsEntropy};
use std::{process::ExitCode, sync::Arc};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server; after its first start open the console and set up the first admin
    Serve(Box<Flags>),
    /// Check the configuration and say what is wrong with it
    Check(Box<Flags>),
    /// Print the configuration that holds, as TOML
    Config(Box<Flags>),
    /// Bring the database's schema up to date and end
    Migrate(Box<Flags>),
    /// Organizations, each with devices, releases, people and authorities of its own: create, list, show
    Organization {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: organization::Organization,
    },
    /// People who can sign in: add, set a password
    User {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: people::User,
    },
    /// API tokens for scripts: create, list, revoke
    Token {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: people::Token,
    },
    /// Enrolment tokens, the secrets by which devices join: create, list, revoke
    EnrolmentToken {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: enrolment::EnrolmentToken,
    },
    /// Devices that wait for approval before they join: list, approve, reject
    EnrolmentRequest {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: joining::EnrolmentRequest,
    },
    /// Show whether devices without a token may ask to join, or change it
    EnrolmentSettings {
        // Before the flags: what stands behind them gets their heading.
        #[command(flatten)]
        change: joining::Settings,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Claims, shared certificates by which devices ask for their own: create, list, disable
    Claim {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: joining::Claim,
    },
    /// Devices: list, show, their updates and connections, tag, suspend, resume, decommission, recommission, delete, import, pin and unpin, why they don't update
    Device {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: device::Device,
    },
    /// Groups of devices: list, create, rename, delete, fill
    Group {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: group::Group,
    },
    /// Rollouts: drafts of YAML files, what they would do, how they and their devices stand; submit, approve, pause, resume, stop, report
    Rollout {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: rollout::Rollout,
    },
    /// Times in which no rollout offers anything new: list, create, end
    Freeze {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: freeze::Freeze,
    },
    /// Show how fast and how much devices may download, or change it
    TransferLimits {
        #[command(flatten)]
        change: transfers::Change,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Show whether shared secrets of hawkBit's clients are taken, or change it
    SharedSecretSettings {
        #[command(flatten)]
        change: shared::Settings,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Target tokens, the shared secrets of single devices: create, revoke
    TargetToken {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: shared::TargetToken,
    },
    /// Gateway tokens, the shared secrets of gateways: create, list, revoke
    GatewayToken {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: shared::GatewayToken,
    },
    /// Who approves rollouts, for how long that is waited for, and what was started without it
    Approval {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: approval::Approval,
    },
    /// Keys that release manifests are signed with: make, trust, revoke, key sets
    #[command(subcommand)]
    Key(Key),
    /// Sign a release: writes the manifest that is uploaded along with the files, offline
    Sign(sign::Sign),
    /// Releases: upload, show, fetch, publish, deprecate, recall, delete, their deltas and signatures
    #[command(subcommand)]
    Release(Release),
    /// The server's own keys, which say for which device an offer is: list, make, retire
    AssignmentKey {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: assignment_key::AssignmentKey,
    },
    /// Certificates and keys that signatures inside images (RAUC, SWUpdate, Mender) are held against: list, add, remove
    ImageKey {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: image_key::ImageKey,
    },
    /// The key that other keys are encrypted under: change it
    Kek {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: KekCommand,
    },
    /// Certificate authorities: make, activate and retire the next one, keep roots' keys elsewhere, register your own
    Ca {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: ca::Ca,
    },
    /// Certificates of devices: list, show, download, revoke, and the rules for them
    Cert {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: cert::Cert,
    },
    /// Show whether a server has found its clock to have jumped, after which it issues no certificates
    Clock(Box<Flags>),
    /// The audit log: read it, check its chain, export it
    Audit {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: audit::Audit,
    },
}

impl Command {
    /// Its word, if it acts in no organization.
    pub(super) const fn of_all(&self) -> Option<&'static str> {
        match self {
            Self::Serve(_) => Some("serve"),
            Self::Check(_) => Some("check"),
            Self::Config(_) => Some("config"),
            Self::Migrate(_) => Some("migrate"),
            Self::Kek { .. } => Some("kek"),
            Self::Organization { .. } => Some("organization"),
            _ => None,
        }
    }

    /// `organization` is the slug of the one that it acts in; the first one unless given.
    pub(super) async fn run(self, config: Config, said: &Said, organization: Option<String>) -> Result<ExitCode> {
        if matches!(self, Self::Serve(_)) {
            return Box::pin(serve(config)).await;
        }
        if !matches!(self, Self::Migrate(_)) && !Fleet::exists(&config.data, config.postgres()?.as_deref()).await? {
            let place = std::path::absolute(&config.data).unwrap_or(config.data);
            bail!(
                "there is no fleet in {} yet: give the right --data (or database_url_file), or start the server there once",
                place.display()
            );
        }
        let config = self.in_force(config, said).await?;
        // What seals secrets must not run while they are wrapped for another key.
        let open = beside(&config, matches!(self, Self::Kek { .. })).await?;
        let fleet = match organization {
            Some(slug) => match open.within(&slug).await {
                Ok(fleet) => fleet,
                Err(e) => {
                    open.close().await.context("closing the databases")?;
                    return Err(anyhow::Error::new(e).context(format!("--organization {slug}")));
                }
            },
            None => open,
        };
        let mut code = ExitCode::SUCCESS;
        let outcome = match self {
            Self::Organization { command, .. } => shown(organization::run(&fleet, command).await),
            Self::User { command, .. } => people::user(&fleet, command).await,
            Self::Ca { command, .. } => ca::run(&fleet, command).await.map(|said| code = said),
            Self::Cert { command, .. } => cert::run(&fleet, command).await,
            Self::Token { command, .. } => people::token(&fleet, command).await,
            Self::Device { command, .. } => device::device(&fleet, command).await,
            Self::Group { command, .. } => group::run(&fleet, command).await,
            Self::Rollout { command, .. } => Box::pin(rollout::run(&fleet, command)).await,
            Self::Freeze { command, .. } => shown(freeze::run(&fleet, command).await),
            Self::TransferLimits { change, .. } => shown(transfers::run(&fleet, change).await),
            Self::SharedSecretSettings { change, .. } => shown(shared::settings(&fleet, &change).await),
            Self::TargetToken { command, .. } => shown(shared::target(&fleet, command).await),
            Self::GatewayToken { command, .. } => shown(shared::gateway(&fleet, command).await),
            Self::EnrolmentToken { command, .. } => enrolment::run(&fleet, command).await,
            Self::EnrolmentRequest { command, .. } => shown(joining::request(&fleet, command).await),
            Self::EnrolmentSettings { change, .. } => shown(joining::settings(&fleet, &change).await),
            Self::Claim { command, .. } => shown(joining::claim(&fleet, command).await),
            Self::AssignmentKey { command, .. } => shown(assignment_key::run(&fleet, command).await),
            Self::ImageKey { command, .. } => shown(image_key::run(&fleet, command).await),
            Self::Clock(_) => shown(clock::run(&fleet).await),
            Self::Approval { command, .. } => approval::run(&fleet, command).await,
            Self::Key(Key::Add { add, .. }) => key::add(&add, &fleet).await,
            Self::Key(Key::List(_)) => shown(key::list(&fleet).await),
            Self::Key(Key::Revoke { id, .. }) => shown(key::revoke(&fleet, &id).await),
            Self::Key(Key::Set(KeySets::List(_))) => shown(key_set::list(&fleet).await),
            Self::Key(Key::Threshold { threshold, .. }) => key_set::threshold(&threshold, &fleet).await,
            Self::Key(Key::Set(KeySets::Publish { publish, .. })) => key_set::publish(&publish, &fleet).await,
            Self::Release(release) => Box::pin(release::run(&fleet, release)).await,
            Self::Kek { command: KekCommand::Rotate(rotate), .. } => kek::rotate(&rotate, &fleet).await,
            Self::Audit { command, .. } => return audit::run(&fleet, command).await,
            // Opening it has migrated it; the rest never comes here.
            Self::Migrate(_)
            | Self::Serve(_)
            | Self::Check(_)
            | Self::Config(_)
            | Self::Sign(_)
            | Self::Key(Key::Generate(_) | Key::Set(KeySets::Make(_) | KeySets::Sign(_))) => Ok(()),
        };
        fleet.close().await.context("closing the databases")?;
        outcome.map(|()| code)
    }
}

async fn serve(config: Config) -> Result<ExitCode> {
    let running = run::start(config).await?;
    lifecycle::stop_signal(&running.lifecycle.soft()).await?;
    lifecycle::stop_hard_on_second_signal()?;
    running.stop().await.map(|()| ExitCode::SUCCESS)
}

/// The fleet, for a command beside a server that may be running, or, `alone`, one that may not.
async fn beside(config: &Config, alone: bool) -> Result<Fleet> {
    let urls = run::urls(config, config.device_addr, config.enrol_addr);
    run::open(config, alone, Arc::new(SystemClock), Arc::new(OsEntropy), urls).await
}

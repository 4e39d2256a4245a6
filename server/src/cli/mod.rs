//! The command line of `fleetward`. Owns its words; each command is a few lines over the core. Commands beside a running server open the same
//! folder without serving it.

#[macro_use]
mod printing;

mod approval;
mod assignment_key;
mod audit;
mod batches;
mod ca;
mod cert;
mod clock;
mod device;
mod enrolment;
mod files;
mod following;
mod foreseen;
mod freeze;
mod group;
mod image_key;
mod joining;
mod kek;
mod key;
mod key_set;
mod organization;
mod people;
mod profile;
mod qr;
mod registered;
mod release;
mod rollout;
mod roots;
mod said;
mod selected;
mod shared;
mod sign;
#[cfg(test)]
mod tests;
mod transfers;

use crate::{
    config::{Config, Flags},
    hardening, lifecycle, observe, run,
};
use anyhow::{Context as _, Result, bail};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use fleet::{Fleet, clock::SystemClock, entropy::OsEntropy};
use kek::KekCommand;
use key::Key;
use key_set::KeySets;
use release::Release;
use said::{in_words, one_of, print_table, shown, table};
use std::{process::ExitCode, sync::Arc};

/// Device fleet manager: certificates, releases, rollouts that a second person approves, live telemetry.
#[derive(Debug, Parser)]
#[command(
    name = "fleetward",
    version,
    after_help = "Configuration is defaults < file (--config) < environment (FLEETWARD_…) < flags; `fleetward config` prints what holds.\n\
                  Secrets come from files, never from flags. A command beside a running server works on the same --data (or database_url_file).\n\
                  Names are those of the REST API. The manual is at /docs on the console; `fleetward serve` says where that is."
)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
    /// Devices: list, tag, suspend, resume, decommission, recommission, delete, import, pin and unpin, why they don't update
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
    /// Rollouts: drafts of YAML files, what they would do and how they stand; submit, approve, pause, resume, stop, report
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
    /// Releases: upload, publish, deprecate, recall, their deltas and signatures
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

/// Commands whose help shows every setting of the server.
const SERVERS: [&str; 3] = ["serve", "check", "config"];
/// The flag that says in which organization the others act.
const ORGANIZATION: &str = "organization";
/// What the others need of them: where the fleet is, and what its keys are encrypted under.
const OF_A_FLEET: [&str; 10] = [
    ORGANIZATION,
    "config",
    "data",
    "database_url_file",
    "key_file",
    "key_passphrase_file",
    "key_credential",
    "pkcs11_module",
    "pkcs11_token",
    "pkcs11_pin_file",
];

/// A command beside a running server takes the same flags, since they may be set all the same, but its help shows those it needs.
fn beside_a_server(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|flag| {
        let shown = flag.get_help_heading() != Some("Configuration") || OF_A_FLEET.contains(&flag.get_id().as_str());
        flag.hide(!shown)
    });
    command.mut_subcommands(beside_a_server)
}

/// A server is in no organization.
fn of_a_server(command: clap::Command) -> clap::Command {
    command.mut_args(|flag| {
        let shown = flag.get_id().as_str() != ORGANIZATION;
        flag.hide(!shown)
    })
}

impl Cli {
    /// What the process was started with. Ends it after a mistake, or after help was asked for.
    pub fn read() -> Self {
        let matches = Self::line().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|e| e.exit())
    }

    /// The flags before the command are not handed down: a command that needs no server would have them as well.
    fn line() -> clap::Command {
        Self::command()
            .mut_args(|flag| flag.global(false))
            .mut_subcommands(|command| if SERVERS.contains(&command.get_name()) { of_a_server(command) } else { beside_a_server(command) })
    }

    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode> {
        // What needs neither configuration nor database must work on a machine that has none, and takes no flags of it.
        let flags: &Flags = match &self.command {
            Command::Sign(sign) => return sign::run(sign).map(|()| ExitCode::SUCCESS),
            Command::Ca { command, .. } if let Some(what) = command.offline() => return roots::sign(&what).map(|()| ExitCode::SUCCESS),
            Command::Audit { command, .. } if let Some((file, heads)) = command.offline() => return audit::verify(file, heads),
            Command::Key(Key::Generate(generate)) => return key::generate(generate).map(|()| ExitCode::SUCCESS),
            Command::Key(Key::Set(KeySets::Make(make))) => return key_set::make(make).map(|()| ExitCode::SUCCESS),
            Command::Key(Key::Set(KeySets::Sign(sign))) => return key_set::sign(sign).map(|()| ExitCode::SUCCESS),
            Command::Release(Release::Sign(sign)) => return release::sign(sign).map(|()| ExitCode::SUCCESS),
            Command::Serve(flags)
            | Command::Check(flags)
            | Command::Config(flags)
            | Command::Migrate(flags)
            | Command::Clock(flags)
            | Command::Organization { flags, .. }
            | Command::User { flags, .. }
            | Command::Token { flags, .. }
            | Command::Kek { flags, .. }
            | Command::Ca { flags, .. }
            | Command::Cert { flags, .. }
            | Command::Device { flags, .. }
            | Command::Group { flags, .. }
            | Command::Rollout { flags, .. }
            | Command::Freeze { flags, .. }
            | Command::TransferLimits { flags, .. }
            | Command::SharedSecretSettings { flags, .. }
            | Command::TargetToken { flags, .. }
            | Command::GatewayToken { flags, .. }
            | Command::EnrolmentToken { flags, .. }
            | Command::EnrolmentRequest { flags, .. }
            | Command::EnrolmentSettings { flags, .. }
            | Command::Claim { flags, .. }
            | Command::AssignmentKey { flags, .. }
            | Command::ImageKey { flags, .. }
            | Command::Approval { flags, .. }
            | Command::Audit { flags, .. }
            | Command::Key(
                Key::Add { flags, .. }
                | Key::List(flags)
                | Key::Revoke { flags, .. }
                | Key::Threshold { flags, .. }
                | Key::Set(KeySets::Publish { flags, .. } | KeySets::List(flags)),
            ) => flags,
            Command::Release(release) => release.flags().unwrap_or(&self.flags),
        };
        let organization = flags.organization.clone().or_else(|| self.flags.organization.clone());
        if let (Some(slug), Some(word)) = (&organization, self.command.of_all()) {
            bail!("`fleetward {word}` concerns every organization: leave --organization {slug} out");
        }
        hardening::keep_memory_private().context("keeping other processes out of this one's memory")?;
        let config = Config::load(&self.flags, flags)?;
        match self.command {
            Command::Check(_) => {
                config.check_files()?;
                config.check_passphrase()?;
                println!("The configuration is right.");
                return Ok(ExitCode::SUCCESS);
            }
            Command::Config(_) => {
                print!("{}", toml::to_string_pretty(&config)?);
                return Ok(ExitCode::SUCCESS);
            }
            _ => {}
        }
        observe::log(&config)?;
        // Rendering needs some workers even on one core, or a page that waits for itself would wait for ever (leptos#4647).
        let threads = std::thread::available_parallelism().map_or(4, usize::from).max(4);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        runtime.block_on(self.command.run(config, organization)).map_err(in_words)
    }
}

impl Command {
    /// Its word, if it acts in no organization.
    const fn of_all(&self) -> Option<&'static str> {
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
    async fn run(self, config: Config, organization: Option<String>) -> Result<ExitCode> {
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
        let outcome = match self {
            Self::Organization { command, .. } => shown(organization::run(&fleet, command).await),
            Self::User { command, .. } => people::user(&fleet, command).await,
            Self::Ca { command, .. } => ca::run(&fleet, command).await,
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
        outcome.map(|()| ExitCode::SUCCESS)
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

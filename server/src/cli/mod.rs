//! The command line of `fleetward`. Owns its words; each command is a few lines over the core. Commands beside a running server open the same
//! folder without serving it.

mod key;
mod people;
mod sign;

use crate::{
    config::{Config, Flags},
    lifecycle, observe, run,
};
use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use fleet::{Fleet, access::Actor, clock::SystemClock, entropy::OsEntropy};
use std::{process::ExitCode, sync::Arc};

/// Device fleet manager: certificates, releases, rollouts that a second person approves, live telemetry.
#[derive(Debug, Parser)]
#[command(
    name = "fleetward",
    version,
    after_help = "Configuration is defaults < file (--config) < environment (FLEETWARD_…) < flags; `fleetward config` prints what holds.\n\
                  Secrets come from files, never from flags. The manual is at /docs on the console."
)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// Check the configuration and say what is wrong with it
    Check,
    /// Print the configuration that holds, as TOML
    Config,
    /// Bring the database's schema up to date and end
    Migrate,
    /// People who can sign in
    #[command(subcommand)]
    User(people::User),
    /// API tokens for scripts
    #[command(subcommand)]
    Token(people::Token),
    /// Keys that release manifests are signed with
    #[command(subcommand)]
    Key(Key),
    /// Sign a release, offline
    Sign(sign::Sign),
    /// The audit log
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Debug, Subcommand)]
enum Key {
    Generate(key::GenerateKey),
    Add(key::AddKey),
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Recompute the whole hash chain and say whether it holds
    Verify,
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode> {
        // What needs neither configuration nor database must work on a machine that has none.
        match &self.command {
            Command::Sign(sign) => return sign::run(sign).map(|()| ExitCode::SUCCESS),
            Command::Key(Key::Generate(generate)) => return key::generate(generate).map(|()| ExitCode::SUCCESS),
            _ => {}
        }
        let config = Config::load(&self.flags)?;
        match self.command {
            Command::Check => {
                config.check_files()?;
                println!("The configuration is right.");
                return Ok(ExitCode::SUCCESS);
            }
            Command::Config => {
                print!("{}", toml::to_string_pretty(&config)?);
                return Ok(ExitCode::SUCCESS);
            }
            _ => {}
        }
        observe::log(&config)?;
        // Rendering needs some workers even on one core, or a page that waits for itself would wait for ever (leptos#4647).
        let threads = std::thread::available_parallelism().map_or(4, usize::from).max(4);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        runtime.block_on(self.command.run(config))
    }
}

impl Command {
    async fn run(self, config: Config) -> Result<ExitCode> {
        if matches!(self, Self::Serve) {
            return serve(config).await;
        }
        let fleet = beside(&config).await?;
        let outcome = match self {
            Self::User(user) => people::user(&fleet, user).await,
            Self::Token(token) => people::token(&fleet, token).await,
            Self::Key(Key::Add(add)) => key::add(&add, &fleet).await,
            Self::Audit(Audit::Verify) => return verify(&fleet).await,
            // Opening it has migrated it; the rest never comes here.
            Self::Migrate | Self::Serve | Self::Check | Self::Config | Self::Sign(_) | Self::Key(Key::Generate(_)) => Ok(()),
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

/// The fleet, for a command beside a server that may be running.
async fn beside(config: &Config) -> Result<Fleet> {
    let urls = run::urls(config, config.device_addr, config.enrol_addr);
    run::open(config, false, Arc::new(SystemClock), Arc::new(OsEntropy), urls).await
}

async fn verify(fleet: &Fleet) -> Result<ExitCode> {
    let found = fleet.access().verify_audit(&Actor::system(fleet.default_org().clone())).await?;
    Ok(match found.broken_at {
        None => {
            println!("{} entries, the chain holds.", found.entries);
            ExitCode::SUCCESS
        }
        Some(at) => {
            println!(
                "The chain is broken at entry {at}: it, or one after it, was changed or removed. {} entries before it hold.",
                found.entries
            );
            ExitCode::FAILURE
        }
    })
}

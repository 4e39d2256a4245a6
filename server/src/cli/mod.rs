//! The command line of `fleetward`. Owns its words and which flags each command shows; each command is a few lines over the core.

#[macro_use]
mod printing;

mod approval;
mod assignment_key;
mod audit;
mod authority;
mod batches;
mod beside;
mod blocked;
mod ca;
mod cert;
mod clock;
mod command;
mod device;
mod enrolment;
mod files;
mod following;
mod foreseen;
mod freeze;
mod given_up;
mod group;
mod image_key;
mod imports;
mod intermediate;
mod joining;
mod kek;
mod key;
mod key_set;
mod newcomers;
mod organization;
mod people;
mod profile;
mod qr;
mod registered;
mod release;
mod renewal;
mod rollout;
mod roots;
mod said;
#[cfg(test)]
mod same_names;
mod selected;
mod shared;
mod sign;
#[cfg(test)]
mod tests;
mod transfers;
mod watched;

use crate::{
    config::{Config, Flags},
    hardening, observe,
};
use anyhow::{Context as _, Result, bail};
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use command::Command;
use key::Key;
use key_set::KeySets;
use release::Release;
use said::{in_words, one_of, print_table, table};
use std::process::ExitCode;

/// Device fleet manager: certificates, releases, rollouts that a second person approves, live telemetry.
#[derive(Debug, Parser)]
#[command(
    name = "fleetward",
    version,
    after_help = "Configuration is defaults < file (--config) < environment (FLEETWARD_…) < flags; `fleetward config` prints what holds.\n\
                  Secrets come from files, never from flags. A command beside a running server works on the same --data (or database_url_file),\n\
                  with the trust domain, revocation journal, token and URLs that the server was last started with.\n\
                  Names are those of the REST API. The manual is at /docs on the console; `fleetward serve` says where that is."
)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
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
        let (config, said) = Config::load_said(&self.flags, flags)?;
        match self.command {
            Command::Check(_) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                return runtime.block_on(beside::check(&config)).map(|()| ExitCode::SUCCESS);
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
        runtime.block_on(self.command.run(config, &said, organization)).map_err(in_words)
    }
}

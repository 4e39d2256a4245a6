//! The command line of `fleetward`. Owns its words; each command is a few lines over the core. Commands beside a running server open the same
//! folder without serving it.

mod approval;
mod ca;
mod cert;
mod device;
mod enrolment;
mod group;
mod kek;
mod key;
mod key_set;
mod people;
mod registered;
mod release;
mod rollout;
mod roots;
mod selected;
mod sign;

use crate::{
    config::{Config, Flags},
    hardening, lifecycle, observe, run,
};
use anyhow::{Context as _, Result, bail};
use clap::{
    CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use fleet::{Fleet, access::Actor, clock::SystemClock, entropy::OsEntropy};
use key_set::KeySets;
use release::Release;
use std::{process::ExitCode, str::FromStr, sync::Arc};
use wire::states::UnknownState;

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
    Serve(Box<Flags>),
    /// Check the configuration and say what is wrong with it
    Check(Box<Flags>),
    /// Print the configuration that holds, as TOML
    Config(Box<Flags>),
    /// Bring the database's schema up to date and end
    Migrate(Box<Flags>),
    /// People who can sign in
    User {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: people::User,
    },
    /// API tokens for scripts
    Token {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: people::Token,
    },
    /// Enrolment tokens: secrets by which devices join
    EnrolmentToken {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: enrolment::EnrolmentToken,
    },
    /// Devices: list, tag, suspend, resume, decommission, recommission, delete, import, why they don't update
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
    /// Rollouts as YAML files: make drafts of them, compare them, see how they stand
    Rollout {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: rollout::Rollout,
    },
    /// Who approves rollouts, for how long that is waited for, and what was started without it
    Approval {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: approval::Approval,
    },
    /// Keys that release manifests are signed with
    #[command(subcommand)]
    Key(Key),
    /// Sign a release: writes the manifest that is uploaded along with the files, offline
    Sign(sign::Sign),
    /// Signatures of releases that need more than one
    #[command(subcommand)]
    Release(Release),
    /// The key that other keys are encrypted under
    Kek {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: KekCommand,
    },
    /// Authorities, one generation after another, and registered ones of your own
    Ca {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: ca::Ca,
    },
    /// Certificates of devices: list, show, download, revoke
    Cert {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: cert::Cert,
    },
    /// The audit log
    Audit {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(subcommand)]
        command: Audit,
    },
}

#[derive(Debug, Subcommand)]
enum Key {
    /// Make a key pair for signing releases; works without a data folder
    Generate(key::GenerateKey),
    /// Let the fleet trust releases that are signed with a key
    Add {
        #[command(flatten)]
        add: key::AddKey,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// How many keys must have signed a release
    Threshold {
        #[command(flatten)]
        threshold: key_set::SetThreshold,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Key sets: which keys devices trust, signed by those before
    #[command(subcommand)]
    Set(KeySets),
}

#[derive(Debug, Subcommand)]
enum KekCommand {
    /// Encrypt everything under another key; stop the server before
    Rotate(kek::RotateKek),
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Recompute the whole hash chain and say whether it holds
    Verify,
}

/// Commands whose help shows every setting of the server.
const SERVERS: [&str; 3] = ["serve", "check", "config"];
/// What the others need of them: where the fleet is, and what its keys are encrypted under.
const OF_A_FLEET: [&str; 9] = [
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
            .mut_subcommands(|command| if SERVERS.contains(&command.get_name()) { command } else { beside_a_server(command) })
    }

    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode> {
        // What needs neither configuration nor database must work on a machine that has none, and takes no flags of it.
        let flags = match &self.command {
            Command::Sign(sign) => return sign::run(sign).map(|()| ExitCode::SUCCESS),
            Command::Ca { command, .. } if let Some(what) = command.offline() => return roots::sign(&what).map(|()| ExitCode::SUCCESS),
            Command::Key(Key::Generate(generate)) => return key::generate(generate).map(|()| ExitCode::SUCCESS),
            Command::Key(Key::Set(KeySets::Make(make))) => return key_set::make(make).map(|()| ExitCode::SUCCESS),
            Command::Key(Key::Set(KeySets::Sign(sign))) => return key_set::sign(sign).map(|()| ExitCode::SUCCESS),
            Command::Release(Release::Sign(sign)) => return release::sign(sign).map(|()| ExitCode::SUCCESS),
            Command::Serve(flags)
            | Command::Check(flags)
            | Command::Config(flags)
            | Command::Migrate(flags)
            | Command::User { flags, .. }
            | Command::Token { flags, .. }
            | Command::Kek { flags, .. }
            | Command::Ca { flags, .. }
            | Command::Cert { flags, .. }
            | Command::Device { flags, .. }
            | Command::Group { flags, .. }
            | Command::Rollout { flags, .. }
            | Command::EnrolmentToken { flags, .. }
            | Command::Approval { flags, .. }
            | Command::Audit { flags, .. }
            | Command::Key(Key::Add { flags, .. } | Key::Threshold { flags, .. } | Key::Set(KeySets::Publish { flags, .. }))
            | Command::Release(Release::AddSignature { flags, .. }) => flags,
        };
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
        runtime.block_on(self.command.run(config))
    }
}

impl Command {
    async fn run(self, config: Config) -> Result<ExitCode> {
        if matches!(self, Self::Serve(_)) {
            return serve(config).await;
        }
        if !matches!(self, Self::Migrate(_)) && !Fleet::exists(&config.data, config.postgres()?.as_deref()).await? {
            let place = std::path::absolute(&config.data).unwrap_or(config.data);
            bail!(
                "there is no fleet in {} yet: give the right --data (or database_url_file), or start the server there once",
                place.display()
            );
        }
        // What seals secrets must not run while they are wrapped for another key.
        let fleet = beside(&config, matches!(self, Self::Kek { .. })).await?;
        let outcome = match self {
            Self::User { command, .. } => people::user(&fleet, command).await,
            Self::Ca { command, .. } => ca::run(&fleet, command).await,
            Self::Cert { command, .. } => cert::run(&fleet, command).await,
            Self::Token { command, .. } => people::token(&fleet, command).await,
            Self::Device { command, .. } => device::device(&fleet, command).await,
            Self::Group { command, .. } => group::run(&fleet, command).await,
            Self::Rollout { command, .. } => rollout::run(&fleet, command).await,
            Self::EnrolmentToken { command, .. } => enrolment::run(&fleet, command).await,
            Self::Approval { command, .. } => approval::run(&fleet, command).await,
            Self::Key(Key::Add { add, .. }) => key::add(&add, &fleet).await,
            Self::Key(Key::Threshold { threshold, .. }) => key_set::threshold(&threshold, &fleet).await,
            Self::Key(Key::Set(KeySets::Publish { publish, .. })) => key_set::publish(&publish, &fleet).await,
            Self::Release(Release::AddSignature { add, .. }) => release::add_signature(&add, &fleet).await,
            Self::Kek { command: KekCommand::Rotate(rotate), .. } => kek::rotate(&rotate, &fleet).await,
            Self::Audit { command: Audit::Verify, .. } => return verify(&fleet).await,
            // Opening it has migrated it; the rest never comes here.
            Self::Migrate(_)
            | Self::Serve(_)
            | Self::Check(_)
            | Self::Config(_)
            | Self::Sign(_)
            | Self::Release(Release::Sign(_))
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

/// One of these words, which help and refusals list.
fn one_of<T>(words: impl Iterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownState> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}

/// Prints rows in columns as wide as their widest cell.
fn print_table(head: &[&str], rows: &[Vec<String>]) {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(String::len).chain([head.get(at).map_or(0, |h| h.len())]).max();
    let widths: Vec<usize> = (0..head.len()).map(|at| width(at).unwrap_or(0)).collect();
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let line: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", line.join("  ").trim_end());
    };
    print(&mut head.iter().copied());
    for row in rows {
        print(&mut row.iter().map(String::as_str));
    }
}

async fn verify(fleet: &Fleet) -> Result<ExitCode> {
    let found = fleet.access().verify_audit(&Actor::shell(fleet.default_org().clone())).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn help(words: &[&str]) -> String {
        let asked = ["fleetward"].iter().chain(words).chain(&["--help"]);
        Cli::line().try_get_matches_from(asked).unwrap_err().to_string()
    }

    #[test]
    fn what_needs_no_server_takes_no_flags_of_it() {
        Cli::line().debug_assert();
        for words in [&["sign"][..], &["key", "generate"], &["key", "set", "make"], &["release", "sign"]] {
            let text = help(words);
            assert!(text.contains("--out") && !text.contains("--operator-addr"), "{text}");
        }
        for words in [
            &["user", "add"][..],
            &["key", "add"],
            &["key", "set", "publish"],
            &["release", "add-signature"],
            &["device", "suspend"],
            &["rollout", "apply"],
            &["audit", "verify"],
        ] {
            let text = help(words);
            assert!(text.contains("\nConfiguration:\n") && text.contains("--data") && text.contains("--key-file"), "{text}");
            assert!(!text.contains("--operator-addr"), "{text}");
        }
        for words in [["serve"], ["check"], ["config"]] {
            assert!(help(&words).contains("--operator-addr"), "{words:?}");
        }
        let add = help(&["key", "add"]);
        assert!(add.find("      --public") < add.find("\nConfiguration:"), "{add}");
        assert!(help(&["user"]).starts_with("People who can sign in"));
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        for words in [&["--data", "a", "user", "password"][..], &["user", "--data", "a", "password"], &["user", "password", "--data", "a"]]
        {
            let all = ["fleetward"].iter().chain(words).chain(&["--email", "e", "--password-file", "f"]);
            let cli = Cli::from_arg_matches(&Cli::line().get_matches_from(all)).unwrap();
            let Command::User { flags, .. } = &cli.command else { panic!("{cli:?}") };
            assert_eq!(Config::load(&cli.flags, flags).unwrap().data, std::path::PathBuf::from("a"), "{words:?}");
        }
    }

    #[test]
    fn a_wrong_role_is_answered_with_the_right_ones() {
        let words = ["fleetward", "token", "create", "--email", "e", "--name", "n", "--role", "god"];
        let says = Cli::line().try_get_matches_from(words).unwrap_err().to_string();
        assert!(says.contains("viewer, operator, admin"), "{says}");
    }
}

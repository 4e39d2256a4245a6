//! The command line: what can be asked of the agent, in words. Everything is done in the library.

mod code;
mod confirm;
mod run;
mod simulate;
mod status;

use ::http::StatusCode;
use agent::{
    clock,
    files::Folder,
    http, identity,
    identity::{Enrolment, Identity, Store},
    metrics,
    settings::Settings,
    tls::{self, Fingerprint, Trust},
    update::keys::TrustedKeys,
};
use anyhow::{Context as _, bail};
use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use std::{collections::BTreeMap, fs, io::IsTerminal as _, path::PathBuf, sync::Arc, time::Duration};
use tracing_subscriber::EnvFilter;
use wire::enrolment::AgentKey;

const ABOUT: &str = "A Fleetward device: makes its own key, enrols, streams what it measures and installs signed firmware in two slots.";

const MORE: &str = "\
The line that the console's enrolment page gives you does all of it:

  agent run --enrol https://HOST:8444 --token fet_… --root-fingerprint HEX --device-id $(hostname)

or, with the text of the QR code that stands beside it:

  agent run --code 'fleetward://enrol?…'

It installs firmware once it was told whose: add --trusted-key with the public half of the key that releases are signed with, now or
at a later start.

Started again it needs none of that: the certificate, the type, the hardware revision, attributes, trusted keys and hooks are kept in the
state folder. RUST_LOG=debug says more.";

/// What to do, as it was asked for.
#[derive(Parser)]
#[command(name = "agent", version, about = ABOUT, long_about = format!("{ABOUT}\n\n{MORE}"))]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a key and trades an enrolment token for a certificate; does nothing where this was done before.
    Enrol(Box<EnrolArguments>),
    /// Runs this host as a device, enrolling it first where necessary. SIGTERM and SIGINT stop it cleanly.
    Run(Box<run::Arguments>),
    /// Runs a fleet of simulated devices in one process, with real certificates and connections.
    ///
    /// Firmware for them can be bad on purpose: a file whose first line is `fleetward-sim fail_boot=0.3` does not start on three devices of
    /// ten, one with `fleetward-sim fail_health=0.3` starts and is not well there. The same devices every time.
    Simulate(Box<simulate::Arguments>),
    /// Answers for somebody at the device to an update that needs them: it may begin, unless told otherwise.
    Confirm(confirm::Arguments),
    /// Says who this device is and what it runs.
    Status(status::Arguments),
}

impl Arguments {
    /// Does what was asked.
    pub fn execute(self) -> anyhow::Result<()> {
        let default = if matches!(self.command, Command::Simulate(_)) { "warn" } else { "info" };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let colours = std::io::stderr().is_terminal();
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
        match self.command {
            Command::Enrol(arguments) => runtime()?.block_on(arguments.enrol_now()),
            Command::Run(arguments) => arguments.run(),
            Command::Simulate(arguments) => arguments.run(),
            Command::Confirm(arguments) => arguments.answer(),
            Command::Status(arguments) => arguments.print(),
        }
    }
}

/// One device needs one thread.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

#[derive(Args)]
#[group(skip)]
struct StateArguments {
    /// The folder of everything that has to survive: key, certificate, buffered samples, slots.
    #[arg(long, value_name = "DIR", env = "FLEETWARD_AGENT_STATE", default_value = "/var/lib/fleetward-agent")]
    state: PathBuf,
}

/// How to reach the enrol listener, and whom to believe there.
#[derive(Args)]
#[group(skip)]
struct ServerArguments {
    /// The enrol listener.
    #[arg(long = "enrol", visible_alias = "url", value_name = "https://HOST:8444")]
    enrol: Option<String>,
    /// The enrolment token's secret. Other users of this machine can see it in the process list: prefer --token-file there. Without one the
    /// device asks to be let in by an operator, where that is allowed.
    #[arg(long, value_name = "fet_…", env = "FLEETWARD_ENROL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the enrolment token's secret.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// A claim's certificate in PEM, to ask with instead of a token. Only for the first enrolment.
    #[arg(long, value_name = "FILE", requires = "claim_key", conflicts_with_all = ["token", "token_file"])]
    claim: Option<PathBuf>,
    /// The claim's key in PEM.
    #[arg(long, value_name = "FILE", requires = "claim")]
    claim_key: Option<PathBuf>,
    /// SHA-256 of the root certificate, as the console shows it: pins the server on first contact.
    #[arg(long, value_name = "HEX")]
    root_fingerprint: Option<Fingerprint>,
    /// The root certificate in PEM, instead of its fingerprint.
    #[arg(long, value_name = "FILE", conflicts_with = "root_fingerprint")]
    ca: Option<PathBuf>,
}

impl ServerArguments {
    /// Address, secret and trust; an error that says what is missing.
    fn complete(&self) -> anyhow::Result<(String, String, Trust)> {
        let url = self.enrol.clone().context("not enrolled yet: give the enrol listener with --enrol https://HOST:8444")?;
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.trim().to_owned(),
            (None, Some(file)) => {
                let text = fs::read_to_string(file).with_context(|| format!("cannot read the token in {}", file.display()))?;
                text.trim().to_owned()
            }
            // Where the organization allows it, a person lets the device in; otherwise the server says that it needs one.
            (None, None) => String::new(),
        };
        let trust = match (self.root_fingerprint, &self.ca) {
            (Some(root), _) => Trust::Pinned(root),
            (None, Some(file)) => {
                let pem = fs::read(file).with_context(|| format!("cannot read the root in {}", file.display()))?;
                Trust::Roots(tls::certificates(&pem)?)
            }
            (None, None) => bail!("not enrolled yet: say whom to believe with --root-fingerprint HEX or --ca FILE"),
        };
        Ok((url, token, trust))
    }

    /// The claim, if one was given.
    fn claim(&self) -> anyhow::Result<Option<Arc<tls::Claim>>> {
        let (Some(certificate), Some(key)) = (&self.claim, &self.claim_key) else { return Ok(None) };
        let read = |file: &PathBuf| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        Ok(Some(Arc::new(tls::Claim::of(&read(certificate)?, &read(key)?)?)))
    }
}

#[derive(Args)]
struct EnrolArguments {
    #[command(flatten)]
    state: StateArguments,
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    code: code::CodeArguments,
    /// The organization to ask, by its slug. A token or a claim is its organization's anyway; without either the first one is asked. Only for the first
    /// enrolment.
    #[arg(long, value_name = "SLUG")]
    organization: Option<String>,
    /// The device's name: up to 64 letters, digits, '.', '_', ':' and '-'. The host's name unless given.
    #[arg(long, value_name = "ID")]
    device_id: Option<String>,
    /// The device's type as in manifests; `linux-host` unless it was ever given.
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<String>,
    /// Its hardware revision; the processor's architecture unless it was ever given.
    #[arg(long, value_name = "REVISION")]
    hardware: Option<String>,
    /// The type of the key that it makes: p-256 unless it was ever given, or the code says another one. An enrolled device keeps its type, also with a new key.
    #[arg(long, value_name = "TYPE", value_parser = key_type())]
    key: Option<AgentKey>,
    /// A fact to show beside the device; may be given several times.
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
}

/// The words for keys, which the help shows.
fn key_type() -> impl TypedValueParser<Value = AgentKey> {
    PossibleValuesParser::new(AgentKey::ALL.iter().map(|key| key.as_str())).try_map(|word| word.parse::<AgentKey>())
}

fn attribute(text: &str) -> Result<(String, String), String> {
    text.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).ok_or_else(|| "expected KEY=VALUE".to_owned())
}

/// What the device is, from what it was told, the host, and the defaults.
struct Told {
    device_type: String,
    hardware: String,
    attributes: BTreeMap<String, String>,
}

impl Told {
    fn of(settings: &Settings) -> Self {
        let mut attributes = metrics::Host::attributes();
        attributes.extend(settings.attributes.clone());
        // Shown before a first update, and looked at before one is offered.
        attributes.extend(settings.trust().said());
        Self {
            device_type: settings.device_type.clone().unwrap_or_else(|| "linux-host".to_owned()),
            hardware: settings.hardware.clone().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            attributes,
        }
    }
}

impl EnrolArguments {
    /// What was given now and before, kept for the next start. `also` is what only some commands take.
    fn settings(&self, also: Settings) -> anyhow::Result<Settings> {
        let state = &self.state.state;
        let folder =
            Folder::open(state).with_context(|| format!("cannot use the state folder {}; choose one with --state", state.display()))?;
        let (mut device_type, mut key, hardware) = (self.device_type.clone(), self.key, self.hardware.clone());
        let (attributes, mut enrol_url) = (self.attributes.iter().cloned().collect(), self.server.enrol.clone());
        // Later starts need no code, and its file may be gone.
        if Store::open(state)?.load()?.is_none()
            && let Some(code) = self.code.read()?
        {
            device_type = device_type.or(code.device_type);
            key = key.or(code.key);
            enrol_url = Some(code.url);
        }
        Ok(Settings { device_type, hardware, attributes, key, enrol_url, ..also }.told(&folder)?)
    }

    /// The stored identity, or a new one.
    async fn enrol(&self, settings: &Settings, clock: Arc<dyn clock::Clock>) -> anyhow::Result<Identity> {
        let store = Store::open(&self.state.state)?;
        if let Some(identity) = store.load()? {
            if let Some(asked) = self.key
                && let Some(kept) = store.key_type()?
                && asked != kept
            {
                tracing::warn!(%asked, %kept, "an enrolled device keeps its type of key; --key is for the first enrolment");
            }
            return Ok(identity);
        }
        let (url, token, claim, trust, named) = if let Some(code) = self.code.read()? {
            (code.url, code.token, code.claim, code.trust, code.device_id)
        } else {
            let (url, token, trust) = self.server.complete()?;
            (url, token, self.server.claim()?, trust, None)
        };
        let Told { device_type, hardware, attributes } = Told::of(settings);
        let host_name = || attributes.get("hostname").cloned();
        let device_id = self.device_id.clone().or(named).or_else(host_name).context("this host has no name: give one with --device-id")?;
        let organization = self.organization.clone();
        let enrolment =
            Enrolment { url, token, claim, organization, trust, device_id, device_type, hardware, attributes, key: settings.key };
        let mut wait = Duration::from_secs(1);
        loop {
            match identity::enrol(&store, &enrolment, Arc::clone(&clock)).await {
                Ok(identity) => {
                    tracing::info!(device = identity.device_id(), until = %identity.not_after(), "enrolled");
                    return Ok(identity);
                }
                Err(identity::Error::Http(http::Error::Answer { status: StatusCode::ACCEPTED, retry_after, .. })) => {
                    let wait = Duration::from_secs(retry_after.unwrap_or(30).clamp(1, 3600));
                    let code = store.comparison_code()?;
                    tracing::info!(code, ?wait, "waiting for an operator to approve this device; the console must show the same code");
                    tokio::time::sleep(wait).await;
                }
                Err(identity::Error::Http(error)) if error.passing() => {
                    tracing::warn!(%error, ?wait, "not enrolled yet; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_mins(1));
                }
                Err(identity::Error::Http(http::Error::Refused)) if enrolment.claim.is_some() => {
                    bail!("the server refused the claim: it is disabled, used up or has ended; ask an operator for another one")
                }
                Err(identity::Error::Http(http::Error::Answer { code, message, .. })) if code == "unsupported_alg" => {
                    let types = AgentKey::ALL.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
                    bail!("{message} Choose it with --key, one of {types}.")
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn enrol_now(self) -> anyhow::Result<()> {
        let settings = self.settings(Settings::default())?;
        let identity = self.enrol(&settings, clock::System::new()).await?;
        println!("{} is enrolled until {}", identity.device_id(), identity.not_after());
        Ok(())
    }
}

/// Whose firmware is installed.
#[derive(Args)]
#[group(skip)]
struct KeyArguments {
    /// An Ed25519 public key whose firmware may be installed (PEM, or 32 bytes in hex or base64); may be given several times. Without one no
    /// update is installed. Kept for later starts; what is given then replaces it.
    #[arg(long = "trusted-key", value_name = "FILE")]
    trusted_keys: Vec<PathBuf>,
    /// How many of the trusted keys must have signed firmware; one unless it was ever given. The server can't lower it: key sets, which so many of
    /// these keys have signed, can. Kept for later starts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    threshold: Option<u32>,
}

impl KeyArguments {
    fn read(&self) -> anyhow::Result<TrustedKeys> {
        TrustedKeys::read(self.trusted_keys.iter().map(PathBuf::as_path)).map_err(anyhow::Error::msg)
    }
}

/// Resolves at SIGTERM or SIGINT.
async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent_and_takes_the_line_of_the_console() {
        Arguments::command().debug_assert();
        let line = format!("agent run --enrol https://h:8444 --token fet_x --root-fingerprint {} --device-id gw-1", "ab".repeat(32));
        assert!(Arguments::try_parse_from(line.split(' ')).is_ok());
        let code = format!("fleetward://enrol?url=https://h:8444&root={}&token=fet_x", "ab".repeat(32));
        assert!(Arguments::try_parse_from(["agent", "run", "--code", &code]).is_ok());
        assert!(Arguments::try_parse_from(format!("{line} --key rsa-3072").split(' ')).is_ok());
        assert!(Arguments::try_parse_from(format!("{line} --key dsa").split(' ')).is_err());
        // Two that may not agree, and something that is no code.
        assert!(Arguments::try_parse_from(["agent", "run", "--code", &code, "--token", "fet_y"]).is_err());
        assert!(Arguments::try_parse_from(["agent", "run", "--code", "https://h:8444"]).is_err());
    }
}

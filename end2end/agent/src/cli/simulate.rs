//! `agent simulate`: a fleet in this process.

use super::{KeyArguments, ServerArguments, asked_to_stop};
use agent::{
    clock,
    simulate::{Config, Fleet},
};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};
use wire::enrolment::AgentKey;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    server: ServerArguments,
    #[command(flatten)]
    keys: KeyArguments,
    /// How many devices.
    #[arg(long, value_name = "N", default_value_t = 25)]
    count: usize,
    /// How many of them lose their connections at random and have one download cut.
    #[arg(long, value_name = "K", default_value_t = 0)]
    flaky: usize,
    /// What their names begin with; a number follows.
    #[arg(long, value_name = "PREFIX", default_value = "sim-")]
    prefix: String,
    /// The same seed makes the same devices, measurements and misfortunes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Their type as in manifests.
    #[arg(long = "type", value_name = "TYPE", default_value = "sim-gateway")]
    device_type: String,
    /// Their hardware revisions, taken in turn.
    #[arg(long, value_name = "REVISION", value_delimiter = ',', default_value = "A,B")]
    hardware: Vec<String>,
    /// The type of key that each makes.
    #[arg(long, value_name = "TYPE", default_value_t = AgentKey::USUAL, value_parser = super::key_type())]
    key: AgentKey,
    /// The version they come with.
    #[arg(long, value_name = "VERSION", default_value = "1.0.0")]
    factory_version: String,
    /// The fleet's folder; a fleet that is started again in it goes on where it was.
    #[arg(long, value_name = "DIR", default_value = "fleetward-simulation")]
    state: PathBuf,
    /// Milliseconds between two measurements of a device.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=86_400_000))]
    interval_ms: u64,
    /// Most seconds that downloading, installing and starting take, each.
    #[arg(long, value_name = "S", default_value_t = 5.0)]
    pace_s: f64,
}

impl Arguments {
    /// Runs the fleet until asked to stop.
    pub fn run(self) -> anyhow::Result<()> {
        raise_file_limit();
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.until_stopped())
    }

    async fn until_stopped(self) -> anyhow::Result<()> {
        let (enrol_url, token, trust) = self.server.complete()?;
        let count = self.count;
        let config = Config {
            flaky: self.flaky,
            prefix: self.prefix,
            seed: self.seed,
            device_type: self.device_type,
            hardware: self.hardware,
            factory_version: self.factory_version,
            key: self.key,
            keys: self.keys.read()?.with_threshold(self.keys.threshold.unwrap_or(1)),
            interval: Duration::from_millis(self.interval_ms),
            pace: Duration::try_from_secs_f64(self.pace_s)?,
            ..Config::new(enrol_url, token, trust, self.state, count)
        };
        let enrolled = |done| {
            if done == count || done % 100 == 0 {
                println!("{done} of {count} devices are enrolled");
            }
        };
        let stop = asked_to_stop();
        tokio::pin!(stop);
        let fleet = tokio::select! {
            fleet = Fleet::start_with(config, clock::System::new(), enrolled) => fleet?,
            asked = &mut stop => return Ok(asked?),
        };
        let mut ticks = tokio::time::interval(Duration::from_secs(2));
        let mut said = String::new();
        loop {
            tokio::select! {
                asked = &mut stop => {
                    asked?;
                    break;
                }
                _ = ticks.tick() => {
                    let now = summary(&fleet, count);
                    if now != said {
                        println!("{now}");
                        // Whoever reads a pipe wants the line now.
                        if !std::io::stdout().is_terminal() {
                            std::io::stdout().flush()?;
                        }
                        said = now;
                    }
                }
            }
        }
        println!("stopping");
        fleet.stop().await;
        Ok(())
    }
}

/// `25 of 25 devices are connected · 1.0.0: 20, 1.1.0: 5 · downloading: 3`
fn summary(fleet: &Fleet, count: usize) -> String {
    let (mut connected, mut versions, mut updates) = (0, BTreeMap::new(), BTreeMap::new());
    for (_, view) in fleet.views() {
        connected += usize::from(view.connected);
        if !view.firmware.version.is_empty() {
            *versions.entry(view.firmware.version).or_insert(0) += 1;
        }
        if let Some(report) = view.update {
            *updates.entry(report.state).or_insert(0) += 1;
        }
    }
    let list = |pairs: Vec<String>| if pairs.is_empty() { String::new() } else { format!(" · {}", pairs.join(", ")) };
    format!(
        "{connected} of {count} devices are connected{}{}",
        list(versions.iter().map(|(v, n): (&String, &i32)| format!("{v}: {n}")).collect()),
        list(updates.iter().map(|(s, n): (_, &i32)| format!("{s}: {n}")).collect()),
    )
}

/// A thousand devices have a thousand sockets, and the usual soft limit is 1,024 files.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, "the limit of open files stays as it is; large fleets will not fit");
    }
}
